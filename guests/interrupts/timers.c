// interrupts: the local APIC's timer (Intel SDM volume 3, 11.5.4), and the PIT's channel 2.

#include "log.h"

enum { TIMER = 0x35, MASKED = 0x10000, PERIODIC = 0x20000, DEADLINE = 0x40000 };
enum { MSR_TSC_DEADLINE = 0x6e0 };

static uint64_t read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void check_lapic_timer(void) {
    write_lapic(LAPIC_TIMER_DIVIDE, 0x0b);      // by 1
    write_lapic(LAPIC_LVT_TIMER, TIMER);
    write_lapic(LAPIC_TIMER_INITIAL, 50000);
    while (!log.count) wait_for_interrupt();
    check_taken("APIC timer, one-shot", 1, TIMER);
    check_value("  its count is at 0", read_lapic(LAPIC_TIMER_CURRENT), 0);
    for (int i = 0; i < 100000; i++) take_interrupts();
    check_taken("  and it comes once", 0);

    write_lapic(LAPIC_LVT_TIMER, TIMER | PERIODIC);
    write_lapic(LAPIC_TIMER_INITIAL, 50000);
    while (log.count < 3) wait_for_interrupt();
    write_lapic(LAPIC_TIMER_INITIAL, 0);
    log.count = 3;
    check_taken("APIC timer, periodic", 3, TIMER, TIMER, TIMER);
    take_interrupts();
    log.count = 0;

    write_lapic(LAPIC_LVT_TIMER, TIMER | MASKED);
    write_lapic(LAPIC_TIMER_INITIAL, 20000);
    check("  masked, it counts down", read_lapic(LAPIC_TIMER_CURRENT) <= 20000);
    while (read_lapic(LAPIC_TIMER_CURRENT)) {}
    take_interrupts();
    check_taken("  and is not taken", 0);

    if (!(cpuid(1, 0).ecx >> 24 & 1)) {
        not_offered("APIC timer, TSC deadline");
        not_offered("  the deadline is 0 afterwards");
        return;
    }
    write_lapic(LAPIC_LVT_TIMER, TIMER | DEADLINE);
    __asm__ volatile("mfence" : : : "memory");
    uint64_t deadline = read_tsc() + 1000000;
    write_msr(MSR_TSC_DEADLINE, deadline);
    while (!log.count) wait_for_interrupt();
    check("APIC timer, TSC deadline", log.count == 1 && log.vectors[0] == TIMER && read_tsc() >= deadline);
    check_value("  the deadline is 0 afterwards", read_msr(MSR_TSC_DEADLINE), 0);
    log.count = 0;
    write_lapic(LAPIC_LVT_TIMER, MASKED);
}

// Channel 2 counts while its gate (port 61h, bit 0) is 1; its output is bit 5.
static void check_channel2(void) {
    enum { PORT_B = 0x61 };
    out8(PORT_B, in8(PORT_B) & ~3);
    out8(PORT_PIT + 3, 0xb0);       // channel 2, both bytes, mode 0
    check_value("PIT channel 2, mode 0: output low", in8(PORT_B) >> 5 & 1, 0);
    out8(PORT_PIT + 2, 0x00);
    out8(PORT_PIT + 2, 0x10);
    out8(PORT_B, (in8(PORT_B) & ~3) | 1);
    while (!(in8(PORT_B) & 0x20)) {}
    check("  high at the end of the count", true);
    out8(PORT_B, in8(PORT_B) & ~3);

    // The read-back command latches count and status of a channel.
    start_pit(2, 0);
    out8(PORT_PIT + 3, 0xe2);       // status of channel 0
    check_value("PIT channel 0, status: both bytes, mode 2", in8(PORT_PIT) & 0x3f, 0x34);
    out8(PORT_PIT + 3, 0x00);       // latch
    uint16_t first = in8(PORT_PIT);
    first |= (uint16_t)(in8(PORT_PIT) << 8);
    for (;;) {
        out8(PORT_PIT + 3, 0x00);
        uint16_t next = in8(PORT_PIT);
        next |= (uint16_t)(in8(PORT_PIT) << 8);
        if (next != first) break;
    }
    check("  its count moves", true);
}

void check_timers(void) {
    check_lapic_timer();
    check_channel2();
}

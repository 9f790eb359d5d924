// smp: the handler and the order of the checks.

#include "smp.h"

#include "console.h"

volatile uint32_t taken[ALL][256];
volatile bool x2apic;

void handle_trap(struct trap *trap) {
    if (trap->vector < 0x20 && trap->vector != VECTOR_NMI) unexpected_trap(trap);
    volatile uint32_t *count = &taken[this_processor()][trap->vector];
    *count = *count + 1;
    if (trap->vector == VECTOR_NMI || trap->vector == 0xff) return;
    if (x2apic)
        write_msr(0x80b, 0);
    else
        write_lapic(LAPIC_EOI, 0);
}

static uint64_t time_stamp(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static bool passed(uint64_t start) {
    step_aside();
    return time_stamp() - start > 20000000000;
}

bool comes_to(const volatile uint32_t *value, uint32_t wanted) {
    for (uint64_t start = time_stamp(); *value != wanted;)
        if (passed(start)) return false;
    return true;
}

bool changes(const volatile uint32_t *value, uint32_t old) {
    for (uint64_t start = time_stamp(); *value == old;)
        if (passed(start)) return false;
    return true;
}

void settle(void) {
    // Time for what should not come: some rounds of every other CPU.
    for (int i = 0; i < 2000; i++) pause();
}

int main(void) {
    open_console();
    install_traps();
    open_pics(0x20, 0);
    open_lapic(0xff);
    write_lapic(LAPIC_LVT_LINT0, 0x10000);
    check_starting();
    check_ipis();
    check_storms();
    check_x2apic();
    return report_checks();
}

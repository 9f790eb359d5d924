// interrupts: the local APIC's priorities (Intel SDM volume 3, 11.8), tried with interrupts that the CPU sends itself.

#include "log.h"

static void send(uint8_t vector) {
    write_lapic(LAPIC_ICR, 0x44000 | vector);       // to itself, fixed, asserted
    while (read_lapic(LAPIC_ICR) & 0x1000) {}
}

static bool is_set(unsigned registers, uint8_t vector) {
    return read_lapic(registers + vector / 32 * 0x10) >> vector % 32 & 1;
}

static void write_cr8(uint64_t value) { __asm__ volatile("mov %0, %%cr8" : : "r"(value)); }

static uint64_t read_cr8(void) {
    uint64_t value;
    __asm__ volatile("mov %%cr8, %0" : "=r"(value));
    return value;
}

static void send_around_51(struct trap *trap) {
    if (trap->vector != 0x51) return;
    check_value("  PPR in the handler", read_lapic(LAPIC_PPR), 0x50);
    check_value("  ISR has the vector", is_set(LAPIC_ISR, 0x51), 1);
    send(0x41);
    send(0x5f);
    take_interrupts();
    check("  41h and 5Fh do not interrupt 51h", log.count == 1);
    send(0x61);
    take_interrupts();
    check("  61h does", log.count == 2 && log.vectors[1] == 0x61);
    send(0x51);
    check_value("  51h is in IRR and in ISR", is_set(LAPIC_IRR, 0x51) && is_set(LAPIC_ISR, 0x51), 1);
    send(0x51);
    during_interrupt = NULL;
}

void check_lapic(void) {
    write_lapic(LAPIC_TPR, 0);
    send(0x41);
    check_value("41h sent to itself, in IRR", is_set(LAPIC_IRR, 0x41), 1);
    take_interrupts();
    check_taken("  taken", 1, 0x41);
    check_value("  no more in IRR or ISR", is_set(LAPIC_IRR, 0x41) || is_set(LAPIC_ISR, 0x41), 0);

    send(0x31);
    send(0x51);
    send(0x41);
    send(0x42);
    take_interrupts();
    check_taken("31h, 51h, 41h, 42h pending: the highest first", 4, 0x51, 0x42, 0x41, 0x31);

    write_lapic(LAPIC_TPR, 0x40);
    check_value("TPR = 40h is CR8 = 4", read_cr8(), 4);
    send(0x4f);
    take_interrupts();
    check_taken("  4Fh: none", 0);
    send(0x50);
    take_interrupts();
    check_taken("  50h: taken", 1, 0x50);
    write_cr8(3);
    check_value("CR8 = 3 is TPR = 30h", read_lapic(LAPIC_TPR), 0x30);
    take_interrupts();
    check_taken("  4Fh: taken", 1, 0x4f);
    write_cr8(0);

    during_interrupt = send_around_51;
    send(0x51);
    take_interrupts();
    take_interrupts();
    during_interrupt = NULL;
    check_taken("51h, with 61h inside; then 5Fh, 51h, 41h", 5, 0x51, 0x61, 0x5f, 0x51, 0x41);

    automatic_eoi = false;
    send(0x71);
    take_interrupts();
    check_taken("71h without EOI", 1, 0x71);
    send(0x41);
    take_interrupts();
    check_taken("  41h: none", 0);
    write_lapic(LAPIC_EOI, 0);
    automatic_eoi = true;
    take_interrupts();
    check_taken("  after EOI: taken", 1, 0x41);
}

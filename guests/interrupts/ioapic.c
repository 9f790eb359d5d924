// interrupts: the I/O APIC (82093AA data sheet), with COM1 on input 4 as a source that can be held.

#include "log.h"

enum { VECTOR = 0x61, LEVEL = 0x8000, MASKED = 0x10000, REMOTE_IRR = 0x4000 };

static void write_ioapic(unsigned index, uint32_t value) {
    write_mmio(IOAPIC_BASE, index);
    write_mmio(IOAPIC_BASE + 0x10, value);
}

static uint32_t read_ioapic(unsigned index) {
    write_mmio(IOAPIC_BASE, index);
    return read_mmio(IOAPIC_BASE + 0x10);
}

static void set_input4(uint32_t low) {
    write_ioapic(0x10 + 2 * 4 + 1, read_lapic(LAPIC_ID) & 0xff000000);
    write_ioapic(0x10 + 2 * 4, low);
}

static unsigned holds;

// Lets the source go in the third interrupt.
static void let_go_later(struct trap *trap) {
    if (trap->vector == VECTOR && ++holds == 3) lower_irq4();
}

static void let_go(struct trap *trap) {
    if (trap->vector == VECTOR) lower_irq4();
}

static void see_remote_irr(struct trap *trap) {
    let_go(trap);
    check_value("  Remote IRR in the handler", read_ioapic(0x10 + 2 * 4) & REMOTE_IRR, REMOTE_IRR);
    check_value("  TMR has the vector", read_lapic(0x180 + VECTOR / 32 * 0x10) >> VECTOR % 32 & 1, 1);
}

void check_ioapic(void) {
    check("I/O APIC: 24 inputs", (read_ioapic(1) >> 16 & 0xff) == 23);
    set_input4(VECTOR | MASKED);
    raise_irq4();
    take_interrupts();
    check_taken("masked: none", 0);
    lower_irq4();

    set_input4(VECTOR);
    during_interrupt = NULL;
    raise_irq4();
    take_interrupts();
    take_interrupts();
    check_taken("edge: once, though the source holds", 1, VECTOR);
    lower_irq4();
    raise_irq4();
    take_interrupts();
    check_taken("  once more at the next edge", 1, VECTOR);
    lower_irq4();

    set_input4(VECTOR | LEVEL);
    during_interrupt = let_go_later;
    raise_irq4();
    for (int i = 0; i < 4; i++) take_interrupts();
    check_taken("level: again after EOI, until the source lets go", 3, VECTOR, VECTOR, VECTOR);

    during_interrupt = see_remote_irr;
    raise_irq4();
    take_interrupts();
    during_interrupt = NULL;
    check_taken("  once, if it lets go in the handler", 1, VECTOR);
    check_value("  Remote IRR after EOI", read_ioapic(0x10 + 2 * 4) & REMOTE_IRR, 0);
    set_input4(MASKED);
}

// interrupts: the 8259A pair: masks, priorities, end of interrupt.

#include "log.h"

static void mask_pic(uint8_t mask) { out8(PORT_PIC1 + 1, mask); }

static unsigned count_inside;

static void raise_irq0_and_open(struct trap *trap) {
    during_interrupt = NULL;
    if (trap->vector == IRQ4) raise_irq0();
    if (trap->vector == IRQ0) raise_irq4();
    take_interrupts();
    count_inside = log.count;
}

static void check_masks(void) {
    mask_pic(0xff);
    raise_irq0();
    take_interrupts();
    check_taken("IRQ 0 raised, masked: none", 0);
    check_value("  pending in IRR", read_pic_irr() & 1, 1);
    check_value("  the mask reads back", in8(PORT_PIC1 + 1), 0xff);
    mask_pic(0xfe);
    take_interrupts();
    check_taken("  unmasked: taken", 1, IRQ0);
    check_value("  no more in IRR", read_pic_irr() & 1, 0);
    check_value("  no more in ISR", read_pic_isr(), 0);
    take_interrupts();
    check_taken("  and not again", 0);
}

static void check_end_of_interrupt(void) {
    mask_pic(0xfe);
    automatic_eoi = false;
    raise_irq0();
    take_interrupts();
    check_taken("IRQ 0 without EOI", 1, IRQ0);
    check_value("  stays in ISR", read_pic_isr(), 1);
    raise_irq0();
    take_interrupts();
    check_taken("  raised again: none", 0);
    out8(PORT_PIC1, 0x60);      // OCW2: specific end of interrupt, line 0
    take_interrupts();
    check_taken("  after a specific EOI: taken", 1, IRQ0);
    out8(PORT_PIC1, 0x20);
    check_value("  after a non-specific EOI, ISR", read_pic_isr(), 0);
    automatic_eoi = true;
}

static void check_priorities(void) {
    mask_pic(0xee);
    raise_irq0();
    raise_irq4();
    take_interrupts();
    lower_irq4();
    check_taken("IRQ 0 and 4 pending: 0 first", 2, IRQ0, IRQ4);

    during_interrupt = raise_irq0_and_open;
    raise_irq4();
    take_interrupts();
    lower_irq4();
    check_taken("IRQ 0 interrupts the handler of IRQ 4", 2, IRQ4, IRQ0);

    during_interrupt = raise_irq0_and_open;
    raise_irq0();
    take_interrupts();
    lower_irq4();
    check_value("IRQ 4 does not interrupt the handler of IRQ 0", count_inside, 1);
    check_taken("  it comes when that is done", 2, IRQ0, IRQ4);
}

void check_pic(void) {
    check_masks();
    check_end_of_interrupt();
    check_priorities();
}

// interrupts: the log, the handler, and the order of the checks.

#include <stdarg.h>

#include "console.h"
#include "log.h"

struct log log;
void (*during_interrupt)(struct trap *trap);
bool automatic_eoi = true;

void handle_trap(struct trap *trap) {
    if (trap->vector < 0x20 && trap->vector != VECTOR_NMI) unexpected_trap(trap);
    if (log.count < 64) {
        log.vectors[log.count] = (uint8_t)trap->vector;
        log.rip[log.count] = trap->rip;
        log.rflags[log.count] = trap->rflags;
    }
    log.count = log.count + 1;
    if (during_interrupt) during_interrupt(trap);
    if (!automatic_eoi || trap->vector == VECTOR_NMI || trap->vector == SPURIOUS) return;
    if (trap->vector < PIC_BASE + 16)
        out8(PORT_PIC1, 0x20);      // OCW2: non-specific end of interrupt
    else
        write_lapic(LAPIC_EOI, 0);
}

void check_taken(const char *name, unsigned count, ...) {
    va_list vectors;
    va_start(vectors, count);
    bool passed = log.count == count;
    for (unsigned i = 0; i < count && passed; i++) passed = log.vectors[i] == va_arg(vectors, unsigned);
    va_end(vectors);
    check(name, passed);
    if (!passed) {
        say("        taken:");
        for (unsigned i = 0; i < log.count && i < 16; i++) say(" %x", log.vectors[i]);
        say("\n");
    }
    log.count = 0;
}

uint8_t read_pic_irr(void) {
    out8(PORT_PIC1, 0x0a);
    return in8(PORT_PIC1);
}

uint8_t read_pic_isr(void) {
    out8(PORT_PIC1, 0x0b);
    return in8(PORT_PIC1);
}

void raise_irq0(void) {
    start_pit(0, 50);       // mode 0: the output falls now, and rises at the end of the count
    // An earlier request may still be in IRR: the counter's output, by the read-back command, tells that this one is there.
    do { out8(PORT_PIT + 3, 0xe2); } while (!(in8(PORT_PIT) & 0x80));
    while (!(read_pic_irr() & 1)) {}
}

void raise_irq4(void) {
    while (!(in8(PORT_COM1 + 5) & 0x40)) {}     // LSR.TEMT: what was printed is gone
    out8(PORT_COM1 + 4, 0x0b);      // OUT2 gates the interrupt on a PC
    out8(PORT_COM1 + 1, 0x02);      // IER: transmitter holding register empty
}

void lower_irq4(void) { out8(PORT_COM1 + 1, 0); }

int main(void) {
    open_console();
    install_traps();
    open_pics(PIC_BASE, 0);
    open_lapic(SPURIOUS);
    check_pic();
    check_boundaries();
    write_lapic(LAPIC_LVT_LINT0, 0x10000);
    open_pics(PIC_BASE, 0);
    check_lapic();
    check_timers();
    check_ioapic();
    return report_checks();
}

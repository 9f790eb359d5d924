// The PIC pair, the PIT and the local APIC: see interrupts.h.

#include "interrupts.h"

void open_pics(uint8_t base, uint16_t open) {
    out8(PORT_PIC1, 0x11);              // ICW1: edge triggered, cascaded, ICW4 follows
    out8(PORT_PIC2, 0x11);
    out8(PORT_PIC1 + 1, base);          // ICW2: vectors
    out8(PORT_PIC2 + 1, base + 8);
    out8(PORT_PIC1 + 1, 0x04);          // ICW3: the second PIC hangs on line 2
    out8(PORT_PIC2 + 1, 0x02);
    out8(PORT_PIC1 + 1, 0x01);          // ICW4: 8086 mode
    out8(PORT_PIC2 + 1, 0x01);
    out8(PORT_PIC1 + 1, (uint8_t)~open);
    out8(PORT_PIC2 + 1, (uint8_t)(~open >> 8));
}

void start_pit(unsigned mode, uint16_t divisor) {
    out8(PORT_PIT + 3, (uint8_t)(0x30 | mode << 1));    // channel 0, low byte then high byte, binary
    out8(PORT_PIT, (uint8_t)divisor);
    out8(PORT_PIT, (uint8_t)(divisor >> 8));
}

void open_lapic(uint8_t spurious) {
    write_msr(MSR_APIC_BASE, (read_msr(MSR_APIC_BASE) & 0xf00) | 0x800 | LAPIC_BASE);
    write_lapic(LAPIC_SVR, 0x100 | spurious);
    write_lapic(LAPIC_TPR, 0);
    write_lapic(LAPIC_LVT_TIMER, 0x10000);
    write_lapic(LAPIC_LVT_LINT0, 0x700);                // ExtINT, unmasked
}

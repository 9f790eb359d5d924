// The PIC pair, the PIT and the local APIC, as far as guests use them.

#ifndef INTERRUPTS_H
#define INTERRUPTS_H

#include "cpu.h"

enum {
    LAPIC_ID = 0x20,
    LAPIC_TPR = 0x80,
    LAPIC_PPR = 0xa0,
    LAPIC_EOI = 0xb0,
    LAPIC_SVR = 0xf0,
    LAPIC_ISR = 0x100,
    LAPIC_IRR = 0x200,
    LAPIC_ICR = 0x300,
    LAPIC_LVT_TIMER = 0x320,
    LAPIC_LVT_LINT0 = 0x350,
    LAPIC_TIMER_INITIAL = 0x380,
    LAPIC_TIMER_CURRENT = 0x390,
    LAPIC_TIMER_DIVIDE = 0x3e0,
};

INLINE uint32_t read_lapic(unsigned offset) { return read_mmio(LAPIC_BASE + offset); }
INLINE void write_lapic(unsigned offset, uint32_t value) { write_mmio(LAPIC_BASE + offset, value); }

// Sets the PICs' vectors to `base` and `base` + 8 (8259A data sheet, ICW1 to ICW4) and masks all of their lines but
// those whose bit in `open` is set.
void open_pics(uint8_t base, uint16_t open);

// Lets channel 0 of the PIT (IRQ 0) run in `mode` with a count of `divisor`, at 1,193,182 Hz.
void start_pit(unsigned mode, uint16_t divisor);

// Enables the local APIC, with `spurious` as its spurious vector, and LINT0 as the PICs' way to the CPU (virtual wire
// mode; Intel SDM volume 3, 11.5.1), as a PC's firmware leaves it.
void open_lapic(uint8_t spurious);

#endif

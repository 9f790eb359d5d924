// What interrupts were taken, in which order and where: the handler's log.

#ifndef LOG_H
#define LOG_H

#include "checks.h"
#include "interrupts.h"
#include "traps.h"

enum { PIC_BASE = 0x20, IRQ0 = PIC_BASE, IRQ4 = PIC_BASE + 4, SPURIOUS = 0xff };

struct log {
    volatile unsigned count;
    uint8_t vectors[64];
    uint64_t rip[64], rflags[64];
};

extern struct log log;

// Called for each interrupt, before its end is signalled to the PIC or the local APIC; may be null.
extern void (*during_interrupt)(struct trap *trap);

// Whether the handler signals the end of interrupts by itself. It does, unless a check wants to.
extern bool automatic_eoi;

// Checks that exactly the `count` interrupts that follow were taken, in that order, and empties the log.
void check_taken(const char *name, unsigned count, ...);

// Opens a window of a few instructions in which interrupts are taken.
INLINE void take_interrupts(void) { __asm__ volatile("sti; nop; nop; nop; nop; cli" : : : "memory"); }

// The PIC's IRR and ISR, by OCW3.
uint8_t read_pic_irr(void);
uint8_t read_pic_isr(void);

// Lets channel 0 of the PIT reach its end once, and waits until the PIC has seen that.
void raise_irq0(void);

// Raises IRQ 4 by the transmitter of COM1, which is empty; and takes the request back.
void raise_irq4(void);
void lower_irq4(void);

void check_pic(void);
void check_boundaries(void);
void check_lapic(void);
void check_timers(void);
void check_ioapic(void);

#endif

// Several CPUs: starting them, and giving them work.
//
// A CPU's number is its local APIC's ID; the first, 0, is the one that runs `main`. The others wait in `processor_loop`
// for a function to run. Handlers run on the stack of whatever they interrupt.

#ifndef PROCESSORS_H
#define PROCESSORS_H

#include "interrupts.h"

enum { MAX_PROCESSORS = 4, TRAMPOLINE_PAGE = 8 };

// Delivery modes and shorthands of the ICR (Intel SDM volume 3, figure 11-12).
enum {
    IPI_FIXED = 0x4000,
    IPI_LOWEST = 0x4100,
    IPI_NMI = 0x4400,
    IPI_INIT = 0x4500,
    IPI_STARTUP = 0x4600,
    IPI_LOGICAL = 0x800,
    IPI_SELF = 0x40000,
    IPI_ALL = 0x80000,
    IPI_OTHERS = 0xc0000,
};

typedef void work_function(unsigned processor);

// What each CPU found and did since it was started.
struct processor {
    work_function *volatile work;
    volatile uint32_t starts;
    volatile uint32_t ticks;        // rounds of its waiting loop
};

extern struct processor processors[MAX_PROCESSORS];

// Written by the trampoline: CS and CR0 as the startup IPI left them.
#define TRAMPOLINE_CS (*(volatile uint16_t *)0x7ff0)
#define TRAMPOLINE_CR0 (*(volatile uint32_t *)0x7ff4)

INLINE void pause(void) { __asm__ volatile("pause" : : : "memory"); }
// Lets other CPUs go first, should there be fewer of them than are needed.
INLINE void step_aside(void) {
    for (int i = 0; i < 16; i++) pause();
}
INLINE void barrier(void) { __asm__ volatile("" : : : "memory"); }
INLINE unsigned this_processor(void) { return cpuid(1, 0).ebx >> 24; }

// Sends an IPI in xAPIC mode and waits until it is gone.
void send_ipi(uint32_t destination, uint32_t command);

// Copies the trampoline to a page below 1 MiB.
void place_trampoline(unsigned page);

// INIT and one startup IPI at once, with no pause between; returns when the CPU is in its loop.
void start_processor(unsigned processor, unsigned page);

// Starts CPUs 1 to `count` - 1.
void start_processors(unsigned count);

// Gives work to a waiting CPU, or waits for the end of it.
void begin_work(unsigned processor, work_function *work);
void finish_work(unsigned processor);

// Runs `work` on CPUs 0 to `count` - 1, and returns when all are done.
void run_on_all(unsigned count, work_function *work);

// Waits until `count` CPUs have come here as often as the caller.
void meet(unsigned count);

#endif

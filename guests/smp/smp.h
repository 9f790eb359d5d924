// What the parts of the guest share: the handler's counts.

#ifndef SMP_H
#define SMP_H

#include "checks.h"
#include "processors.h"
#include "traps.h"

enum { ALL = MAX_PROCESSORS };

// How often each CPU took each vector.
extern volatile uint32_t taken[ALL][256];

// The local APIC's EOI goes through an MSR.
extern volatile bool x2apic;

// Waits until `*value` is `wanted`, at most some seconds of the time-stamp counter.
bool comes_to(const volatile uint32_t *value, uint32_t wanted);

// The same for any other value than `old`.
bool changes(const volatile uint32_t *value, uint32_t old);

// Lets interrupts come for a while, on a CPU that waits for them.
void settle(void);

void check_starting(void);
void check_ipis(void);
void check_x2apic(void);
void check_storms(void);

#endif

// The time stamp counter, and how fast it counts.

#ifndef CLOCK_H
#define CLOCK_H

#include "cpu.h"

INLINE uint64_t time_stamp(void) {
    uint32_t low, high;
    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

// The TSC's frequency in kilohertz, by channel 2 of the PIT: the middle of three measurements of 2 ms, so that a host that
// takes the CPU away at the wrong moment does no harm.
uint64_t time_stamp_frequency(void);

#endif

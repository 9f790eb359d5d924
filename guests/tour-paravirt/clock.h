// tour-paravirt: what the hypervisor tells of time, and what chips tell, to compare.

#ifndef CLOCK_H
#define CLOCK_H

#include "cpu.h"

// System time, by the page that the hypervisor keeps.
void open_clock(void);
bool clock_is_open(void);
uint64_t clock_nanoseconds(void);

// Seconds since 1970 at which system time was 0.
uint64_t date_at_start(void);

// Steal time. False if its account was not opened.
bool open_steal_time(void);
uint64_t stolen_nanoseconds(void);

// By the chips: so many cycles at 1,193,182 Hz, and the date in seconds since 1970.
void wait_for_pit(uint16_t count);
uint64_t cmos_seconds(void);

#endif

// Going to ring 3 and coming back.

#ifndef RING3_H
#define RING3_H

#include "cpu.h"

// Runs code at `rip` in 64-bit mode at CPL 3, on the stack `rsp`, with `argument` in RDI and RFLAGS = `rflags`.
// Returns what a trap handler passes to `leave_user`.
uint64_t call_user(uintptr_t rip, uintptr_t rsp, uint64_t argument, uint64_t rflags);

// From a trap handler that came from ring 3: abandons the trap and lets `call_user` return `result`.
_Noreturn void leave_user(uint64_t result);

#endif

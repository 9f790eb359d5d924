// The registers that string instructions work on, and running one with them.

#ifndef STRINGS_H
#define STRINGS_H

#include "checks.h"
#include "cpu.h"

struct registers {
    uint64_t ax, cx, si, di, flags;
};

// Runs `text` with the registers of `r`, and puts them back into it. Flags are those that ADD changes, and DF.
#define RUN(text, r)                                                                                                   \
    __asm__ volatile("push %[f]; popf; " text "; pushf; pop %[f]; cld"                                                 \
                     : "+a"((r).ax), "+c"((r).cx), "+S"((r).si), "+D"((r).di), [f] "+r"((r).flags)                     \
                     :                                                                                                 \
                     : "memory", "cc")

enum { FLAGS_NONE = 2, FLAGS_STATUS = 0x8d5 };

// Checks RCX, and how far RSI and RDI have come from `si` and `di`.
void check_registers(const char *name, const struct registers *r, uint64_t cx, uint64_t si, uint64_t di);

void check_results(void);
void check_faults(void);

#endif

// The host's ALU as the guest's: each operation runs the very instruction, so results and flags, the undefined ones
// included, are the host CPU's. Flags travel as LAHF and SETO leave them in AX: SF ZF - AF - PF - CF in bits 15:8, OF in
// bit 0. Operations restore the incoming flags first where they keep or read any of them.
#ifndef TRAPEZE_ALU_H
#define TRAPEZE_ALU_H

#include <stdint.h>

enum {
    TZ_FLAG_OF = 1 << 0,
    TZ_FLAG_CF = 1 << 8,
    TZ_FLAG_PF = 1 << 10,
    TZ_FLAG_AF = 1 << 12,
    TZ_FLAG_ZF = 1 << 14,
    TZ_FLAG_SF = 1 << 15,
};

#define TZ_RESTORE_FLAGS "addb $127, %%al\n\tsahf\n\t"
#define TZ_SAVE_FLAGS "\n\tlahf\n\tseto %%al"

// name(a, b, &flags) -> a OP b, writing every arithmetic flag and reading none.
#define TZ_ALU_BINARY(name, bits)                                                                                     \
    static inline uint##bits##_t tz_##name##bits(uint##bits##_t a, uint##bits##_t b, uint64_t *_Nonnull flags) {      \
        uint64_t f = 0;                                                                                               \
        __asm__(#name " %2, %1" TZ_SAVE_FLAGS : "+a"(f), "+q"(a) : "q"(b) : "cc");                                    \
        *flags = f;                                                                                                   \
        return a;                                                                                                     \
    }

// The same, with the incoming flags restored first (ADC and SBB read CF).
#define TZ_ALU_BINARY_CARRY(name, bits)                                                                               \
    static inline uint##bits##_t tz_##name##bits(uint##bits##_t a, uint##bits##_t b, uint64_t *_Nonnull flags) {      \
        uint64_t f = *flags;                                                                                          \
        __asm__(TZ_RESTORE_FLAGS #name " %2, %1" TZ_SAVE_FLAGS : "+a"(f), "+q"(a) : "q"(b) : "cc");                   \
        *flags = f;                                                                                                   \
        return a;                                                                                                     \
    }

#define TZ_ALU_WIDTHS(define, name) define(name, 8) define(name, 16) define(name, 32) define(name, 64)

TZ_ALU_WIDTHS(TZ_ALU_BINARY, add)
TZ_ALU_WIDTHS(TZ_ALU_BINARY, sub)
TZ_ALU_WIDTHS(TZ_ALU_BINARY, and)
TZ_ALU_WIDTHS(TZ_ALU_BINARY, or)
TZ_ALU_WIDTHS(TZ_ALU_BINARY, xor)
TZ_ALU_WIDTHS(TZ_ALU_BINARY_CARRY, adc)
TZ_ALU_WIDTHS(TZ_ALU_BINARY_CARRY, sbb)

#endif

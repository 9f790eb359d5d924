// The host's ALU as the guest's: each operation runs the very instruction, so results and flags, the undefined ones
// included, are the host CPU's. Flags travel as LAHF and SETO leave them in AX: SF ZF - AF - PF 1 CF in bits 15:8, OF in
// bit 0. Operations restore the incoming flags first where they keep or read any of them, or where the manuals leave
// some undefined (a CPU may then leave them as they were).
#ifndef TRAPEZE_ALU_H
#define TRAPEZE_ALU_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TZ_FLAG_OF = 1 << 0,
    TZ_FLAG_CF = 1 << 8,
    TZ_FLAG_PF = 1 << 10,
    TZ_FLAG_AF = 1 << 12,
    TZ_FLAG_ZF = 1 << 14,
    TZ_FLAG_SF = 1 << 15,
};

// AX is earlyclobber wherever flags are restored: an equal input must not share it.
#define TZ_RESTORE_FLAGS "addb $127, %%al\n\tsahf\n\t"
#define TZ_SAVE_FLAGS "\n\tlahf\n\tseto %%al"
// The same after an instruction that used AX for data.
#define TZ_SAVE_FLAGS_CLEARING "\n\tlahf\n\tseto %%al\n\tmovzwl %%ax, %%eax"

#define TZ_ALU_WIDTHS(define, name) define(name, 8) define(name, 16) define(name, 32) define(name, 64)
#define TZ_ALU_WIDE(define, name) define(name, 16) define(name, 32) define(name, 64)

// Results are structs by value: Swift guards the stack of functions that take the address of a local.
typedef struct {
    uint64_t value;  // zero-extended
    uint64_t flags;
} tz_result;

typedef struct {
    uint64_t low, high;  // zero-extended
    uint64_t flags;
    bool valid;  // false: #DE
} tz_wide_result;

// MARK: Two operands: name(a, b, flags) -> a OP b

// Writes every arithmetic flag and reads none.
#define TZ_ALU_BINARY(name, bits)                                                                                     \
    static inline tz_result tz_##name##bits(uint##bits##_t a, uint##bits##_t b, uint64_t flags) {                     \
        (void)flags;                                                                                                  \
        uint64_t f = 0;                                                                                               \
        __asm__(#name " %2, %1" TZ_SAVE_FLAGS : "+a"(f), "+q"(a) : "q"(b) : "cc");                                    \
        return (tz_result){a, f};                                                                                     \
    }

#define TZ_ALU_BINARY_CARRY(name, bits)                                                                               \
    static inline tz_result tz_##name##bits(uint##bits##_t a, uint##bits##_t b, uint64_t flags) {                     \
        __asm__(TZ_RESTORE_FLAGS #name " %2, %1" TZ_SAVE_FLAGS : "+&a"(flags), "+q"(a) : "q"(b) : "cc");              \
        return (tz_result){a, flags};                                                                                 \
    }

TZ_ALU_WIDTHS(TZ_ALU_BINARY, add)
TZ_ALU_WIDTHS(TZ_ALU_BINARY, sub)
TZ_ALU_WIDTHS(TZ_ALU_BINARY, and)
TZ_ALU_WIDTHS(TZ_ALU_BINARY, or)
TZ_ALU_WIDTHS(TZ_ALU_BINARY, xor)
TZ_ALU_WIDTHS(TZ_ALU_BINARY_CARRY, adc)
TZ_ALU_WIDTHS(TZ_ALU_BINARY_CARRY, sbb)
TZ_ALU_WIDE(TZ_ALU_BINARY_CARRY, imul)
TZ_ALU_BINARY_CARRY(adcx, 32)
TZ_ALU_BINARY_CARRY(adcx, 64)
TZ_ALU_BINARY_CARRY(adox, 32)
TZ_ALU_BINARY_CARRY(adox, 64)

// BT and its kin on a register: `b` is the bit number, taken modulo the width by the instruction.
TZ_ALU_WIDE(TZ_ALU_BINARY_CARRY, bts)
TZ_ALU_WIDE(TZ_ALU_BINARY_CARRY, btr)
TZ_ALU_WIDE(TZ_ALU_BINARY_CARRY, btc)
TZ_ALU_WIDE(TZ_ALU_BINARY_CARRY, bt)

// MARK: One operand: name(a, flags) -> OP a

#define TZ_ALU_UNARY(name, bits)                                                                                      \
    static inline tz_result tz_##name##bits(uint##bits##_t a, uint64_t flags) {                                       \
        __asm__(TZ_RESTORE_FLAGS #name " %1" TZ_SAVE_FLAGS : "+&a"(flags), "+q"(a) : : "cc");                         \
        return (tz_result){a, flags};                                                                                 \
    }

TZ_ALU_WIDTHS(TZ_ALU_UNARY, inc)
TZ_ALU_WIDTHS(TZ_ALU_UNARY, dec)
TZ_ALU_WIDTHS(TZ_ALU_UNARY, neg)

// MARK: Shifts: name(a, count, flags); the instruction itself masks the count

#define TZ_ALU_SHIFT(name, bits)                                                                                      \
    static inline tz_result tz_##name##bits(uint##bits##_t a, uint8_t count, uint64_t flags) {                        \
        __asm__(TZ_RESTORE_FLAGS #name " %%cl, %1" TZ_SAVE_FLAGS : "+&a"(flags), "+q"(a) : "c"(count) : "cc");        \
        return (tz_result){a, flags};                                                                                 \
    }

TZ_ALU_WIDTHS(TZ_ALU_SHIFT, rol)
TZ_ALU_WIDTHS(TZ_ALU_SHIFT, ror)
TZ_ALU_WIDTHS(TZ_ALU_SHIFT, rcl)
TZ_ALU_WIDTHS(TZ_ALU_SHIFT, rcr)
TZ_ALU_WIDTHS(TZ_ALU_SHIFT, shl)
TZ_ALU_WIDTHS(TZ_ALU_SHIFT, shr)
TZ_ALU_WIDTHS(TZ_ALU_SHIFT, sar)

// Double shifts: name(a, filler, count, flags).
#define TZ_ALU_DOUBLE_SHIFT(name, bits)                                                                               \
    static inline tz_result tz_##name##bits(uint##bits##_t a, uint##bits##_t b, uint8_t count, uint64_t flags) {      \
        __asm__(TZ_RESTORE_FLAGS #name " %%cl, %2, %1" TZ_SAVE_FLAGS                                                  \
                : "+&a"(flags), "+r"(a)                                                                               \
                : "r"(b), "c"(count)                                                                                  \
                : "cc");                                                                                              \
        return (tz_result){a, flags};                                                                                 \
    }

TZ_ALU_WIDE(TZ_ALU_DOUBLE_SHIFT, shld)
TZ_ALU_WIDE(TZ_ALU_DOUBLE_SHIFT, shrd)

// MARK: Multiplication and division with a double-width operand

// name(a, b, flags) -> both halves of the product
#define TZ_ALU_MULTIPLY(instruction, name, bits, a_register)                                                          \
    static inline tz_wide_result tz_##name##bits(uint##bits##_t a, uint##bits##_t b, uint64_t flags) {                \
        uint##bits##_t d;                                                                                             \
        __asm__(TZ_RESTORE_FLAGS "mov %[a], %%" a_register "\n\t" #instruction " %[b]\n\tmov %%" a_register           \
                                 ", %[a]" TZ_SAVE_FLAGS_CLEARING                                                      \
                : "+&a"(flags), [a] "+&r"(a), "=&d"(d)                                                                \
                : [b] "r"(b)                                                                                          \
                : "cc");                                                                                              \
        return (tz_wide_result){a, d, flags, true};                                                                   \
    }

// The byte form's product is AX.
#define TZ_ALU_MULTIPLY8(instruction, name)                                                                           \
    static inline tz_wide_result tz_##name##8(uint8_t a, uint8_t b, uint64_t flags) {                                 \
        uint16_t product;                                                                                             \
        __asm__(TZ_RESTORE_FLAGS "mov %[a], %%al\n\t" #instruction " %[b]\n\tmov %%ax, %[p]" TZ_SAVE_FLAGS_CLEARING   \
                : "+&a"(flags), [p] "=&r"(product)                                                                    \
                : [a] "q"(a), [b] "q"(b)                                                                              \
                : "cc");                                                                                              \
        return (tz_wide_result){(uint8_t)product, product >> 8, flags, true};                                         \
    }

TZ_ALU_MULTIPLY8(mul, mul)
TZ_ALU_MULTIPLY(mul, mul, 16, "ax")
TZ_ALU_MULTIPLY(mul, mul, 32, "eax")
TZ_ALU_MULTIPLY(mul, mul, 64, "rax")
TZ_ALU_MULTIPLY8(imul, imul_wide)
TZ_ALU_MULTIPLY(imul, imul_wide, 16, "ax")
TZ_ALU_MULTIPLY(imul, imul_wide, 32, "eax")
TZ_ALU_MULTIPLY(imul, imul_wide, 64, "rax")

// The quotient fits if high < divisor.
#define TZ_UNSIGNED_OVERFLOWS(low, high, divisor, bits) ((high) >= (divisor))

// The quotient's magnitude is below 2^(bits-1), or equal to it if negative: that is, |dividend| < |divisor| * limit.
static inline bool tz_signed_quotient_overflows(__int128 dividend, int64_t divisor, unsigned bits) {
    bool negative = (dividend < 0) != (divisor < 0);
    unsigned __int128 magnitude = dividend < 0 ? -(unsigned __int128)dividend : (unsigned __int128)dividend;
    uint64_t divisor_magnitude = divisor < 0 ? -(uint64_t)divisor : (uint64_t)divisor;
    uint64_t limit = (UINT64_C(1) << (bits - 1)) + negative;
    return magnitude >= (unsigned __int128)divisor_magnitude * limit;
}

#define TZ_SIGNED_OVERFLOWS(low, high, divisor, bits)                                                                 \
    tz_signed_quotient_overflows((__int128)((unsigned __int128)(__int128)(int##bits##_t)(high) << bits | (low)),      \
                                 (int##bits##_t)(divisor), bits)

// name(low, high, divisor, flags) -> quotient (low) and remainder (high) of high:low. Invalid where the instruction
// raises #DE; the host's own never faults.
#define TZ_ALU_DIVIDE(name, bits, a_register, overflows)                                                              \
    static inline tz_wide_result tz_##name##bits(uint##bits##_t low, uint##bits##_t high, uint##bits##_t divisor,     \
                                                 uint64_t flags) {                                                    \
        if (overflows(low, high, divisor, bits)) return (tz_wide_result){low, high, flags, false};                    \
        __asm__(TZ_RESTORE_FLAGS "mov %[a], %%" a_register "\n\t" #name " %[b]\n\tmov %%" a_register                  \
                                 ", %[a]" TZ_SAVE_FLAGS_CLEARING                                                      \
                : "+&a"(flags), [a] "+&r"(low), "+&d"(high)                                                           \
                : [b] "r"(divisor)                                                                                    \
                : "cc");                                                                                              \
        return (tz_wide_result){low, high, flags, true};                                                              \
    }

#define TZ_ALU_DIVIDE8(name, overflows)                                                                               \
    static inline tz_wide_result tz_##name##8(uint8_t low, uint8_t high, uint8_t divisor, uint64_t flags) {           \
        if (overflows(low, high, divisor, 8)) return (tz_wide_result){low, high, flags, false};                       \
        uint16_t ax = (uint16_t)(high << 8 | low);                                                                    \
        __asm__(TZ_RESTORE_FLAGS "mov %[ax], %%ax\n\t" #name " %[b]\n\tmov %%ax, %[ax]" TZ_SAVE_FLAGS_CLEARING        \
                : "+&a"(flags), [ax] "+&r"(ax)                                                                        \
                : [b] "q"(divisor)                                                                                    \
                : "cc");                                                                                              \
        return (tz_wide_result){(uint8_t)ax, ax >> 8, flags, true};                                                   \
    }

TZ_ALU_DIVIDE8(div, TZ_UNSIGNED_OVERFLOWS)
TZ_ALU_DIVIDE(div, 16, "ax", TZ_UNSIGNED_OVERFLOWS)
TZ_ALU_DIVIDE(div, 32, "eax", TZ_UNSIGNED_OVERFLOWS)
TZ_ALU_DIVIDE(div, 64, "rax", TZ_UNSIGNED_OVERFLOWS)
TZ_ALU_DIVIDE8(idiv, TZ_SIGNED_OVERFLOWS)
TZ_ALU_DIVIDE(idiv, 16, "ax", TZ_SIGNED_OVERFLOWS)
TZ_ALU_DIVIDE(idiv, 32, "eax", TZ_SIGNED_OVERFLOWS)
TZ_ALU_DIVIDE(idiv, 64, "rax", TZ_SIGNED_OVERFLOWS)

// MARK: CMPXCHG with a 32-bit register as destination: the whole destination (low) and RAX (high) after it

static inline tz_wide_result tz_cmpxchg_registers32(uint64_t destination, uint64_t rax, uint32_t source) {
    uint64_t f;
    __asm__("mov %[rax], %%rax\n\tcmpxchg %[source], %k[destination]\n\tmov %%rax, %[rax]" TZ_SAVE_FLAGS_CLEARING
            : "=&a"(f), [destination] "+&r"(destination), [rax] "+&r"(rax)
            : [source] "r"(source)
            : "cc");
    return (tz_wide_result){destination, rax, f, true};
}

// MARK: Bit scans and counts

// name(destination, source, flags) -> the whole destination register: what happens to it, or to its upper half, when
// the source is 0 is the host's.
#define TZ_ALU_SCAN(name, bits, modifier)                                                                             \
    static inline tz_result tz_##name##bits(uint64_t destination, uint##bits##_t source, uint64_t flags) {            \
        __asm__(TZ_RESTORE_FLAGS #name " %" modifier "2, %" modifier "1" TZ_SAVE_FLAGS                                \
                : "+&a"(flags), "+&r"(destination)                                                                    \
                : "r"((uint64_t)source)                                                                               \
                : "cc");                                                                                              \
        return (tz_result){destination, flags};                                                                       \
    }

#define TZ_ALU_SCANS(name) TZ_ALU_SCAN(name, 16, "w") TZ_ALU_SCAN(name, 32, "k") TZ_ALU_SCAN(name, 64, "q")

TZ_ALU_SCANS(bsf)
TZ_ALU_SCANS(bsr)
TZ_ALU_SCANS(popcnt)
TZ_ALU_SCANS(lzcnt)
TZ_ALU_SCANS(tzcnt)

// MARK: Without flags

#define TZ_ALU_CRC32(bits, suffix, modifier)                                                                          \
    static inline uint32_t tz_crc32_##bits(uint32_t sum, uint##bits##_t data) {                                       \
        uint64_t wide = sum;                                                                                          \
        __asm__("crc32" suffix " %1, %" modifier "0" : "+r"(wide) : "q"(data));                                       \
        return (uint32_t)wide;                                                                                        \
    }

TZ_ALU_CRC32(8, "b", "k")
TZ_ALU_CRC32(16, "w", "k")
TZ_ALU_CRC32(32, "l", "k")
TZ_ALU_CRC32(64, "q", "q")

// BSWAP with a 16-bit operand is undefined: the whole register after it is the host's answer.
static inline uint64_t tz_bswap16(uint64_t value) {
    __asm__(".byte 0x66, 0x0f, 0xc8" : "+a"(value));
    return value;
}

// MARK: String instructions on host memory, upwards; overlaps behave as the guest's own would

#define TZ_REP_STRING(bits, suffix)                                                                                   \
    static inline void tz_rep_movs##bits(void *_Nonnull to, const void *_Nonnull from, uint64_t count) {              \
        __asm__ volatile("rep movs" suffix : "+D"(to), "+S"(from), "+c"(count) : : "memory");                         \
    }                                                                                                                 \
    static inline void tz_rep_stos##bits(void *_Nonnull to, uint##bits##_t value, uint64_t count) {                   \
        __asm__ volatile("rep stos" suffix : "+D"(to), "+c"(count) : "a"(value) : "memory");                          \
    }

TZ_REP_STRING(8, "b")
TZ_REP_STRING(16, "w")
TZ_REP_STRING(32, "l")
TZ_REP_STRING(64, "q")

#endif

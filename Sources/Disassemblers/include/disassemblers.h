// Two independent decoders, Zydis and Capstone, reduced to what the decoder's tests compare. Both are loaded when asked
// for: neither the product nor its build needs them. On a machine where their headers were missing at build time, or
// their libraries are missing now, `tz_zydis_open` and `tz_capstone_open` say so.
#ifndef TRAPEZE_DISASSEMBLERS_H
#define TRAPEZE_DISASSEMBLERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What code is decoded as.
typedef enum { TZ_CODE_16, TZ_CODE_32, TZ_CODE_64, TZ_CODE_REAL } tz_code_mode;

// How an operand is encoded.
enum { TZ_ROLE_OTHER, TZ_ROLE_REG, TZ_ROLE_RM, TZ_ROLE_VVVV, TZ_ROLE_OPCODE, TZ_ROLE_IS4, TZ_ROLE_IMMEDIATE, TZ_ROLE_MOFFS };

// What an operand is. Registers have a number, those of AH, CH, DH and BH are 4 to 7 of class TZ_KIND_HIGH.
enum {
    TZ_KIND_NONE, TZ_KIND_GPR, TZ_KIND_HIGH, TZ_KIND_MMX, TZ_KIND_XMM, TZ_KIND_YMM, TZ_KIND_X87, TZ_KIND_SEGMENT,
    TZ_KIND_CONTROL, TZ_KIND_DEBUG, TZ_KIND_OTHER, TZ_KIND_MEMORY, TZ_KIND_IMMEDIATE, TZ_KIND_FAR
};

enum { TZ_NO_REGISTER = 255, TZ_IP_REGISTER = 254 };

typedef struct tz_operand {
    uint8_t role, kind, number;
    uint8_t base, index, scale, segment;  // of a memory operand; scale 1 to 8
    uint16_t bits;                        // size
    uint16_t selector;                    // of a far pointer
    int64_t value;                        // immediate or displacement
} tz_operand;

enum { TZ_MOST_OPERANDS = 10 };

// A decoded instruction. `length` is 0 for what is none.
typedef struct tz_disassembly {
    uint8_t length, operand_count;
    bool truncated, locked;
    const char *_Nullable mnemonic;
    const char *_Nullable extension;  // of the instruction set
    const char *_Nullable set;
    tz_operand operands[TZ_MOST_OPERANDS];
} tz_disassembly;

// Loads the library. Null, or one line that says why it can't be used.
const char *_Nullable tz_zydis_open(void);
const char *_Nullable tz_capstone_open(void);

// Decodes one instruction; the library must have been opened. Not to be called from two threads at once.
void tz_zydis_decode(tz_code_mode mode, bool amd_branches, const uint8_t *_Nonnull bytes, size_t count,
                     tz_disassembly *_Nonnull out);
// Capstone's operands have no role.
void tz_capstone_decode(tz_code_mode mode, const uint8_t *_Nonnull bytes, size_t count, tz_disassembly *_Nonnull out);

#endif

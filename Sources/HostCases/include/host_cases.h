// What the differential tests and `host-executor` tell each other: a case is one instruction with the state before it,
// an outcome the state after it. Both sides lay out memory as given here and fill it with the same pattern.
#ifndef TRAPEZE_HOST_CASES_H
#define TRAPEZE_HOST_CASES_H

#include <stdint.h>

// Linear addresses, the same natively and in the guest. What lies around the areas is not mapped.
enum {
    TZ_HOST_CODE = 0x20000000,
    TZ_HOST_CODE_SIZE = 0x2000,      // read-only, filled with INT3
    TZ_HOST_DATA = 0x30000000,
    TZ_HOST_DATA_WRITABLE = 0x4000,  // then read-only to the end
    TZ_HOST_DATA_SIZE = 0x5000,
    TZ_HOST_GS_BASE = 0x30000123,
    TZ_HOST_FS_BASE = 0x30001458,
};

enum { TZ_HOST_ES, TZ_HOST_CS, TZ_HOST_SS, TZ_HOST_DS, TZ_HOST_FS, TZ_HOST_GS };
enum { TZ_HOST_POKES = 8, TZ_HOST_SPAN = 512, TZ_HOST_XSAVE = 832 };

// A change to memory before the case; undone after it.
typedef struct tz_host_poke {
    uint64_t offset;  // from TZ_HOST_DATA, at most TZ_HOST_DATA_WRITABLE - 8
    uint64_t value;
} tz_host_poke;

typedef struct tz_host_case {
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t flags;
    tz_host_poke pokes[TZ_HOST_POKES];
    uint32_t poke_count;
    uint32_t code_length;
    uint32_t compatibility;  // run as 32-bit code
    uint64_t ignored_flags;  // not to be compared
    uint8_t code[20];
    // Offsets of bytes in the data area that are not to be compared: first and count each.
    uint32_t ignored_data[3][2];
    uint8_t xsave[TZ_HOST_XSAVE];  // x87, SSE and AVX state in the standard format, every component in use
} tz_host_case;

typedef struct tz_host_outcome {
    uint64_t gpr[16];
    uint64_t rip;
    uint64_t flags;
    uint64_t vector;  // of the exception that ended the run; INT3 behind the instruction if nothing went wrong
    uint64_t error;   // its error code
    uint64_t address; // CR2 of a page fault
    uint64_t first, count;  // where data changed: offset and length of the span from first to last changed byte
    uint64_t hash;          // of that span
    uint8_t span[TZ_HOST_SPAN];  // its beginning
    uint16_t selectors[6];       // ES CS SS DS FS GS
    uint64_t fs_base, gs_base;
    uint8_t xsave[TZ_HOST_XSAVE];
} tz_host_outcome;

// Fills the data area with the pattern it has before every case.
void tz_host_fill(void *_Nonnull data);

// Makes a case's changes to the data area, or takes them back to the pattern in `clean`.
void tz_host_poke_all(void *_Nonnull data, const tz_host_case *_Nonnull c);
void tz_host_restore(void *_Nonnull data, const void *_Nonnull clean, const tz_host_case *_Nonnull c,
                     const tz_host_outcome *_Nonnull outcome);

// Describes how the data area differs from `clean` with the case's changes. Takes back what is to be ignored.
void tz_host_compare(void *_Nonnull data, const void *_Nonnull clean, const tz_host_case *_Nonnull c,
                     tz_host_outcome *_Nonnull outcome);

// Whether the host's CPU is AMD's.
int tz_host_is_amd(void);

// Whether the host's kernel lets programs use RDFSBASE and its kin.
int tz_host_has_fsgsbase(void);

// Starts the executor at `path` (posix_spawn) with pipes to its standard input and output. 0 or an errno.
int tz_host_spawn(const char *_Nonnull path, int *_Nonnull process, int *_Nonnull to, int *_Nonnull from);

#endif

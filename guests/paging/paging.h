// The groups of checks, and what they share: raw access to all levels of the tables.

#ifndef PAGING_H
#define PAGING_H

#include "checks.h"
#include "pages.h"
#include "probe.h"

#define PTE_NX (1ull << 63)
#define FRAME_MASK 0x000ffffffffff000

// Error codes of page faults.
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };

// Where the checks map things; two frames to map there, and 4 MiB of RAM that nothing else uses.
#define WINDOW 0x4000000000
#define BIG 0x800000
extern uint64_t frames[2][512];

// The entry of level 4 (PML4E) to 1 (PTE) for `address`; `map_page` has made the tables.
uint64_t *entry_at(int level, uint64_t address);

INLINE void flush_all(void) { write_cr3(read_cr3()); }

INLINE uint64_t load(uint64_t address) { return *(volatile uint64_t *)address; }
INLINE void store(uint64_t address, uint64_t value) { *(volatile uint64_t *)address = value; }

bool offers_nx(void);

void check_sizes(void);
void check_rights(void);
void check_accessed_and_dirty(void);
void check_invalidation(void);
void check_supervisor_modes(void);

#endif

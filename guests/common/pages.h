// Page tables in long mode, 4 KiB at a time, beside the identity map that long-mode.S made.

#ifndef PAGES_H
#define PAGES_H

#include "cpu.h"

extern uint64_t pml4[512];

// The entry that maps `address` by a 4 KiB page. Tables that are missing on the way are added, with all rights.
// The address must not lie in the first 4 GiB, which 2 MiB pages map.
uint64_t *page_entry(uintptr_t address);

// Maps the 4 KiB page at `address` to guest-physical `frame` with the PTE bits `flags`, and drops the old translation.
void map_page(uintptr_t address, uint64_t frame, uint64_t flags);

#endif

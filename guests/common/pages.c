// Page tables in long mode: see pages.h.

#include "pages.h"

static uint64_t spare_tables[32][512] __attribute__((aligned(4096)));
static unsigned spare_used;

uint64_t *page_entry(uintptr_t address) {
    uint64_t *table = pml4;
    for (int shift = 39; shift > 12; shift -= 9) {
        uint64_t *entry = &table[address >> shift & 511];
        if (!(*entry & PTE_P)) *entry = (uint64_t)spare_tables[spare_used++] | PTE_P | PTE_W | PTE_U;
        table = (uint64_t *)(*entry & 0x000ffffffffff000);
    }
    return &table[address >> 12 & 511];
}

void map_page(uintptr_t address, uint64_t frame, uint64_t flags) {
    *page_entry(address) = frame | flags;
    invlpg(address);
}

// paging: 4-level paging (Intel SDM volume 3, chapter 4).

#include "paging.h"

#include "console.h"

uint64_t frames[2][512] __attribute__((aligned(4096)));

uint64_t *entry_at(int level, uint64_t address) {
    uint64_t *table = pml4;
    for (int at = 4; at > level; at--) {
        table = (uint64_t *)(table[address >> (12 + 9 * (at - 1)) & 511] & FRAME_MASK);
    }
    return &table[address >> (12 + 9 * (level - 1)) & 511];
}

bool offers_nx(void) { return cpuid(0x80000001, 0).edx >> 20 & 1; }

int main(void) {
    open_console();
    install_traps();
    check_sizes();
    check_rights();
    check_accessed_and_dirty();
    check_invalidation();
    check_supervisor_modes();
    return report_checks();
}

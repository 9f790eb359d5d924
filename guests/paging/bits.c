// paging: the accessed and dirty bits (Intel SDM volume 3, 4.8): set when used, never before.

#include "paging.h"

static uint64_t bits_of(int level) { return *entry_at(level, WINDOW) & (PTE_A | PTE_D); }

static void clear_bits(uint64_t flags) {
    for (int level = 1; level <= 4; level++) *entry_at(level, WINDOW) &= ~(uint64_t)(PTE_A | PTE_D);
    *entry_at(1, WINDOW) = (uint64_t)frames[0] | flags;
    flush_all();
}

void check_accessed_and_dirty(void) {
    map_page(WINDOW, (uint64_t)frames[0], PTE_P | PTE_W);
    clear_bits(PTE_P | PTE_W);
    check_value("A and D are 0 before an access", bits_of(1) | bits_of(2), 0);
    load(WINDOW);
    check_value("a load sets A in the PTE", bits_of(1), PTE_A);
    check_value("  in the PDE", bits_of(2), PTE_A);
    check_value("  in the PDPTE", bits_of(3), PTE_A);
    check_value("  in the PML4E", bits_of(4), PTE_A);
    store(WINDOW, 1);
    check_value("a store sets D in the PTE", bits_of(1), PTE_A | PTE_D);
    check_value("  not in the PDE", bits_of(2), PTE_A);
    clear_bits(PTE_P | PTE_W);
    store(WINDOW, 1);
    check_value("a store without a load before sets both", bits_of(1), PTE_A | PTE_D);
    clear_bits(PTE_P | PTE_W);
    load(WINDOW);
    *entry_at(1, WINDOW) &= ~(uint64_t)PTE_A;
    invlpg(WINDOW);
    load(WINDOW);
    check_value("A is set again after INVLPG", bits_of(1), PTE_A);

    clear_bits(PTE_P);
    PROBE("mov $0x4000000000, %%rax", "movb $1, (%%rax)");
    check_value("a store that faults does not set D", bits_of(1) & PTE_D, 0);
    frames[0][0] = 5;
    clear_bits(PTE_P | PTE_W);
    PROBE("mov $0x4000000000, %%rsi; mov $6, %%eax", "lock cmpxchg %%rcx, (%%rsi)");
    check_value("LOCK CMPXCHG that does not match sets D: it writes", bits_of(1), PTE_A | PTE_D);

    // The CPU's own accesses set them, too: a descriptor that is loaded, a stack that is pushed to.
    clear_bits(PTE_P | PTE_W);
    PROBE("mov $0x4000000800, %%rsp", "push %%rax");
    check_value("PUSH sets D", bits_of(1), PTE_A | PTE_D);
    clear_bits(PTE_P | PTE_W);
    PROBE("mov $0x4000000000, %%rax", "lgdt (%%rax)");
    __asm__ volatile("lgdt gdt_register");
    check_value("LGDT sets A of its operand's page", bits_of(1), PTE_A);

    // A page of 2 MiB has its D bit in the PDE.
    uint64_t *entry = entry_at(2, WINDOW + 0x40000000);
    *entry = BIG | PTE_P | PTE_W | PTE_PS;
    flush_all();
    load(WINDOW + 0x40000000);
    check_value("2 MiB page: a load sets A", *entry & (PTE_A | PTE_D), PTE_A);
    store(WINDOW + 0x40012340, 1);
    check_value("  a store sets D", *entry & (PTE_A | PTE_D), PTE_A | PTE_D);
    // What the bits were before stays: software may set them itself.
    clear_bits(PTE_P | PTE_W | PTE_A | PTE_D | 0xe00);
    load(WINDOW);
    check_value("bits 9 to 11 are the software's", *entry_at(1, WINDOW) & 0xe00, 0xe00);
}

// paging: pages of 4 KiB, 2 MiB and 1 GiB, and what is canonical.

#include "paging.h"

// The last byte of the lower half and the first of the upper.
#define LOWER_END 0x00007ffffffff000
#define UPPER_START 0xffff800000000000
#define UPPER_END 0xfffffffffffff000

void check_sizes(void) {
    for (unsigned i = 0; i < 4 << 20; i += 4096) store(BIG + i, i);

    map_page(WINDOW, BIG + 0x5000, PTE_P | PTE_W);
    check_value("4 KiB page", load(WINDOW), 0x5000);

    map_page(WINDOW + 0x40000000, BIG, PTE_P);
    *entry_at(2, WINDOW + 0x40000000) = BIG | PTE_P | PTE_W | PTE_PS;
    flush_all();
    check_value("2 MiB page, its first frame", load(WINDOW + 0x40000000), 0);
    check_value("  its last frame", load(WINDOW + 0x401ff000), 0x1ff000);
    *entry_at(2, WINDOW + 0x40000000) = (BIG + (2 << 20)) | PTE_P | PTE_W | PTE_PS;
    invlpg(WINDOW + 0x40123456);
    check_value("  elsewhere after one INVLPG: first frame", load(WINDOW + 0x40000000), 0x200000);
    check_value("  last frame", load(WINDOW + 0x401ff000), 0x3ff000);

    if (cpuid(0x80000001, 0).edx >> 26 & 1) {
        map_page(WINDOW + 0x80000000, BIG, PTE_P);
        *entry_at(3, WINDOW + 0x80000000) = PTE_P | PTE_W | PTE_PS;
        flush_all();
        check_value("1 GiB page", load(WINDOW + 0x80000000 + BIG + 0x321000), 0x321000);
        store(WINDOW + 0x80000000 + BIG + 0x321000, 77);
        check_value("  written", load(BIG + 0x321000), 77);
    } else {
        not_offered("1 GiB page");
        not_offered("  written");
    }

    map_page(LOWER_END, (uint64_t)frames[0], PTE_P | PTE_W);
    map_page(UPPER_START, (uint64_t)frames[1], PTE_P | PTE_W);
    map_page(UPPER_END, (uint64_t)frames[1], PTE_P | PTE_W);
    store(LOWER_END + 0xff8, 1);
    store(UPPER_START, 2);
    store(UPPER_END + 0xff8, 3);
    check("the ends of the canonical halves", frames[0][511] == 1 && frames[1][0] == 2 && frames[1][511] == 3);
    PROBE("mov $0x00007ffffffffff9, %%rax", "mov (%%rax), %%rax");
    check_fault("#GP(0): a load over the end of the lower half", VECTOR_GP, 0);
    PROBE("mov $0xffff7fffffffffff, %%rax", "mov (%%rax), %%eax");
    check_fault("#GP(0): a load that begins below the upper half", VECTOR_GP, 0);
}

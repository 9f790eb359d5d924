// nano: page faults, page table entries and address spaces.

#include "nano.h"
#include "pages.h"

// Linear addresses beyond the 4 GiB that are mapped to themselves.
#define ABSENT 0x4000000000
#define WINDOW 0x4000001000

static uint64_t frames[2][512] __attribute__((aligned(4096)));
static uint64_t other_tables[4][512] __attribute__((aligned(4096)));

enum { FIRST = 3, SECOND = 5 };

static void prepare_fault(void) {
    map_page(ABSENT, 0, 0);
    set_gate(VECTOR_PF, count_page_fault, 0, GATE_INTERRUPT);
}
static void finish_fault(void) { set_gate(VECTOR_PF, vector_stubs[VECTOR_PF], 0, GATE_INTERRUPT); }
static bool run_fault(uint64_t rounds) {
    __asm__ volatile("mov %0, %%cr2" : : "r"(0ul));
    return touch_absent(rounds, ABSENT) == rounds * UNROLLED && page_fault_errors == 0 && read_cr2() == ABSENT;
}

static void prepare_entry(void) {
    frames[0][0] = FIRST;
    frames[1][0] = SECOND;
    map_page(WINDOW, (uint64_t)frames[0], PTE_P | PTE_W | PTE_A | PTE_D);
}

// Every other look sees the other frame, beginning with the second one: four of each in a round.
static bool run_entry(uint64_t rounds) {
    uint64_t flip = (uint64_t)frames[0] ^ (uint64_t)frames[1];
    return modify_entry(rounds, page_entry(WINDOW), flip, WINDOW) == rounds * (UNROLLED / 2) * (FIRST + SECOND);
}

// After the loop, a write to CR3 must drop a translation that is in use.
static bool run_cr3(uint64_t rounds) {
    volatile uint64_t *window = (volatile uint64_t *)WINDOW, *entry = page_entry(WINDOW);
    *entry = (uint64_t)frames[0] | PTE_P | PTE_W;
    write_same_cr3(rounds);
    uint64_t before = *window;
    *entry = (uint64_t)frames[1] | PTE_P | PTE_W;
    write_same_cr3(1);
    return before == FIRST && *window == SECOND;
}

// The other space has tables of its own on the way to the window, and differs in nothing else.
static void prepare_switch(void) {
    prepare_entry();
    const uint64_t *from = pml4;
    for (unsigned level = 0;; level++) {
        for (unsigned i = 0; i < 512; i++) other_tables[level][i] = from[i];
        uint64_t *entry = &other_tables[level][(uintptr_t)WINDOW >> (39 - 9 * level) & 511];
        if (level == 3) {
            *entry = (uint64_t)frames[1] | PTE_P | PTE_W;
            return;
        }
        from = (const uint64_t *)(*entry & 0x000ffffffffff000);
        *entry = (uint64_t)other_tables[level + 1] | PTE_P | PTE_W;
    }
}

static bool run_switch(uint64_t rounds) {
    uint64_t sum = switch_spaces(rounds, (uintptr_t)pml4, (uintptr_t)other_tables[0], WINDOW);
    return sum == rounds * (UNROLLED / 2) * (FIRST + SECOND) && read_cr3() == (uintptr_t)pml4;
}

// An abandoned loop may have left the other space in place.
static void finish_switch(void) { write_cr3((uintptr_t)pml4); }

const struct operation memory_operations[] = {
    {.name = "pgfault", .prepare = prepare_fault, .run = run_fault, .finish = finish_fault, .per_round = UNROLLED},
    {.name = "ptemod", .prepare = prepare_entry, .run = run_entry, .per_round = UNROLLED},
    {.name = "cr3wr", .prepare = prepare_entry, .run = run_cr3, .per_round = UNROLLED},
    {.name = "switch", .prepare = prepare_switch, .run = run_switch, .finish = finish_switch, .per_round = UNROLLED},
    {0},
};

// smp-memory: accessed and dirty flags, which CPUs set in entries that another CPU changes (Intel SDM volume 3, 4.8: "with
// atomic accesses"). No change is lost, neither the flag nor the other's.

#include "shared.h"

enum { ROUNDS = 20000, XCHG_ROUNDS = 300 };

static volatile bool running;
static volatile uint32_t loops[ALL];

// Reads and writes the page by new translations.
static void touch(unsigned processor) {
    while (running) {
        invlpg(PAGE(6));
        if (processor & 1)
            *(volatile uint8_t *)PAGE(6);
        else
            *(volatile uint8_t *)(PAGE(6) + processor) = 1;
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
}

static void count_up(unsigned processor) {
    __asm__ volatile("sti");
    while (running) {
        __asm__ volatile("incq (%0)" : : "r"(PAGE(6) + processor * 64) : "memory");
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
    __asm__ volatile("cli");
}

static bool wait_until_present(struct trap *trap) {
    (void)trap;
    if ((read_cr2() & ~0xffful) != PAGE(6)) return false;
    __asm__ volatile("sti");
    while (!(*(volatile uint64_t *)page_entry(PAGE(6)) & PTE_P)) step_aside();
    __asm__ volatile("cli");
    return true;
}

static void begin(work_function *work) {
    running = true;
    for (unsigned i = 1; i < ALL; i++) begin_work(i, work);
}

static void end(void) {
    running = false;
    for (unsigned i = 1; i < ALL; i++) finish_work(i);
}

static void let_work(void) {
    for (unsigned i = 1; i < ALL; i++)
        for (uint32_t before = loops[i]; loops[i] == before;) step_aside();
}

void check_flags(void) {
    volatile uint64_t *entry = page_entry(PAGE(6));
    map_page(PAGE(6), (uint64_t)frames[6], PTE_P | PTE_W);
    begin(touch);
    // A count in the ignored bits 58:52, and A and D cleared all the while.
    for (int i = 0; i < ROUNDS; i++) {
        __asm__ volatile("lock addq %1, %0" : "+m"(*entry) : "r"(1ul << 52));
        // Bit 59 takes the count's carry.
        __asm__ volatile("lock btrq $59, %0" : "+m"(*entry));
        __asm__ volatile("lock andq %1, %0" : "+m"(*entry) : "r"(~(uint64_t)(PTE_A | PTE_D)));
    }
    let_work();
    let_work();
    end();
    check_value("an entry's other bits, while A and D are set in it", *entry >> 52, ROUNDS & 0x7f);
    check_value("  A and D", *entry & (PTE_A | PTE_D), PTE_A | PTE_D);
    check_value("  the rest", *entry & 0xffffffffff01f, (uint64_t)frames[6] | PTE_P | PTE_W);

    // The entry is exchanged for 0, as when a page is taken away. If D was clear in it, nobody has written.
    *entry = (uint64_t)frames[6] | PTE_P | PTE_W;
    on_page_fault = wait_until_present;
    begin(count_up);
    unsigned lost = 0;
    for (int round = 0; round < XCHG_ROUNDS; round++) {
        uint64_t old = 0;
        __asm__ volatile("xchgq %0, %1" : "+r"(old), "+m"(*entry) : : "memory");
        shoot_down(PAGE(6));
        uint64_t before = 0, after = 0;
        for (unsigned i = 1; i < ALL; i++) before += *(volatile uint64_t *)&frames[6][i * 64];
        // Present again, and clean; and gone again at once, or a little later.
        *entry = (uint64_t)frames[6] | PTE_P | PTE_W | PTE_A;
        for (int i = round % 64; i > 0; i--) pause();
        old = 0;
        __asm__ volatile("xchgq %0, %1" : "+r"(old), "+m"(*entry) : : "memory");
        shoot_down(PAGE(6));
        for (unsigned i = 1; i < ALL; i++) after += *(volatile uint64_t *)&frames[6][i * 64];
        lost += after != before && !(old & PTE_D);
        *entry = (uint64_t)frames[6] | PTE_P | PTE_W;
        if (round % 16 == 0) let_work();
    }
    end();
    on_page_fault = NULL;
    check_value("an entry exchanged for 0: no write without D", lost, 0);
}

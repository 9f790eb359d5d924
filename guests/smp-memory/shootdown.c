// smp-memory: translations that are taken away (Intel SDM volume 3, 4.10.5). A CPU that has acknowledged the shootdown
// never again reads or writes through the old translation.

#include "shared.h"

enum { ROUNDS = 400, POISON = 0xdead };

static volatile bool running;
static volatile uint32_t wrong, loops[ALL];

static volatile uint64_t *word(unsigned frame) { return (volatile uint64_t *)frames[frame]; }

static void read_page(unsigned processor) {
    __asm__ volatile("sti");
    while (running) {
        for (int i = 0; i < 20; i++)
            if (*(volatile uint64_t *)PAGE(4) == POISON) wrong = wrong + 1;
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
    __asm__ volatile("cli");
}

static void write_page(unsigned processor) {
    __asm__ volatile("sti");
    while (running) {
        for (int i = 0; i < 20; i++)
            __asm__ volatile("incq (%0)" : : "r"(PAGE(4) + processor * 64) : "memory");
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
    __asm__ volatile("cli");
}

// A write to the protected page waits for the page to be writable again.
static bool wait_until_writable(struct trap *trap) {
    (void)trap;
    if ((read_cr2() & ~0xffful) != PAGE(4)) return false;
    // The shooter waits for this CPU too.
    __asm__ volatile("sti");
    while ((*(volatile uint64_t *)page_entry(PAGE(4)) & (PTE_P | PTE_W)) != (PTE_P | PTE_W)) step_aside();
    __asm__ volatile("cli");
    return true;
}

// Until each of the other CPUs has been round once more.
static void let_work(void) {
    for (unsigned i = 1; i < ALL; i++)
        for (uint32_t before = loops[i]; loops[i] == before;) step_aside();
}

static void begin(work_function *work) {
    running = true;
    wrong = 0;
    for (unsigned i = 1; i < ALL; i++) begin_work(i, work);
}

static void end(void) {
    running = false;
    for (unsigned i = 1; i < ALL; i++) finish_work(i);
}

static uint64_t sum(unsigned frame) {
    uint64_t sum = 0;
    for (unsigned i = 1; i < ALL; i++) sum = sum * 31 + word(frame)[i * 8];
    return sum;
}

void check_shootdown(void) {
    volatile uint64_t *entry = page_entry(PAGE(4));
    map_page(PAGE(4), (uint64_t)frames[3], PTE_P | PTE_W);
    *word(3) = *word(4) = 0;
    begin(read_page);
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned old = round & 1 ? 4 : 3, new = round & 1 ? 3 : 4;
        *entry = (uint64_t)frames[new] | PTE_P | PTE_W;
        shoot_down(PAGE(4));
        *word(old) = POISON;
        let_work();
        *word(old) = 0;
    }
    end();
    check_value("readers after a shootdown: none of the old page", wrong, 0);

    begin(write_page);
    unsigned changed = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned old = round & 1 ? 4 : 3, new = round & 1 ? 3 : 4;
        *entry = (uint64_t)frames[new] | PTE_P | PTE_W;
        shoot_down(PAGE(4));
        uint64_t before = sum(old);
        let_work();
        changed += sum(old) != before;
    }
    end();
    check_value("writers after a shootdown: none to the old page", changed, 0);

    on_page_fault = wait_until_writable;
    begin(write_page);
    *entry = (uint64_t)frames[4] | PTE_P | PTE_W;
    shoot_down(PAGE(4));
    changed = 0;
    unsigned stale = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        *entry &= ~(uint64_t)PTE_W;
        shoot_down(PAGE(4));
        uint64_t before = sum(4);
        for (int i = 0; i < 4; i++) step_aside();
        changed += sum(4) != before;
        *entry |= PTE_W;
        let_work();
        stale += sum(4) == before;
    }
    end();
    on_page_fault = NULL;
    check_value("writers to a page made read-only: none", changed, 0);
    check_value("  and all go on when it is writable again", stale, 0);
}

// paging: R/W, U/S and XD are combined over all levels (Intel SDM volume 3, 4.6).

#include "paging.h"

// Under a PML4E of its own, so that every level can be changed.
#define APART 0x200000000000

extern const char user_load[], user_store[];

static const char *const level_names[] = {"", "PTE", "PDE", "PDPTE", "PML4E"};

// A name such as "R/W = 0 in the PDE".
static const char *name_of(const char *bit, int level) {
    static char text[64];
    char *to = text;
    for (const char *from = bit; *from; from++) *to++ = *from;
    for (const char *from = level_names[level]; *from; from++) *to++ = *from;
    *to = 0;
    return text;
}

void check_rights(void) {
    map_page(APART, (uint64_t)frames[0], PTE_P | PTE_W | PTE_U);
    probe_user(user_store, user_store, APART);
    check("a user page is written in ring 3", outcome.trap.vector == 0x80);

    for (int level = 1; level <= 4; level++) {
        uint64_t *entry = entry_at(level, APART);
        *entry &= ~(uint64_t)PTE_U;
        flush_all();
        probe_user(user_load, user_load, APART);
        check_page_fault(name_of("#PF(5): load in ring 3, U/S = 0 in the ", level), PF_P | PF_U, APART);
        *entry |= PTE_U;
        *entry &= ~(uint64_t)PTE_W;
        flush_all();
        PROBE("mov $0x200000000000, %%rax", "movb $1, (%%rax)");
        check_page_fault(name_of("#PF(3): store, R/W = 0 in the ", level), PF_P | PF_W, APART);
        PROBE("mov $0x200000000000, %%rax", "mov (%%rax), %%al");
        check_no_trap(name_of("  a load is allowed, R/W = 0 in the ", level));
        *entry |= PTE_W;
        *entry &= ~(uint64_t)PTE_P;
        flush_all();
        PROBE("mov $0x200000000000, %%rax", "mov (%%rax), %%al");
        check_page_fault(name_of("#PF(0): load, P = 0 in the ", level), 0, APART);
        *entry |= PTE_P;
        if (offers_nx()) {
            *entry |= PTE_NX;
            flush_all();
            PROBE("mov $0x200000000000, %%rax", "jmp *%%rax");
            outcome.instruction = APART;
            check_page_fault(name_of("#PF(11): fetch, XD = 1 in the ", level), PF_P | PF_I, APART);
            *entry &= ~PTE_NX;
        } else {
            not_offered(name_of("#PF(11): fetch, XD = 1 in the ", level));
        }
        flush_all();
    }
    // With CR0.WP = 0 the supervisor writes read-only pages; the user never does.
    *entry_at(1, APART) &= ~(uint64_t)PTE_W;
    write_cr0(read_cr0() & ~(uintptr_t)CR0_WP);
    flush_all();
    PROBE("mov $0x200000000000, %%rax", "movb $1, (%%rax)");
    check_no_trap("CR0.WP = 0: a store at CPL 0 is allowed");
    probe_user(user_store, user_store, APART);
    check_page_fault("#PF(7): in ring 3 it is not", PF_P | PF_W | PF_U, APART);
    write_cr0(read_cr0() | CR0_WP);
}

// paging: translations are dropped when the manual says so (Intel SDM volume 3, 4.10.4), by each way there is.
//
// Nothing here depends on a translation being kept: no CPU promises that.

#include "paging.h"

// Maps the window to the other frame without telling the CPU.
static uint64_t switch_frames(uint64_t flags) {
    static unsigned which;
    which ^= 1;
    *entry_at(1, WINDOW) = (uint64_t)frames[which] | PTE_P | PTE_W | flags;
    return which + 100;
}

static void check_pcid(void) {
    if (!(cpuid(1, 0).ecx >> 17 & 1)) {
        not_offered("PCID: MOV to CR3");
        not_offered("  INVLPG");
        not_offered("#GP(0): MOV to CR4, PCIDE = 1 when CR3[11:0] is not 0");
        not_offered("INVPCID, one address");
        not_offered("INVPCID, one context");
        not_offered("INVPCID, all");
        not_offered("INVPCID, all but global");
        not_offered("#GP(0): INVPCID, type 4");
        return;
    }
    uint64_t root = read_cr3();
    write_cr4(read_cr4() | CR4_PCIDE);
    load(WINDOW);
    uint64_t expected = switch_frames(0);
    write_cr3(root | 5);
    write_cr3(root);
    check_value("PCID: MOV to CR3", load(WINDOW), expected);
    expected = switch_frames(0);
    invlpg(WINDOW);
    check_value("  INVLPG", load(WINDOW), expected);

    write_cr3(root | 1);
    write_cr4(read_cr4() & ~(uintptr_t)CR4_PCIDE);
    PROBE("mov %%cr4, %%rax; bts $17, %%rax", "mov %%rax, %%cr4");
    check_fault("#GP(0): MOV to CR4, PCIDE = 1 when CR3[11:0] is not 0", VECTOR_GP, 0);
    write_cr3(root);

    if (!(cpuid(7, 0).ebx >> 10 & 1)) {
        not_offered("INVPCID, one address");
        not_offered("INVPCID, one context");
        not_offered("INVPCID, all");
        not_offered("INVPCID, all but global");
        not_offered("#GP(0): INVPCID, type 4");
        return;
    }
    static const char *const names[] = {
        "INVPCID, one address", "INVPCID, one context", "INVPCID, all", "INVPCID, all but global"};
    struct {
        uint64_t pcid, address;
    } descriptor = {0, WINDOW};
    for (uint64_t type = 0; type < 4; type++) {
        load(WINDOW);
        expected = switch_frames(0);
        __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(type) : "memory");
        check_value(names[type], load(WINDOW), expected);
    }
    PROBE("mov $4, %%eax; push $0; push $0", "invpcid (%%rsp), %%rax");
    check_fault("#GP(0): INVPCID, type 4", VECTOR_GP, 0);
}

void check_invalidation(void) {
    frames[0][0] = 100;
    frames[1][0] = 101;
    map_page(WINDOW, (uint64_t)frames[0], PTE_P | PTE_W);

    load(WINDOW);
    uint64_t expected = switch_frames(0);
    invlpg(WINDOW + 0xabc);
    check_value("INVLPG", load(WINDOW), expected);
    expected = switch_frames(0);
    flush_all();
    check_value("MOV to CR3", load(WINDOW), expected);
    expected = switch_frames(PTE_G);
    write_cr4(read_cr4() ^ CR4_PGE);
    check_value("MOV to CR4 that changes PGE", load(WINDOW), expected);
    write_cr4(read_cr4() | CR4_PGE);
    load(WINDOW);
    expected = switch_frames(0);
    invlpg(WINDOW);
    check_value("INVLPG drops a global page", load(WINDOW), expected);
    expected = switch_frames(PTE_G);
    invlpg(WINDOW);
    load(WINDOW);
    expected = switch_frames(0);
    write_cr4(read_cr4() & ~(uintptr_t)CR4_PGE);
    check_value("clearing CR4.PGE drops a global page", load(WINDOW), expected);

    // From absent to present needs no invalidation (4.10.2.3): no translation is kept of an entry with P = 0.
    *entry_at(1, WINDOW) = 0;
    invlpg(WINDOW);
    PROBE("mov $0x4000000000, %%rax", "mov (%%rax), %%rax");
    check_page_fault("#PF(0): P = 0", 0, WINDOW);
    expected = switch_frames(0);
    check_value("  P = 1, no INVLPG needed", load(WINDOW), expected);
    // A fault drops what is kept of its page, so more rights need none, either, once they have been tried.
    *entry_at(1, WINDOW) &= ~(uint64_t)PTE_W;
    invlpg(WINDOW);
    PROBE("mov $0x4000000000, %%rax", "movb $1, 8(%%rax)");
    check_page_fault("#PF(3): R/W = 0", PF_P | PF_W, WINDOW + 8);
    *entry_at(1, WINDOW) |= PTE_W;
    PROBE("mov $0x4000000000, %%rax", "movb $1, 8(%%rax)");
    check_no_trap("  R/W = 1 after the fault, no INVLPG needed");

    check_pcid();
}

// paging: SMEP and SMAP (Intel SDM volume 3, 4.6), if CPUID offers them.

#include "paging.h"

void check_supervisor_modes(void) {
    map_page(WINDOW, (uint64_t)frames[0], PTE_P | PTE_W | PTE_U);
    *(volatile uint8_t *)WINDOW = 0xc3;     // RET

    if (cpuid(7, 0).ebx >> 7 & 1) {
        PROBE("mov $0x4000000000, %%rax", "call *%%rax");
        check_no_trap("SMEP = 0: a user page is executed at CPL 0");
        write_cr4(read_cr4() | CR4_SMEP);
        PROBE("mov $0x4000000000, %%rax", "call *%%rax");
        outcome.instruction = WINDOW;
        check_page_fault("#PF(11): SMEP = 1, it is not", PF_P | PF_I, WINDOW);
        PROBE("mov $0x4000000000, %%rax", "mov (%%rax), %%al");
        check_no_trap("  but it is read");
        write_cr4(read_cr4() & ~(uintptr_t)CR4_SMEP);
    } else {
        not_offered("SMEP = 0: a user page is executed at CPL 0");
        not_offered("#PF(11): SMEP = 1, it is not");
        not_offered("  but it is read");
    }

    if (cpuid(7, 0).ebx >> 20 & 1) {
        write_cr4(read_cr4() | CR4_SMAP);
        PROBE("mov $0x4000000000, %%rax", "mov (%%rax), %%al");
        check_page_fault("#PF(1): SMAP = 1, a user page is read at CPL 0", PF_P, WINDOW);
        PROBE("mov $0x4000000000, %%rax", "movb $0xc3, (%%rax)");
        check_page_fault("#PF(3): SMAP = 1, it is written", PF_P | PF_W, WINDOW);
        PROBE("mov $0x4000000000, %%rax; stac", "mov (%%rax), %%al; clac");
        check_no_trap("  STAC allows it");
        PROBE("mov $0x4000000000, %%rax; stac; clac", "mov (%%rax), %%al");
        check_page_fault("#PF(1): CLAC forbids it again", PF_P, WINDOW);
        PROBE("mov $0x4000000000, %%rax", "call *%%rax");
        check_no_trap("  it is executed all the same");
        PROBE("stac; mov $0x4000000ff8, %%rsp", "push %%rax; clac");
        check_no_trap("  PUSH with AC = 1");
        write_cr4(read_cr4() & ~(uintptr_t)CR4_SMAP);
    } else {
        not_offered("#PF(1): SMAP = 1, a user page is read at CPL 0");
        not_offered("#PF(3): SMAP = 1, it is written");
        not_offered("  STAC allows it");
        not_offered("#PF(1): CLAC forbids it again");
        not_offered("  it is executed all the same");
        not_offered("  PUSH with AC = 1");
    }
}

// exceptions: #PF at CPL 0, its error code and CR2 (Intel SDM volume 3, 4.7).

#include "pages.h"

#include "checks.h"
#include "exceptions.h"
#include "probe.h"

enum { PF_P = 1, PF_W = 2, PF_RSVD = 8, PF_I = 16 };

#define ABSENT 0x4000000000
#define READ_ONLY 0x4000001000
#define WRITABLE 0x4000002000   // the page behind it is absent
#define NO_EXECUTE 0x4000004000
#define LARGE 0x4040000000
#define PTE_NX (1ull << 63)

static uint64_t frame[512] __attribute__((aligned(4096)));

static void check_data(void) {
    PROBE("mov $0x4000000000, %%rax", "mov (%%rax), %%eax");
    check_page_fault("#PF(0): load, page not present", 0, ABSENT);
    PROBE("mov $0x4000000123, %%rax", "movb $1, (%%rax)");
    check_page_fault("#PF(2): store, page not present", PF_W, ABSENT + 0x123);
    PROBE("mov $0x4000000000, %%rax", "addl $1, (%%rax)");
    check_page_fault("#PF(2): ADD to memory, page not present", PF_W, ABSENT);
    PROBE("mov $0x4000001000, %%rax", "mov (%%rax), %%eax");
    check_no_trap("load, page read-only: none");
    PROBE("mov $0x4000001008, %%rax", "mov %%rcx, (%%rax)");
    check_page_fault("#PF(3): store, page read-only", PF_P | PF_W, READ_ONLY + 8);
    PROBE("mov $0x4000001008, %%rsi; mov $-1, %%rax", "lock cmpxchg %%rcx, (%%rsi)");
    check_page_fault("#PF(3): CMPXCHG that does not match, page read-only", PF_P | PF_W, READ_ONLY + 8);
    PROBE("mov $0x4000000000, %%rdi; xor %%eax, %%eax", "verr (%%rdi)");
    check_page_fault("#PF(0): VERR, operand's page not present", 0, ABSENT);

    write_cr0(read_cr0() & ~(uintptr_t)CR0_WP);
    PROBE("mov $0x4000001008, %%rax", "movq $7, (%%rax)");
    check_no_trap("store, page read-only, CR0.WP = 0: none");
    check_value("and it was written", frame[1], 7);
    write_cr0(read_cr0() | CR0_WP);
}

// An access that crosses into a page that is not there reports where that page begins, and changes nothing.
static void check_crossing(void) {
    frame[511] = 0x1122334455667788;
    PROBE("mov $0x4000002ffc, %%rax", "mov (%%rax), %%rax");
    check_page_fault("#PF(0): load across pages", 0, WRITABLE + 0x1000);
    PROBE("mov $0x4000002ffc, %%rax; mov $-1, %%rcx", "mov %%rcx, (%%rax)");
    check_page_fault("#PF(2): store across pages", PF_W, WRITABLE + 0x1000);
    check_value("and nothing was written", frame[511], 0x1122334455667788);
    PROBE("mov $0x4000002fff, %%rax", "addw $1, (%%rax)");
    check_page_fault("#PF(2): ADD across pages", PF_W, WRITABLE + 0x1000);
    check_value("and nothing was written", frame[511], 0x1122334455667788);
    PROBE("mov $0x4000001ffe, %%rax", "movl $-1, (%%rax)");
    check_page_fault("#PF(3): store across pages, the first read-only", PF_P | PF_W, READ_ONLY + 0xffe);
}

static void check_reserved_bits(void) {
    // Bits 13 to 20 of an entry that maps a 2 MiB page are reserved.
    page_entry(LARGE);      // makes the tables
    uint64_t *pointers = (uint64_t *)(pml4[0] & ~4095ull);
    uint64_t *directory = (uint64_t *)(pointers[LARGE >> 30 & 511] & ~4095ull);
    directory[0] = PTE_P | PTE_W | PTE_PS | 1 << 13;
    write_cr3(read_cr3());
    PROBE("mov $0x4040000000, %%rax", "mov (%%rax), %%eax");
    check_page_fault("#PF(9): load, reserved bit of a 2 MiB page", PF_P | PF_RSVD, LARGE);
    PROBE("mov $0x4040000000, %%rax", "movl $1, (%%rax)");
    check_page_fault("#PF(b): store, reserved bit of a 2 MiB page", PF_P | PF_W | PF_RSVD, LARGE);
}

static void check_fetches(void) {
    if (!(cpuid(0x80000001, 0).edx >> 20 & 1)) {
        not_offered("NX");
        return;
    }
    PROBE("mov $0x4000000000, %%rax", "jmp *%%rax");
    outcome.instruction = ABSENT;
    check_page_fault("#PF(10): fetch, page not present", PF_I, ABSENT);
    PROBE("mov $0x4000004000, %%rax", "jmp *%%rax");
    outcome.instruction = NO_EXECUTE;
    check_page_fault("#PF(11): fetch, page not executable", PF_P | PF_I, NO_EXECUTE);

    // An instruction that begins in one page and ends in the next: RIP and CR2 differ.
    ((uint8_t *)frame)[4095] = 0x48;
    PROBE("mov $0x4000002fff, %%rax", "jmp *%%rax");
    outcome.instruction = WRITABLE + 0xfff;
    check_page_fault("#PF(10): fetch across pages", PF_I, WRITABLE + 0x1000);

    write_msr(MSR_EFER, read_msr(MSR_EFER) & ~(uint64_t)EFER_NXE);
    PROBE("mov $0x4000004000, %%rax", "mov (%%rax), %%eax");
    check_page_fault("#PF(9): load, bit 63 is reserved when EFER.NXE = 0", PF_P | PF_RSVD, NO_EXECUTE);
    PROBE("mov $0x4000000000, %%rax", "jmp *%%rax");
    outcome.instruction = ABSENT;
    check_page_fault("#PF(0): fetch, page not present, EFER.NXE = 0", 0, ABSENT);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_NXE);
}

void check_pages(void) {
    map_page(READ_ONLY, (uint64_t)frame, PTE_P);
    map_page(WRITABLE, (uint64_t)frame, PTE_P | PTE_W);
    map_page(NO_EXECUTE, (uint64_t)frame, PTE_P | PTE_W | PTE_NX);
    check_data();
    check_crossing();
    check_reserved_bits();
    check_fetches();
}

// hostile: descriptor tables and page tables that lead nowhere.

#include "hostile.h"

#define ABSENT 0x4000100000
#define WINDOW 0x4000200000
#define HOLE 0xd0000000

static void attack_ldt(void) {
    gdt[SEL_FREE / 8] = 0x0000820000000fff | (ABSENT & 0xffffff) << 16 | (ABSENT >> 24 & 0xff) << 56;
    gdt[SEL_FREE / 8 + 1] = ABSENT >> 32;
    PROBE("mov $0x48, %%eax; lldt %%ax; mov $0x0c, %%eax", "mov %%eax, %%es");
    check_page_fault("#PF(0): a selector in an LDT that is not mapped", 0, ABSENT + 8);
    gdt[SEL_FREE / 8 + 1] = 0x8000;         // base 0x8000_xxxx_xxxx is not canonical
    PROBE("mov $0x48, %%eax", "lldt %%ax");
    check("LLDT, base not canonical", true);
    __asm__ volatile("lldt %w0" : : "r"(0));

    map_page(WINDOW, HOLE, PTE_P | PTE_W);
    gdt[SEL_FREE / 8] = 0x0000820000000fff | (WINDOW & 0xffffff) << 16 | (WINDOW >> 24 & 0xff) << 56;
    gdt[SEL_FREE / 8 + 1] = WINDOW >> 32;
    PROBE("mov $0x48, %%eax; lldt %%ax; mov $0x0c, %%eax", "mov %%eax, %%es");
    check("a selector in an LDT in memory that is not there", true);
    __asm__ volatile("lldt %w0; mov %1, %%es" : : "r"(0), "r"(SEL_DATA));
}

static void attack_stacks(void) {
    PROBE("mov $0x800000001000, %%rsp", "int3");
    check_outcome("#DF: INT3, stack not canonical", VECTOR_DF, 0, outcome.instruction, 0);
    PROBE("mov $0x4000101000, %%rsp", "ud2");
    check_outcome("#DF: #UD, stack not mapped", VECTOR_DF, 0, outcome.instruction, ABSENT + 0xff8);
}

static void attack_page_tables(void) {
    // A page table in memory that is not there.
    map_page(WINDOW + 0x40000000, 0, PTE_P);
    uint64_t *pointers = (uint64_t *)(pml4[0] & ~4095ull);
    uint64_t *directory = (uint64_t *)(pointers[(WINDOW + 0x40000000) >> 30 & 511] & ~4095ull);
    directory[(WINDOW + 0x40000000) >> 21 & 511] = HOLE | PTE_P | PTE_W;
    write_cr3(read_cr3());
    PROBE("mov $0x4040200000, %%rax", "mov (%%rax), %%al; movb $1, (%%rax)");
    check("a page table in memory that is not there", true);
    directory[(WINDOW + 0x40000000) >> 21 & 511] = 0x000ffffffffff000 | PTE_P | PTE_W;
    write_cr3(read_cr3());
    PROBE("mov $0x4040200000, %%rax", "mov (%%rax), %%al; movb $1, (%%rax)");
    check("a page table at the end of all addresses", true);
    // A page table that is its own page: the accessed bit is set in what is being walked.
    static uint64_t loop[512] __attribute__((aligned(4096)));
    for (unsigned i = 0; i < 512; i++) loop[i] = (uint64_t)loop | PTE_P | PTE_W;
    directory[(WINDOW + 0x40000000) >> 21 & 511] = (uint64_t)loop | PTE_P | PTE_W;
    write_cr3(read_cr3());
    PROBE("mov $0x4040200000, %%rax", "mov (%%rax), %%rcx; movq $0, (%%rax); mov (%%rax), %%rcx");
    check("a page table that maps itself, and is cleared through itself", true);
    directory[(WINDOW + 0x40000000) >> 21 & 511] = 0;
    write_cr3(read_cr3());
}

// Tables and stacks in devices: whatever their registers hold is taken for descriptors and page table entries, and the
// CPU's own accesses are devices' accesses.
static void attack_devices(void) {
    static const struct {
        const char *name;
        uint64_t base;
    } devices[] = {
        {"a page table, an LDT and a stack in the I/O APIC", IOAPIC_BASE},
        {"a page table, an LDT and a stack in the local APIC", LAPIC_BASE},
        {"a page table, an LDT and a stack in memory that is not there", HOLE},
    };
    map_page(WINDOW + 0x40000000, 0, PTE_P);
    uint64_t *pointers = (uint64_t *)(pml4[0] & ~4095ull);
    uint64_t *directory = (uint64_t *)(pointers[(WINDOW + 0x40000000) >> 30 & 511] & ~4095ull);
    for (unsigned i = 0; i < sizeof devices / sizeof *devices; i++) {
        uint64_t *slot = &directory[(WINDOW + 0x40000000) >> 21 & 511];
        *slot = devices[i].base | PTE_P | PTE_W;
        write_cr3(read_cr3());
        PROBE("mov $0x4040200000, %%rax", "mov (%%rax), %%al; movb $1, (%%rax)");
        PROBE("mov $0x40402ff000, %%rax", "lock incl (%%rax)");
        *slot = 0;
        write_cr3(read_cr3());

        map_page(WINDOW, devices[i].base, PTE_P | PTE_W);
        gdt[SEL_FREE / 8] = 0x0000820000000fff | (WINDOW & 0xffffff) << 16 | (WINDOW >> 24 & 0xff) << 56;
        gdt[SEL_FREE / 8 + 1] = WINDOW >> 32;
        PROBE("mov $0x48, %%eax; lldt %%ax; mov $0x64, %%eax", "mov %%eax, %%es");
        __asm__ volatile("lldt %w0; mov %1, %%es" : : "r"(0), "r"(SEL_DATA));
        // The far end of the page has no register of the APICs.
        PROBE("mov $0x4000201000, %%rsp", "push %%rax; pop %%rcx");
        check(devices[i].name, true);
    }
}

void attack_tables(void) {
    attack_ldt();
    attack_devices();
    attack_stacks();
    attack_page_tables();
}

// smp: IPIs in x2APIC mode (Intel SDM volume 3, 11.12).

#include "smp.h"

#include "console.h"

enum { MSR_LDR = 0x80d, MSR_ICR = 0x830, MSR_SELF = 0x83f, MSR_SVR = 0x80f };

static volatile uint32_t logical[ALL];
static volatile bool listening;
static volatile uint32_t listeners;

static void enable(unsigned processor) {
    write_msr(MSR_APIC_BASE, read_msr(MSR_APIC_BASE) | 0xc00);
    write_msr(MSR_SVR, 0x1ff);
    logical[processor] = (uint32_t)read_msr(MSR_LDR);
}

static void listen(unsigned processor) {
    (void)processor;
    __atomic_add_fetch(&listeners, 1, __ATOMIC_SEQ_CST);
    while (listening) wait_for_interrupt();
}

static void check_reaches(const char *name, uint64_t command, unsigned expected) {
    static uint8_t vector = 0x40;
    vector++;
    for (unsigned i = 0; i < ALL; i++) taken[i][vector] = 0;
    write_msr(MSR_ICR, command | vector);
    __asm__ volatile("sti; nop; nop; cli");
    for (unsigned i = 0; i < ALL; i++)
        if (expected >> i & 1) comes_to(&taken[i][vector], 1);
    settle();
    unsigned reached = 0;
    for (unsigned i = 0; i < ALL; i++) reached |= (unsigned)(taken[i][vector] != 0) << i;
    check_value(name, reached, expected);
}

static const char *const names[] = {
    "x2APIC: fixed, to CPU 2", "  to FFFFFFFFh: all", "  to FFh: none", "  to all but self", "  logical, to 0110b",
    "  logical, cluster 1", "  logical, to FFFFFFFFh", "  SELF IPI",
};

void check_x2apic(void) {
    if (!(cpuid(1, 0).ecx >> 21 & 1)) {
        for (unsigned i = 0; i < sizeof names / sizeof *names; i++) not_offered(names[i]);
        not_offered("  LDR comes from the ID");
        return;
    }
    run_on_all(ALL, enable);
    x2apic = true;
    listening = true;
    for (unsigned i = 1; i < ALL; i++) begin_work(i, listen);
    comes_to(&listeners, ALL - 1);
    check_reaches(names[0], 2ull << 32 | IPI_FIXED, 4);
    check_reaches(names[1], 0xffffffffull << 32 | IPI_FIXED, 15);
    check_reaches(names[2], 0xffull << 32 | IPI_FIXED, 0);
    check_reaches(names[3], IPI_FIXED | IPI_OTHERS, 14);
    check_reaches(names[4], 6ull << 32 | IPI_FIXED | IPI_LOGICAL, 6);
    check_reaches(names[5], 0x1000full << 32 | IPI_FIXED | IPI_LOGICAL, 0);
    check_reaches(names[6], 0xffffffffull << 32 | IPI_FIXED | IPI_LOGICAL, 15);
    taken[0][0xd1] = 0;
    write_msr(MSR_SELF, 0xd1);
    __asm__ volatile("sti; nop; nop; cli");
    check_value(names[7], taken[0][0xd1], 1);
    bool right = true;
    for (unsigned i = 0; i < ALL; i++) right = right && logical[i] == 1u << i;
    check("  LDR comes from the ID", right);
    listening = false;
    write_msr(MSR_ICR, IPI_FIXED | IPI_OTHERS | 0xe0);
    for (unsigned i = 1; i < ALL; i++) finish_work(i);
}

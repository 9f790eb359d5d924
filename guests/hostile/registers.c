// hostile: every MSR and every CPUID leaf within reach, and control registers with random bits.

#include "hostile.h"

uint32_t hostile_msr;

// RDMSR, and WRMSR of what was read: #GP is an answer as good as any.
static unsigned try_msrs(uint32_t from, uint32_t to) {
    unsigned readable = 0;
    for (uint32_t msr = from; msr < to; msr++) {
        hostile_msr = msr;
        PROBE("mov hostile_msr, %%ecx", "rdmsr; wrmsr");
        readable += !outcome.traps;
    }
    return readable;
}

void attack_registers(void) {
    unsigned readable = try_msrs(0, 0x2000) + try_msrs(0x40000000, 0x40000400) + try_msrs(0xc0000000, 0xc0002000);
    check("every MSR was read and written back", readable >= 4);

    uint32_t sum = 0;
    for (uint32_t base = 0; base < 5; base++) {
        static const uint32_t bases[] = {0, 0x40000000, 0x80000000, 0x8fffff00, 0xffffff00};
        for (uint32_t leaf = 0; leaf < 0x100; leaf++) {
            for (uint32_t subleaf = 0; subleaf < 4; subleaf++) sum += cpuid(bases[base] + leaf, subleaf).eax;
        }
    }
    check("5120 leaves of CPUID", sum != 0);

    if (is_tcg()) return;       // it hangs on what follows
    // Reserved bits of control registers: #GP, and no bit has changed.
    uintptr_t cr4 = read_cr4();
    PROBE("mov %%cr4, %%rax; bts $63, %%rax", "mov %%rax, %%cr4");
    check_fault("#GP(0): CR4, bit 63", VECTOR_GP, 0);
    check_value("  CR4 is as it was", read_cr4(), cr4);
    uintptr_t cr3 = read_cr3();
    PROBE("mov %%cr3, %%rax; bts $62, %%rax", "mov %%rax, %%cr3");
    check_fault("#GP(0): CR3, bit 62", VECTOR_GP, 0);
    check_value("  CR3 is as it was", read_cr3(), cr3);
    PROBE("mov $1, %%eax; shl $32, %%rax", "mov %%rax, %%dr7");
    check_fault("#GP(0): DR7, bit 32", VECTOR_GP, 0);
}

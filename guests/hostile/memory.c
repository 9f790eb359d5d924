// hostile: guest-physical addresses behind which there is nothing, by every kind of access.
//
// The two APICs are spared by the random accesses, since a random command sends INIT as easily as anything; their
// reserved registers get an attack of their own.

#include "hostile.h"

#define NOWHERE 0x4000000000        // mapped to guest-physical addresses with nothing behind them
#define HOLE 0xd0000000             // one of them: below the APICs, above any RAM of ours

static void attack_at_random(void) {
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t address = 0x400000 + (uint64_t)draw() % 0xffa00000;
        if (address >> 21 == IOAPIC_BASE >> 21 || address >> 21 == LAPIC_BASE >> 21) continue;
        uint32_t value = draw();
        switch (value & 7) {
        case 0: (void)*(volatile uint8_t *)address; break;
        case 1: (void)*(volatile uint16_t *)address; break;
        case 2: (void)*(volatile uint32_t *)address; break;
        case 3: (void)*(volatile uint64_t *)address; break;
        case 4: *(volatile uint8_t *)address = (uint8_t)value; break;
        case 5: *(volatile uint16_t *)address = (uint16_t)value; break;
        case 6: *(volatile uint32_t *)address = value; break;
        case 7: *(volatile uint64_t *)address = value; break;
        }
    }
    check("20000 random accesses below 4 GiB", true);
    for (unsigned i = 0; i < 2000; i++) {
        uint64_t frame = ((uint64_t)draw() << 12 & 0xffffffff000) + 0x100000000;     // 4 GiB to 16 TiB
        if (cpuid(0x80000008, 0).eax % 256 < 45) frame &= 0xffffff000;
        map_page(NOWHERE, frame, PTE_P | PTE_W);
        *(volatile uint32_t *)(NOWHERE + (draw() & 0xffc)) = draw();
        (void)*(volatile uint32_t *)(NOWHERE + (draw() & 0xffc));
    }
    check("2000 random pages above 4 GiB", true);
}

// Accesses that are more than one load or store. Each may fault where the machine refuses it; it must go on.
static void attack_by_instruction(void) {
    map_page(NOWHERE, HOLE, PTE_P | PTE_W);
    map_page(NOWHERE + 0x1000, HOLE + 0x1000, PTE_P | PTE_W);
    PROBE("mov $0x4000000010, %%rdi; mov $1, %%eax", "lock xadd %%eax, (%%rdi)");
    check("LOCK XADD", true);
    PROBE("mov $0x4000000010, %%rdi; xor %%eax, %%eax; xor %%edx, %%edx", "lock cmpxchg16b (%%rdi)");
    check("LOCK CMPXCHG16B", true);
    PROBE("mov $0x400000003d, %%rdi", "lock addq $1, (%%rdi)");
    check("LOCK ADD across a cache line", true);
    PROBE("mov $0x4000000ffd, %%rdi", "lock addq $1, (%%rdi)");
    check("LOCK ADD across pages", true);
    PROBE("mov $0x4000000000, %%rsi; lea 64(%%rsi), %%rdi; mov $500, %%ecx", "rep movsb");
    check("REP MOVSB from nowhere to nowhere", true);
    PROBE("mov $0x4000000000, %%rdi; mov $500, %%ecx", "rep stosq");
    check("REP STOSQ", true);
    PROBE("mov $0x4000000000, %%rdi; mov $0xe9, %%edx; mov $100, %%ecx", "rep insl");
    check("REP INSD", true);
    PROBE("mov $0x4000000000, %%rsi; mov $0x80, %%edx; mov $100, %%ecx", "rep outsl");
    check("REP OUTSD", true);
    PROBE("mov $0x4000000100, %%rdi", "movaps %%xmm0, (%%rdi); movaps (%%rdi), %%xmm1");
    check("MOVAPS", true);
    PROBE("mov $0x4000000200, %%rdi", "fxsave (%%rdi)");
    check("FXSAVE", true);
    PROBE("mov $0x4000000200, %%rdi", "fldt (%%rdi); fstpt 1(%%rdi)");
    __asm__ volatile("fninit");
    check("FLD and FSTP of 80 bits", true);
    PROBE("mov $0x4000001000, %%rsp", "push %%rax; pop %%rcx; pushf; popf");
    check("a stack", true);
    PROBE("mov $0x4000000000, %%rax", "lgdt (%%rax)");
    __asm__ volatile("lgdt gdt_register");
    check("LGDT's operand", true);
    // An open bus reads as ones, and FF FF is no instruction. TCG gives up on a fetch from there.
    if (is_tcg()) return;
    PROBE("mov $0x4000000000, %%rax", "jmp *%%rax");
    outcome.instruction = NOWHERE;
    check_fault("#UD: code that is not there reads as FF FF", VECTOR_UD, 0);
}

static void attack_apics(void) {
    for (unsigned offset = 0x400; offset < 0x1000; offset += 4) {
        write_mmio(LAPIC_BASE + offset, draw());
        (void)read_mmio(LAPIC_BASE + offset);
    }
    for (unsigned offset = 0; offset < 0x400; offset++) {
        (void)*(volatile uint8_t *)(uint64_t)(LAPIC_BASE + offset);
        (void)*(volatile uint64_t *)(uint64_t)(LAPIC_BASE + offset);
    }
    for (unsigned index = 0x40; index < 0x100; index++) {
        write_mmio(IOAPIC_BASE, index);
        write_mmio(IOAPIC_BASE + 0x10, draw());
        (void)read_mmio(IOAPIC_BASE + 0x10);
    }
    for (unsigned offset = 0x44; offset < 0x1000; offset += 4) {
        (void)read_mmio(IOAPIC_BASE + offset);
        (void)*(volatile uint8_t *)(IOAPIC_BASE + (uint64_t)offset + 1);
    }
    check("the APICs' reserved registers, in all widths", true);
}

void attack_memory(void) {
    attack_at_random();
    attack_by_instruction();
    attack_apics();
}

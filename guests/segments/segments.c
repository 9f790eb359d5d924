// segments: 32-bit protected mode (Intel SDM volume 3, chapters 5 to 8), with paging off.
//
// QEMU's TCG looks at no segment limit and at few types in data accesses: what it gets wrong is in tcg.txt.

#include "console.h"
#include "probe32.h"

struct outcome32 outcome;
struct tss32 main_tss;
char user_stack[4096] __attribute__((aligned(16)));

static char ring0_stack[4096] __attribute__((aligned(16)));

void note_trap(const struct trap32 *trap);

void note_trap(const struct trap32 *trap) {
    if (!probe_stack) {
        say("\nunexpected trap: vector %u, error code %x, CS:EIP %x:%x, EFLAGS %x\n", trap->vector, trap->error, trap->cs,
            trap->eip, trap->eflags);
        out8(PORT_EXIT, 1);
    }
    outcome.traps++;
    outcome.trap = *trap;
}

void begin_probe(void) { outcome = (struct outcome32){0}; }

void check_fault(const char *name, unsigned vector, uint32_t error) {
    const struct trap32 *trap = &outcome.trap;
    bool passed = outcome.traps == 1 && trap->vector == vector && trap->error == error &&
                  trap->eip == outcome.instruction;
    check(name, passed);
    if (passed) return;
    if (!outcome.traps)
        say("        no trap\n");
    else
        say("        vector %u, error %x, EIP %x instead of %u, %x, %x\n", trap->vector, trap->error, trap->eip, vector,
            error, outcome.instruction);
}

void check_no_trap(const char *name) {
    bool passed = !outcome.traps || (outcome.trap.vector == 0x80 && outcome.trap.eip == outcome.end + 2);
    check(name, passed);
    if (!passed) say("        vector %u, error %x\n", outcome.trap.vector, outcome.trap.error);
}

void set_descriptor(unsigned selector, uint32_t base, uint32_t limit, uint8_t access, uint8_t flags) {
    uint32_t low = base << 16 | (limit & 0xffff);
    uint32_t high = (base & 0xff000000) | (uint32_t)flags << 20 | (limit & 0xf0000) | (uint32_t)access << 8 |
                    (base >> 16 & 0xff);
    gdt[selector / 8] = (uint64_t)high << 32 | low;
}

void set_call_gate(unsigned selector, unsigned target, const void *offset, unsigned parameters, uint8_t access) {
    uint32_t address = (uint32_t)offset;
    gdt[selector / 8] = (uint64_t)((address & 0xffff0000) | (uint32_t)access << 8 | parameters) << 32 |
                        target << 16 | (address & 0xffff);
}

int main(void) {
    open_console();
    main_tss.ss0 = DATA;
    main_tss.esp0 = (uint32_t)(ring0_stack + sizeof ring0_stack);
    main_tss.io_map_base = offsetof(struct tss32, io_map);
    for (unsigned i = 0; i < sizeof main_tss.io_map; i++) main_tss.io_map[i] = 0xff;
    set_descriptor(MAIN_TSS, (uint32_t)&main_tss, sizeof main_tss - 1, 0x89, 0);
    __asm__ volatile("ltr %w0" : : "r"(MAIN_TSS) : "memory");
    check_limits();
    check_privileges();
    check_gates();
    check_queries();
    check_modes();
    check_tasks();
    return report_checks();
}

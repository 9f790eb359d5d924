// The IDT and the TSS: see traps.h.

#include "traps.h"

#include "console.h"

struct gate idt[256] __attribute__((aligned(16)));
struct tss tss __attribute__((aligned(16)));
extern char stack_top[];

static char trap_stack[4096] __attribute__((aligned(16)));
static char double_fault_stack[4096] __attribute__((aligned(16)));

void set_gate(unsigned vector, const void *handler, uint8_t ist, uint8_t type) {
    uint64_t offset = (uint64_t)handler;
    idt[vector] = (struct gate){
        .offset0 = (uint16_t)offset,
        .selector = SEL_CODE64,
        .ist = ist,
        .type = type,
        .offset1 = (uint16_t)(offset >> 16),
        .offset2 = (uint32_t)(offset >> 32),
    };
}

void install_traps(void) {
    for (unsigned vector = 0; vector < 256; vector++) set_gate(vector, vector_stubs[vector], 0, GATE_INTERRUPT);
    set_gate(0x80, vector_stubs[0x80], 0, GATE_INTERRUPT | GATE_DPL3);
    set_gate(VECTOR_DF, vector_stubs[VECTOR_DF], 1, GATE_INTERRUPT);

    tss.rsp[0] = (uint64_t)(trap_stack + sizeof trap_stack);
    tss.ist[0] = (uint64_t)(double_fault_stack + sizeof double_fault_stack);
    tss.io_map_base = sizeof tss;       // no I/O permission bitmap: ring 3 has no ports

    uint64_t base = (uint64_t)&tss;
    gdt[SEL_TSS / 8] = (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt[SEL_TSS / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(SEL_TSS) : "memory");

    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

void unexpected_trap(const struct trap *trap) {
    say("\nunexpected trap: vector %u, error code %x, CS:RIP %x:%lx, RFLAGS %x, SS:RSP %x:%lx, CR2 %lx\n",
        (unsigned)trap->vector, (unsigned)trap->error, (unsigned)trap->cs, trap->rip, (unsigned)trap->rflags,
        (unsigned)trap->ss, trap->rsp, read_cr2());
    out8(PORT_EXIT, 1);
    for (;;) __asm__ volatile("cli; hlt");
}

// Interrupts and exceptions in long mode: one handler in C for all 256 vectors.

#ifndef TRAPS_H
#define TRAPS_H

#include "cpu.h"

// What the CPU and the stubs in vectors.S pushed, lowest address first.
struct trap {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error;             // 0 for vectors that push none
    uint64_t rip, cs, rflags, rsp, ss;
};

// A long-mode TSS (Intel SDM volume 3, figure 8-11).
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3, io_map_base;
} __attribute__((packed));

// A gate of the IDT (Intel SDM volume 3, figure 6-8).
struct gate {
    uint16_t offset0, selector;
    uint8_t ist, type;
    uint16_t offset1;
    uint32_t offset2, reserved;
};

enum { GATE_INTERRUPT = 0x8e, GATE_TRAP = 0x8f, GATE_DPL3 = 0x60 };

extern struct gate idt[256];
extern struct tss tss;
extern uint64_t gdt[];
extern const char vector_stubs[256][16];

// Fills the IDT with interrupt gates to the stubs (DPL 3 for 0x80 alone), and loads it and the task register.
// Double faults run on a stack of their own, IST1.
void install_traps(void);

// Sets one gate.
void set_gate(unsigned vector, const void *handler, uint8_t ist, uint8_t type);

// The handler, defined by each guest. What it changes in `trap` is in force when it returns.
void handle_trap(struct trap *trap);

// For what a guest does not expect: says what happened and ends the run with status 1.
_Noreturn void unexpected_trap(const struct trap *trap);

#endif

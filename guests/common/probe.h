// Running one instruction and seeing what comes of it, exactly.
//
// PROBE runs `setup` and then `instruction` at CPL 0. If the instruction traps, the handler notes everything that the
// CPU pushed and goes on behind it. `probe_user` does so with code in ring 3.

#ifndef PROBE_H
#define PROBE_H

#include "traps.h"

struct outcome {
    unsigned traps;             // how many were taken: 0 or 1
    struct trap trap;           // the one that was
    uint64_t cr2;
    uint64_t instruction;       // where the instruction under test begins
    uint64_t end;               // and where it ends
};

extern struct outcome outcome;
extern uint64_t probe_stack;

void begin_probe(void);

// All registers but RSP and RBP may be used by the two texts, and RBP may be changed between them: it is restored.
#define PROBE(setup, text)                                                                                             \
    do {                                                                                                               \
        begin_probe();                                                                                                 \
        __asm__ volatile("push %%rbp\n"                                                                                \
                         "mov %%rsp, probe_stack\n"                                                                    \
                         "movq $77f, outcome + %c0\n"                                                                  \
                         "movq $78f, outcome + %c1\n" setup "\n"                                                       \
                         "77: " text "\n"                                                                              \
                         "78: mov probe_stack, %%rsp\n"                                                                \
                         "pop %%rbp\n"                                                                                 \
                         "movq $0, probe_stack"                                                                        \
                         :                                                                                             \
                         : "i"(offsetof(struct outcome, instruction)), "i"(offsetof(struct outcome, end))              \
                         : "memory", "cc", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",  \
                           "r13", "r14", "r15");                                                                       \
    } while (0)

// Maps the page of `.user` code that holds `code` at a user address, runs it in ring 3 with `argument` in RDI and a
// stack of one page, and returns when it traps. `instruction` is the one that should.
// RFLAGS are `probe_user_flags`, which is 2 (all clear) unless a guest says otherwise.
extern uint64_t probe_user_flags;
void probe_user(const char *code, const char *instruction, uint64_t argument);

// Where `probe_user` puts code and stack: one page each.
#define PROBE_USER_CODE 0x5000000000
#define PROBE_USER_STACK 0x5000002000

// Checks that the probe trapped with exactly this: vector, error code, saved RIP, and CR2, which was 0 before.
void check_outcome(const char *name, unsigned vector, uint64_t error, uint64_t rip, uint64_t cr2);

// Checks that the probe took the fault `vector` with `error` (0 if it has none) at the instruction under test.
void check_fault(const char *name, unsigned vector, uint64_t error);

// Checks for a page fault with `error` and CR2 = `address`.
void check_page_fault(const char *name, uint64_t error, uint64_t address);

// Checks for a trap: taken behind the instruction.
void check_trap(const char *name, unsigned vector);

// Checks that there was none.
void check_no_trap(const char *name);

// All along, RF in the pushed flags is noted: 1 for faults, 0 for traps and instruction breakpoints (Intel SDM volume 3,
// 17.3.1.1). This is one check of them all. TCG pushes 0 always.
void check_resume_flags(void);

#endif

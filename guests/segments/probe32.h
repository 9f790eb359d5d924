// Running one instruction in 32-bit protected mode, at CPL 0 or 3, and seeing what comes of it.

#ifndef PROBE32_H
#define PROBE32_H

#include "checks.h"
#include "cpu.h"
#include "selectors.h"

// What the CPU and start.S pushed. ESP and SS, and in V86 mode the data segments, are there only if CPL changed.
struct trap32 {
    uint32_t ds, es, fs, gs;
    uint32_t edi, esi, ebp, esp0, ebx, edx, ecx, eax;
    uint32_t vector, error, eip, cs, eflags, esp, ss, v86_es, v86_ds, v86_fs, v86_gs;
};

struct outcome32 {
    unsigned traps;
    struct trap32 trap;
    uint32_t instruction, end;
};

extern struct outcome32 outcome;
extern uint32_t probe_stack, probe_resume;
extern char user_stack[4096];
extern uint64_t gdt[];

void begin_probe(void);

#define PROBE_BEGIN                                                                                                    \
    "push %%ebp\n"                                                                                                     \
    "mov %%esp, probe_stack\n"                                                                                         \
    "movl $77f, outcome + %c0\n"                                                                                       \
    "movl $78f, outcome + %c1\n"                                                                                       \
    "movl $79f, probe_resume\n"

#define PROBE_END                                                                                                      \
    "79: mov $" DATA_TEXT ", %%eax\n"                                                                                  \
    "mov %%eax, %%ds\n"                                                                                                \
    "mov %%eax, %%es\n"                                                                                                \
    "mov %%eax, %%ss\n"                                                                                                \
    "mov probe_stack, %%esp\n"                                                                                         \
    "pop %%ebp\n"                                                                                                      \
    "movl $0, probe_stack\n"                                                                                           \
    "cld"

#define PROBE_OPERANDS                                                                                                 \
    : : "i"(offsetof(struct outcome32, instruction)), "i"(offsetof(struct outcome32, end))                             \
    : "memory", "cc", "eax", "ebx", "ecx", "edx", "esi", "edi"

#define TEXT_OF(text) #text
#define TEXT(text) TEXT_OF(text)
#define DATA_TEXT TEXT(DATA)

// At CPL 0. `setup` and `text` may use all registers but ESP, and all segment registers but CS and SS.
#define PROBE(setup, text)                                                                                             \
    do {                                                                                                               \
        begin_probe();                                                                                                 \
        __asm__ volatile(PROBE_BEGIN setup "\n77: " text "\n78: \n" PROBE_END PROBE_OPERANDS);                         \
    } while (0)

// At CPL 3, on a stack of its own, with EFLAGS = `flags`; ends in INT 80h unless it traps before.
#define PROBE_USER_FLAGS(flags, setup, text)                                                                           \
    do {                                                                                                               \
        begin_probe();                                                                                                 \
        __asm__ volatile(PROBE_BEGIN "push $" TEXT(USER_DATA) "\n"                                                     \
                         "push $user_stack + 4096\n"                                                                   \
                         "push $" flags "\n"                                                                           \
                         "push $" TEXT(USER_CODE) "\n"                                                                 \
                         "push $76f\n"                                                                                 \
                         "iretl\n"                                                                                     \
                         "76: mov $" TEXT(USER_DATA) ", %%eax\n"                                                       \
                         "mov %%eax, %%ds\n"                                                                           \
                         "mov %%eax, %%es\n" setup "\n77: " text "\n78: int $0x80\n" PROBE_END PROBE_OPERANDS);        \
    } while (0)

#define PROBE_USER(setup, text) PROBE_USER_FLAGS("2", setup, text)

// Checks for a fault at the instruction under test.
void check_fault(const char *name, unsigned vector, uint32_t error);

// Checks that there was none; at CPL 3, that the end was reached.
void check_no_trap(const char *name);

// A descriptor: `access` is bits 15:8 of its upper half, `flags` bits 23:20 (8 G, 4 D/B).
void set_descriptor(unsigned selector, uint32_t base, uint32_t limit, uint8_t access, uint8_t flags);

// A call gate of 32 bits.
void set_call_gate(unsigned selector, unsigned target, const void *offset, unsigned parameters, uint8_t access);

struct tss32 {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, io_map_base;
    uint8_t io_map[129];
};

extern struct tss32 main_tss;

void check_limits(void);
void check_privileges(void);
void check_gates(void);
void check_queries(void);
void check_modes(void);
void check_tasks(void);

#endif

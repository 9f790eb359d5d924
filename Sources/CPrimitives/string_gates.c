// REP MOVS and REP STOS where all bytes lie in one page of plain memory each, which the TLB has: the host's own instruction does
// them, on the guest's registers. Everything else is the handler's, to which these gates go on.
#include "translated_code.h"

#define AT(name, field) [name] "i"(offsetof(tz_cpu, field))
#define OPERANDS                                                                                                      \
    AT(system_flags, system_flags), AT(tlb_read, tlb_read), AT(tlb_write, tlb_write),                                 \
        [mask] "i"((TZ_TLB_ENTRIES - 1) << 4), [page] "i"(4096)

// Called, with three registers pushed, so that the state is at RSP + 32. R13 and R15 are kept for the handler until nothing can
// come between. `count` is how many elements a page has, `scale` an element's size.
#define BEGIN(count)                                                                                                  \
    "push %%rax\n push %%rdx\n push %%rbx\n test %%rcx, %%rcx\n je 8f\n"                                               \
    "testb $4, 33+%c[system_flags](%%rsp)\n jne 9f\n cmp $" count ", %%rcx\n ja 9f\n"
// The host address of what a register points to; RAX is lost.
#define PLACE(register, low, table, scale, place)                                                                     \
    "mov %%" low ", %%eax\n and $0xfff, %%eax\n lea (%%rax,%%rcx," scale "), %%rax\n cmp $%c[page], %%rax\n ja 9f\n"    \
    "mov %%" low ", %%eax\n shr $8, %%eax\n and $%c[mask], %%eax\n add 32+%c[" table "](%%rsp), %%rax\n"                \
    "mov %%" register ", %%" place "\n xor (%%rax), %%" place "\n cmp $0xfff, %%" place "\n ja 9f\n"                    \
    "add 8(%%rax), %%" place "\n"
#define END                                                                                                           \
    "8: pop %%rbx\n pop %%rdx\n pop %%rax\n ret\n"                                                                     \
    "9: pop %%rbx\n pop %%rdx\n pop %%rax\n jmp tz_translated_step_saved\n"

#define MOVE(instruction, count, scale)                                                                               \
    BEGIN(count) PLACE("rdi", "edi", "tlb_write", scale, "rdx") PLACE("rsi", "esi", "tlb_read", scale, "rbx")         \
    "lea (,%%rcx," scale "), %%rax\n lea (%%rsi,%%rax), %%r13\n lea (%%rdi,%%rax), %%r15\n"                             \
    "mov %%rbx, %%rsi\n mov %%rdx, %%rdi\n rep " instruction "\n mov %%r13, %%rsi\n mov %%r15, %%rdi\n" END
#define STORE(instruction, count, scale)                                                                              \
    BEGIN(count) PLACE("rdi", "edi", "tlb_write", scale, "rdx")                                                       \
    "lea (%%rdi,%%rcx," scale "), %%r15\n mov %%rdx, %%rdi\n mov 16(%%rsp), %%rax\n rep " instruction "\n"              \
    "mov %%r15, %%rdi\n" END

#define GATE(name, code)                                                                                              \
    __attribute__((naked)) void name(void) { __asm__ volatile(code : : OPERANDS); }

GATE(tz_translated_move8, MOVE("movsb", "4096", "1"))
GATE(tz_translated_move16, MOVE("movsw", "2048", "2"))
GATE(tz_translated_move32, MOVE("movsl", "1024", "4"))
GATE(tz_translated_move64, MOVE("movsq", "512", "8"))
GATE(tz_translated_store8, STORE("stosb", "4096", "1"))
GATE(tz_translated_store16, STORE("stosw", "2048", "2"))
GATE(tz_translated_store32, STORE("stosl", "1024", "4"))
GATE(tz_translated_store64, STORE("stosq", "512", "8"))

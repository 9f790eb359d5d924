// strings: a repeated instruction is interrupted between two elements, and its registers say where.

#include "pages.h"
#include "probe.h"
#include "strings.h"

// Two pages whose frames are in the opposite order, an absent one behind them and one before them.
#define BUFFER 0x4000001000
#define ABSENT 0x4000003000

static uint8_t frames[2][4096] __attribute__((aligned(4096)));

static void check_saved(const char *name, uint64_t error, uint64_t address, uint64_t cx, uint64_t si, uint64_t di) {
    check_page_fault(name, error, address);
    struct registers r = {.cx = outcome.trap.rcx, .si = outcome.trap.rsi, .di = outcome.trap.rdi};
    check_registers("  its registers", &r, cx, si, di);
}

static void check_crossings(void) {
    for (unsigned i = 0; i < 4096; i++) frames[0][i] = frames[1][i] = 0;
    struct registers r = {.ax = 0x0807060504030201, .cx = 2, .di = BUFFER + 0xff3, .flags = 2};
    RUN("rep stosq", r);
    check_registers("REP STOSQ across pages", &r, 0, 0, BUFFER + 0x1003);
    check_value("  the bytes before", *(uint64_t *)(frames[1] + 4088), 0x0504030201080706);
    check_value("  the bytes behind", *(uint32_t *)frames[0], 0x00080706);
    r = (struct registers){.cx = 3, .si = BUFFER + 0xff3, .di = BUFFER + 0x1ff3, .flags = 2};
    RUN("rep movsl", r);
    check_value("REP MOVSD across pages reads both", *(uint64_t *)(frames[0] + 0xff7), 0x0403020108070605);
}

static void check_forward(void) {
    PROBE("mov $0x4000002ff0, %%rdi; mov $0x4000001000, %%rsi; mov $100, %%ecx", "rep movsb");
    check_saved("REP MOVSB: destination absent after 16", 2, ABSENT, 84, BUFFER + 16, ABSENT);
    PROBE("mov $0x4000001000, %%rdi; mov $0x4000002ff0, %%rsi; mov $100, %%ecx", "rep movsb");
    check_saved("REP MOVSB: source absent after 16", 0, ABSENT, 84, ABSENT, BUFFER + 16);
    // The third quadword reaches over the end: nothing of it is written.
    for (unsigned i = 0xfe0; i < 4096; i++) frames[0][i] = 0;
    PROBE("mov $0x4000002fec, %%rdi; mov $-1, %%rax; mov $9, %%ecx; xor %%esi, %%esi", "rep stosq");
    check_saved("REP STOSQ: the third reaches over the end", 2, ABSENT, 7, 0, BUFFER + 0x1ffc);
    check_value("  nothing of it is written", *(uint64_t *)(frames[0] + 0xff8), 0x00000000ffffffff);
    PROBE("mov $0x4000002ff8, %%rdi; mov $1, %%eax; mov $100, %%ecx; xor %%esi, %%esi", "repne scasb");
    check_saved("REPNE SCASB: absent after 8", 0, ABSENT, 92, 0, ABSENT);
    PROBE("mov $0x4000002ff8, %%rdi; mov $0x4000002ff4, %%rsi; mov $50, %%ecx", "repe cmpsl");
    check("REPE CMPSD: a difference comes before the fault", !outcome.traps);
    PROBE("mov $0x4000002ff8, %%rsi; mov $0x4000001000, %%rdi; mov $50, %%ecx", "rep lodsq");
    check_saved("REP LODSQ: absent after 1", 0, ABSENT, 49, ABSENT, BUFFER);
}

static void check_backward(void) {
    PROBE("std; mov $0x400000100f, %%rdi; mov $0x4000002000, %%rsi; mov $100, %%ecx", "rep movsb");
    check_saved("REP MOVSB, DF = 1: destination absent after 16", 2, BUFFER - 1, 84, BUFFER + 0xff0, BUFFER - 1);
    PROBE("std; mov $0x4000001004, %%rdi; xor %%esi, %%esi; mov $7, %%ecx", "rep stosq");
    // The second quadword begins in the page before: CR2 is its own address.
    check_saved("REP STOSQ, DF = 1: the second reaches over", 2, BUFFER - 4, 6, 0, BUFFER - 4);
}

// With TF set, every iteration is followed by a trap.
static void check_single_step(void) {
    PROBE("mov $0x4000001000, %%rdi; mov $3, %%ecx; pushf; orl $0x100, (%%rsp); popf", "rep stosb");
    check_outcome("#DB: TF = 1, after one element of REP STOSB", VECTOR_DB, 0, outcome.instruction, 0);
    check_value("  RCX", outcome.trap.rcx, 2);
    check_value("  RDI", outcome.trap.rdi, BUFFER + 1);
    PROBE("mov $0x4000001000, %%rdi; mov $1, %%ecx; pushf; orl $0x100, (%%rsp); popf", "rep stosb");
    check_outcome("#DB: TF = 1, after the last element", VECTOR_DB, 0, outcome.end, 0);
}

void check_faults(void) {
    map_page(BUFFER, (uint64_t)frames[1], PTE_P | PTE_W);
    map_page(BUFFER + 0x1000, (uint64_t)frames[0], PTE_P | PTE_W);
    check_crossings();
    check_forward();
    check_backward();
    check_single_step();
}

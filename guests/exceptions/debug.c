// exceptions: #DB, its causes told apart by DR6 (Intel SDM volume 3, 17.2 and 17.3).

#include "checks.h"
#include "exceptions.h"
#include "probe.h"

enum { DR6_CLEAR = 0xffff0ff0, DR6_B0 = 1, DR6_B1 = 2, DR6_BD = 1 << 13, DR6_BS = 1 << 14 };
enum { DR7_CLEAR = 0x400, DR7_G0 = 2, DR7_G1 = 8, DR7_GD = 1 << 13, DR7_RW1_WRITE = 1 << 20, DR7_LEN1_4 = 3 << 22 };

volatile uint32_t watched;

static uint64_t read_dr6(void) {
    uint64_t value;
    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}

static void write_dr6(uint64_t value) { __asm__ volatile("mov %0, %%dr6" : : "r"(value)); }
static void write_dr7(uint64_t value) { __asm__ volatile("mov %0, %%dr7" : : "r"(value)); }

static void check_dr6(const char *name, uint64_t bits) {
    check_value(name, read_dr6(), DR6_CLEAR | bits);
    write_dr6(DR6_CLEAR);
}

void check_debug(void) {
    write_dr6(DR6_CLEAR);

    PROBE("pushf; orl $0x100, (%%rsp); popf", "nop");
    check_trap("#DB: single step, behind the instruction after POPF", VECTOR_DB);
    check_dr6("DR6.BS", DR6_BS);
    check("TF is set in the pushed flags", outcome.trap.rflags & RFLAGS_TF);

    // The shadow of MOV SS holds the trap back by one instruction.
    PROBE("mov %%ss, %%ecx; pushf; orl $0x100, (%%rsp); popf", "mov %%ecx, %%ss; nop");
    check_trap("#DB: single step over MOV SS and the next", VECTOR_DB);
    check_dr6("DR6.BS", DR6_BS);

    PROBE("", ".byte 0xf1");
    check_trap("#DB: INT1", VECTOR_DB);
    check_dr6("DR6 has no bit for INT1", 0);

    // An instruction breakpoint is a fault, the one that pushes RF = 0.
    PROBE("mov $77f, %%eax; mov %%rax, %%dr0; mov $0x402, %%eax; mov %%rax, %%dr7", "nop");
    write_dr7(DR7_CLEAR);
    outcome.end = outcome.instruction;
    check_trap("#DB: instruction breakpoint, before the instruction", VECTOR_DB);
    check_dr6("DR6.B0", DR6_B0);

    __asm__ volatile("mov %0, %%dr1" : : "r"(&watched));
    write_dr7(DR7_CLEAR | DR7_G1 | DR7_RW1_WRITE | DR7_LEN1_4);
    PROBE("", "movb $1, watched + 3");
    write_dr7(DR7_CLEAR);
    check_trap("#DB: data breakpoint, behind the write", VECTOR_DB);
    check_dr6("DR6.B1", DR6_B1);

    write_dr7(DR7_CLEAR | DR7_GD);
    PROBE("", "mov %%dr0, %%rax");
    check_outcome("#DB: general detect, before MOV from DR0", VECTOR_DB, 0, outcome.instruction, 0);
    check_dr6("DR6.BD", DR6_BD);
    write_dr7(DR7_CLEAR);
}

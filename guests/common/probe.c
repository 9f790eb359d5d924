// Running one instruction and seeing what comes of it: see probe.h.

#include "probe.h"

#include "checks.h"
#include "console.h"
#include "pages.h"
#include "ring3.h"

struct outcome outcome;
uint64_t probe_stack, probe_user_flags = 2;

static bool probing_user;
static char user_stack[4096] __attribute__((aligned(4096)));

void begin_probe(void) {
    outcome = (struct outcome){0};
    write_cr2(0);
}

void handle_trap(struct trap *trap) {
    if (!probe_stack && !probing_user) unexpected_trap(trap);
    outcome.traps++;
    outcome.trap = *trap;
    outcome.cr2 = read_cr2();
    if (probing_user) {
        probing_user = false;
        leave_user(0);
    }
    trap->rip = outcome.end;
    trap->cs = SEL_CODE64;
    trap->rsp = probe_stack;
    trap->ss = SEL_DATA;
    trap->rflags = 2;
}

void probe_user(const char *code, const char *instruction, uint64_t argument) {
    uint64_t page = (uint64_t)code & ~4095ull;
    map_page(PROBE_USER_CODE, page, PTE_P | PTE_U);
    map_page(PROBE_USER_STACK, (uint64_t)user_stack, PTE_P | PTE_W | PTE_U);
    begin_probe();
    outcome.instruction = PROBE_USER_CODE + ((uint64_t)instruction & 4095);
    probing_user = true;
    call_user(PROBE_USER_CODE + ((uint64_t)code & 4095), PROBE_USER_STACK + 4096, argument, probe_user_flags);
}

void check_outcome(const char *name, unsigned vector, uint64_t error, uint64_t rip, uint64_t cr2) {
    const struct trap *trap = &outcome.trap;
    bool passed = outcome.traps == 1 && trap->vector == vector && trap->error == error && trap->rip == rip &&
                  outcome.cr2 == cr2;
    check(name, passed);
    if (passed) return;
    if (!outcome.traps) {
        say("        no trap instead of vector %u\n", vector);
        return;
    }
    say("        vector %u, error %llx, RIP %llx, CR2 %llx\n", (unsigned)trap->vector, (unsigned long long)trap->error,
        (unsigned long long)trap->rip, (unsigned long long)outcome.cr2);
    say("        instead of %u, %llx, %llx, %llx\n", vector, (unsigned long long)error, (unsigned long long)rip,
        (unsigned long long)cr2);
}

static unsigned wrong_resume_flags;

static void note_resume_flag(bool expected) {
    if (outcome.traps && !!(outcome.trap.rflags & RFLAGS_RF) != expected) wrong_resume_flags++;
}

void check_fault(const char *name, unsigned vector, uint64_t error) {
    check_outcome(name, vector, error, outcome.instruction, 0);
    note_resume_flag(true);
}

void check_page_fault(const char *name, uint64_t error, uint64_t address) {
    check_outcome(name, VECTOR_PF, error, outcome.instruction, address);
    note_resume_flag(true);
}

void check_trap(const char *name, unsigned vector) {
    check_outcome(name, vector, 0, outcome.end, 0);
    note_resume_flag(false);
}

void check_no_trap(const char *name) {
    check(name, !outcome.traps);
    if (outcome.traps) say("        vector %u\n", (unsigned)outcome.trap.vector);
}

void check_resume_flags(void) {
    check_value("how many of them pushed a wrong RF", wrong_resume_flags, 0);
}

// nano: operations between privilege levels, and instructions that a hypervisor has to see.

#include "nano.h"
#include "pages.h"
#include "ring3.h"

#define USER_CODE 0x5000000000
#define USER_STACK 0x5000001000
#define SCRATCH (PORT_COM1 + 7)         // a register of the UART that only keeps what is written to it

static char user_stack[4096] __attribute__((aligned(4096)));

static bool has_syscall(void) { return cpuid(0x80000001, 0).edx >> 11 & 1; }

static void prepare_syscall(void) {
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
    write_msr(MSR_STAR, (uint64_t)SEL_USER32 << 48 | (uint64_t)SEL_CODE64 << 32);
    write_msr(MSR_LSTAR, (uint64_t)syscall_entry);
    write_msr(MSR_FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_AC);
    map_page(USER_CODE, (uint64_t)user_syscalls, PTE_P | PTE_U);
    map_page(USER_STACK, (uint64_t)user_stack, PTE_P | PTE_W | PTE_U);
}

// `handle_trap` hands over the count when the program in ring 3 is done.
static bool run_syscall(uint64_t rounds) {
    return call_user(USER_CODE, USER_STACK + sizeof user_stack, rounds, 2) == rounds * UNROLLED;
}

static bool run_call(uint64_t rounds) { return call_and_return(rounds) == rounds * UNROLLED; }

static void prepare_in(void) { out8(SCRATCH, 0xa5); }
static bool run_in(uint64_t rounds) { return read_scratch(rounds, SCRATCH) == rounds * UNROLLED * 0xa5; }

static bool run_out(uint64_t rounds) {
    out8(SCRATCH, 0);
    write_scratch(rounds, SCRATCH);
    return in8(SCRATCH) == 1;
}

static bool run_cr8(uint64_t rounds) {
    write_cr8_values(rounds);
    uint64_t value;
    __asm__ volatile("mov %%cr8, %0" : "=r"(value));
    return value == 8 && read_lapic(LAPIC_TPR) == 0x80;
}

static void finish_cr8(void) { write_lapic(LAPIC_TPR, 0); }

static bool run_cpuid(uint64_t rounds) {
    return ask_cpuid(rounds) == rounds * UNROLLED * cpuid(0, 0).eax;
}

static void prepare_division(void) { set_gate(VECTOR_DE, count_division, 0, GATE_INTERRUPT); }
static void finish_division(void) { set_gate(VECTOR_DE, vector_stubs[VECTOR_DE], 0, GATE_INTERRUPT); }
static bool run_division(uint64_t rounds) { return divide_by_zero(rounds) == rounds * UNROLLED; }

// Register 1 of the I/O APIC is its version, and never changes.
static void prepare_mmio(void) { write_mmio(IOAPIC_BASE, 1); }
static bool run_mmio(uint64_t rounds) {
    uint32_t version = read_mmio(IOAPIC_BASE + 0x10);
    return version != 0 && version != 0xffffffff && read_device(rounds, IOAPIC_BASE + 0x10) == rounds * UNROLLED * version;
}

const struct operation system_operations[] = {
    {.name = "syscall", .offered = has_syscall, .prepare = prepare_syscall, .run = run_syscall, .per_round = UNROLLED},
    {.name = "in", .prepare = prepare_in, .run = run_in, .per_round = UNROLLED},
    {.name = "out", .run = run_out, .per_round = UNROLLED},
    {.name = "cr8wr", .run = run_cr8, .finish = finish_cr8, .per_round = UNROLLED},
    {.name = "call/ret", .run = run_call, .per_round = UNROLLED},
    {.name = "cpuid", .run = run_cpuid, .per_round = UNROLLED},
    {.name = "divzero", .prepare = prepare_division, .run = run_division, .finish = finish_division, .per_round = UNROLLED},
    {.name = "mmio", .prepare = prepare_mmio, .run = run_mmio, .per_round = UNROLLED},
    {0},
};

// tour, from long mode to power-off: each step does what its line says, checks it, and then prints the line.

#include "console.h"
#include "interrupts.h"
#include "pages.h"
#include "ring3.h"
#include "traps.h"

enum { PIT_VECTOR = 0x20, APIC_TIMER_VECTOR = 0x30, SYSTEM_CALL_VECTOR = 0x80, SPURIOUS_VECTOR = 0xff };
enum { CALL_FLAGS = 1, CALL_EXIT = 2 };

// Linear addresses beyond the 4 GiB that are mapped to themselves.
#define WINDOW 0x4000000000
#define USER_CODE 0x5000000000
#define USER_STACK 0x5000001000

extern const char user_program[], syscall_entry[];

static char frames[3][4096] __attribute__((aligned(4096)));
static volatile unsigned ticks;
static volatile bool fault_taken, user_was_stopped;

static void step(const char *name, const char *text) {
    static unsigned number = 2;
    say("%2u  %-14s  %s", ++number, name, text);
}

static void require(bool condition, const char *what) {
    if (condition) return;
    say("\nnot so: %s\n", what);
    out8(PORT_EXIT, 1);
}

// One linear address is not one place: two pages are mapped to the same frame.
static void show_paging(void) {
    map_page(WINDOW, (uint64_t)frames[0], PTE_P | PTE_W);
    map_page(WINDOW + 0x1000, (uint64_t)frames[0], PTE_P);
    *(volatile uint32_t *)WINDOW = 0x20061985;
    require(*(volatile uint32_t *)(WINDOW + 0x1000) == 0x20061985, "two pages, one frame");
    require(*page_entry(WINDOW) & PTE_D && !(*page_entry(WINDOW + 0x1000) & PTE_D), "the dirty bits");
    step("paging", "4 levels of tables; one frame seen at two linear addresses\n");
}

// The fault's handler maps the page, and the instruction is executed again as if nothing had happened.
static void show_page_fault(void) {
    *(volatile uint64_t *)(WINDOW + 0x2008) = 42;
    require(fault_taken && ((uint64_t *)frames[1])[1] == 42, "the write took place after the fault");
    say("; mapped, resumed\n");
}

static void on_page_fault(const struct trap *trap) {
    if (read_cr2() != WINDOW + 0x2008 || trap->error != 2 || fault_taken) unexpected_trap(trap);
    step("page fault", "#PF");
    say(", error code %u (write), CR2 = %lx", (unsigned)trap->error, read_cr2());
    map_page(WINDOW + 0x2000, (uint64_t)frames[1], PTE_P | PTE_W);
    fault_taken = true;
}

static void show_interrupts(void) {
    open_lapic(SPURIOUS_VECTOR);
    open_pics(PIT_VECTOR, 1);
    start_pit(2, 11932);            // 100 Hz
    for (ticks = 0; ticks < 3;) wait_for_interrupt();
    open_pics(PIT_VECTOR, 0);
    step("interrupts", "PIT, PIC, vector 20h: 3 ticks, HLT between them\n");

    write_lapic(LAPIC_LVT_LINT0, 0x10000);
    write_lapic(LAPIC_TIMER_DIVIDE, 3);     // the bus clock, divided by 16
    write_lapic(LAPIC_LVT_TIMER, 0x20000 | APIC_TIMER_VECTOR);
    write_lapic(LAPIC_TIMER_INITIAL, 100000);
    for (ticks = 0; ticks < 3;) wait_for_interrupt();
    write_lapic(LAPIC_LVT_TIMER, 0x10000);
    step("local APIC", "its own timer, vector 30h: 3 more ticks\n");
}

// Ring 3: user.S tells what the program does. Its privileged instruction traps; its sensitive one does not.
static void show_ring3(void) {
    bool has_syscall = cpuid(0x80000001, 0).edx >> 11 & 1;
    if (has_syscall) {
        write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
        write_msr(MSR_STAR, (uint64_t)SEL_USER32 << 48 | (uint64_t)SEL_CODE64 << 32);
        write_msr(MSR_LSTAR, (uint64_t)syscall_entry);
        write_msr(MSR_FMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_AC);
    }
    map_page(USER_CODE, (uint64_t)user_program, PTE_P | PTE_U);
    map_page(USER_STACK, (uint64_t)frames[2], PTE_P | PTE_W | PTE_U);
    uint64_t result = call_user(USER_CODE, USER_STACK + 4096, has_syscall, 2);
    if (has_syscall) {
        require(result == 43, "SYSCALL's answer");
        step("", "SYSCALL: to LSTAR, on the caller's stack; SYSRET returns\n");
    } else {
        step("", "SYSCALL: not offered by this CPU\n");
    }
}

uint64_t answer_syscall(uint64_t value) { return value + 1; }

static void on_general_protection(struct trap *trap) {
    if (trap->rip != USER_CODE || trap->error != 0 || trap->cs != (SEL_USER64 | 3)) unexpected_trap(trap);
    step("ring 3", "IRETQ to CPL 3; HLT is privileged there: #GP, error code 0\n");
    user_was_stopped = true;
    trap->rip++;                    // HLT is one byte long
}

static void on_system_call(struct trap *trap) {
    require((trap->cs & 3) == 3, "the call came from ring 3");
    if (trap->rax == CALL_EXIT) leave_user(trap->rdi);
    require(user_was_stopped && !(trap->rdi & RFLAGS_IF), "POPF at CPL 3 leaves IF");
    step("", "POPF is sensitive only: it leaves IF alone, and no trap\n");
    step("system call", "INT 80h: a gate to CPL 0, on the stack that the TSS names\n");
}

static void show_sse(void) {
    static const float squares[4] __attribute__((aligned(16))) = {1, 4, 9, 16};
    static int32_t roots[4] __attribute__((aligned(16)));
    __asm__ volatile("sqrtps %1, %%xmm0; cvttps2dq %%xmm0, %%xmm0; movaps %%xmm0, %0" : "=m"(roots) : "m"(squares));
    step("SSE", "");
    say("SQRTPS of 1, 4, 9, 16: %d, %d, %d, %d\n", roots[0], roots[1], roots[2], roots[3]);
}

void handle_trap(struct trap *trap) {
    switch (trap->vector) {
    case VECTOR_PF: on_page_fault(trap); break;
    case VECTOR_GP: on_general_protection(trap); break;
    case SYSTEM_CALL_VECTOR: on_system_call(trap); break;
    case PIT_VECTOR:
        ticks = ticks + 1;
        out8(PORT_PIC1, 0x20);      // OCW2: end of interrupt
        break;
    case APIC_TIMER_VECTOR:
        ticks = ticks + 1;
        write_lapic(LAPIC_EOI, 0);
        break;
    default: unexpected_trap(trap);
    }
}

int main(void) {
    open_console();
    step("long mode", "CR4.PAE, EFER.LME, CR0.PG = 1, then CS.L = 1: 64-bit code\n");
    install_traps();
    show_paging();
    show_page_fault();
    show_interrupts();
    show_ring3();
    show_sse();
    step("power off", "SLP_TYP = 5 and SLP_EN written to PM1a_CNT\n");
    out16(PORT_PM1A_CNT, PM1A_S5);
    for (;;) __asm__ volatile("cli; hlt");
}

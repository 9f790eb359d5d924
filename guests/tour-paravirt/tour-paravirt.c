// tour-paravirt: each step asks the hypervisor for what `tour` gets by sensitive instructions, checks it, and prints it.
//
// Hypercalls: number in RAX, arguments in RBX, RCX, RDX, RSI, answer in RAX (Linux,
// Documentation/virt/kvm/x86/hypercalls.rst).

#include "clock.h"
#include "console.h"
#include "interrupts.h"
#include "pages.h"
#include "ring3.h"
#include "traps.h"

enum { VECTOR_SELF = 0x40, VECTOR_LEAVE = 0x80, VECTOR_SPURIOUS = 0xff };
enum { KICK_CPU = 5, SEND_IPI = 10, UNKNOWN = 12345 };
// Bits of CPUID leaf 40000001h.
enum { HAS_CLOCK = 1 << 3, HAS_STEAL_TIME = 1 << 5, HAS_SEND_IPI = 1 << 11 };

#define USER_CODE 0x5000000000
#define USER_STACK 0x5000001000

int64_t call_intel(uint64_t number, const uint64_t arguments[4]);
int64_t call_amd(uint64_t number, const uint64_t arguments[4]);
extern const char user_program[];

static char user_stack[4096] __attribute__((aligned(4096)));
static volatile unsigned taken;
static uint32_t features;
static bool is_kvm, is_amd;

static int64_t hypercall(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    const uint64_t arguments[4] = {a, b, c, d};
    return is_amd ? call_amd(number, arguments) : call_intel(number, arguments);
}

static void step(const char *name, bool offered, const char *text) {
    static unsigned number;
    say("%2u  %-14s  %s\n", ++number, name, offered ? text : "not offered here");
}

static void require(bool condition, const char *what) {
    if (condition) return;
    say("\nnot so: %s\n", what);
    out8(PORT_EXIT, 1);
}

static void show_signature(void) {
    struct cpuid r = cpuid(0x40000000, 0);
    is_kvm = (cpuid(1, 0).ecx >> 31) && r.ebx == 0x4b4d564b && r.ecx == 0x564b4d56 && r.edx == 0x4d;
    is_amd = cpuid(0, 0).ebx == 0x68747541;             // "Auth", of "AuthenticAMD"
    if (is_kvm) features = cpuid(0x40000001, 0).eax;
    step("signature", is_kvm, "CPUID 40000000h: KVMKVMKVM; leaf 40000001h says what there is");
}

static void show_clock(void) {
    bool offered = features & HAS_CLOCK;
    if (offered) {
        open_clock();
        require(clock_is_open(), "the clock's page is written");
        uint64_t start = clock_nanoseconds();
        wait_for_pit(11932);
        uint64_t passed = clock_nanoseconds() - start;
        require(passed >= 9900000 && passed < 2000000000, "10 ms are 10 ms");
    }
    step("clock", offered, "a page in memory says what the TSC means: 10 ms, as the PIT has them");
}

static void show_date(void) {
    bool offered = features & HAS_CLOCK;
    if (offered) {
        uint64_t by_chip = cmos_seconds(), by_page = date_at_start() + clock_nanoseconds() / 1000000000;
        require(by_page <= by_chip + 2 && by_chip <= by_page + 2, "both dates are the same");
    }
    step("date", offered, "written to memory at a word: as the CMOS clock has it");
}

static void show_hypercall(void) {
    if (is_kvm) {
        require(hypercall(UNKNOWN, 0, 0, 0, 0) == -1000, "an unknown hypercall");
        require(hypercall(KICK_CPU, 0, 0, 0, 0) == 0, "KICK_CPU");
    }
    step("hypercall", is_kvm, "VMCALL or VMMCALL, number and answer in RAX; an unknown one: -1000");
}

// The hypercall stands in place of a write to the local APIC's ICR.
static void show_interrupts(void) {
    bool offered = features & HAS_SEND_IPI;
    if (offered) {
        open_lapic(VECTOR_SPURIOUS);
        write_lapic(LAPIC_LVT_LINT0, 0x10000);
        uint64_t self = read_lapic(LAPIC_ID) >> 24;
        for (taken = 0; taken < 3;) {
            require(hypercall(SEND_IPI, 1, 0, self, VECTOR_SELF) == 1, "one CPU is sent to");
            wait_for_interrupt();
        }
    }
    step("interrupts", offered, "sent by hypercall, vector 40h: 3 taken, HLT between them");
}

static void show_ring3(void) {
    if (is_kvm) {
        map_page(USER_CODE, (uint64_t)user_program, PTE_P | PTE_U);
        map_page(USER_STACK, (uint64_t)user_stack, PTE_P | PTE_W | PTE_U);
        int64_t answer = (int64_t)call_user(USER_CODE, USER_STACK + sizeof user_stack, is_amd, 2);
        require(answer == -1, "ring 3 is refused");
    }
    step("ring 3", is_kvm, "a hypercall from there is refused: -1, and no trap");
}

static void show_steal_time(void) {
    bool offered = features & HAS_STEAL_TIME;
    if (offered) {
        require(open_steal_time(), "the account is open");
        uint64_t before = stolen_nanoseconds(), start = clock_nanoseconds();
        wait_for_pit(11932);
        require(stolen_nanoseconds() - before <= clock_nanoseconds() - start, "no more was stolen than there was");
    }
    step("steal time", offered, "a page keeps account of the time that others had the CPU");
}

void handle_trap(struct trap *trap) {
    switch (trap->vector) {
    case VECTOR_SELF:
        taken = taken + 1;
        write_lapic(LAPIC_EOI, 0);
        break;
    case VECTOR_LEAVE: leave_user(trap->rdi);
    default: unexpected_trap(trap);
    }
}

int main(void) {
    open_console();
    install_traps();
    open_pics(0x20, 0);
    say("A tour of paravirtualization: a guest that knows its hypervisor, and asks\n\n");
    show_signature();
    show_clock();
    show_date();
    show_hypercall();
    show_interrupts();
    show_ring3();
    show_steal_time();
    step("power off", true, "no hypercall for that: SLP_TYP = 5 and SLP_EN written to PM1a_CNT");
    out16(PORT_PM1A_CNT, PM1A_S5);
    for (;;) __asm__ volatile("cli; hlt");
}

// smp-code: cross-modifying code (Intel SDM volume 3, 9.1.3 "Handling Self- and Cross-Modifying Code").
//
// One CPU writes instructions that others execute. Whoever has executed a serializing instruction since it learnt of a
// change executes the new code; before that, old or new, but nothing else.

#include "checks.h"
#include "console.h"
#include "processors.h"
#include "traps.h"

enum { ALL = MAX_PROCESSORS, SYNCHRONIZE = 0x60 };

static uint8_t code[18][4096] __attribute__((aligned(4096)));

static volatile bool running;
static volatile uint32_t wrong, breakpoints, acknowledged, loops[ALL];
volatile uint32_t published;     // what the code has returned since some time at least

static void serialize(void) { cpuid(0, 0); }

void handle_trap(struct trap *trap) {
    switch (trap->vector) {
        case SYNCHRONIZE:
            serialize();
            __atomic_add_fetch(&acknowledged, 1, __ATOMIC_SEQ_CST);
            write_lapic(LAPIC_EOI, 0);
            return;
        case VECTOR_BP:
            // INT3 stands for the first byte of `mov $imm32, %eax`: skipped, with an answer of its own.
            trap->rip += 4;
            trap->rax = 0xb;
            __atomic_add_fetch(&breakpoints, 1, __ATOMIC_SEQ_CST);
            return;
        case 0xff: return;
        default: unexpected_trap(trap);
    }
}

// Has all other CPUs execute a serializing instruction. They have IF = 1.
static void synchronize(void) {
    acknowledged = 0;
    send_ipi(0, IPI_FIXED | IPI_OTHERS | SYNCHRONIZE);
    while (acknowledged != ALL - 1) step_aside();
}

// `mov $value, %eax; ret`, the immediate by one store.
static void write_function(uint8_t *at, uint32_t value) {
    *(volatile uint8_t *)at = 0xb8;
    *(volatile uint32_t *)(at + 1) = value;
    *(volatile uint8_t *)(at + 5) = 0xc3;
}

static uint32_t call(const uint8_t *function) {
    uint32_t result;
    __asm__ volatile("call *%1" : "=a"(result) : "r"(function) : "memory", "cc", "rcx", "rdx", "rsi", "rdi");
    return result;
}

static void begin(work_function *work) {
    running = true;
    wrong = 0;
    for (unsigned i = 1; i < ALL; i++) begin_work(i, work);
}

static void end(void) {
    running = false;
    for (unsigned i = 1; i < ALL; i++) finish_work(i);
}

static void let_work(void) {
    for (unsigned i = 1; i < ALL; i++)
        for (uint32_t before = loops[i]; loops[i] == before;) step_aside();
}

static uint8_t *function;

// Calls all the while. What comes back never falls behind what was published before the call, nor runs ahead.
static void call_often(unsigned processor) {
    uint32_t last = 0;
    __asm__ volatile("sti");
    while (running) {
        uint32_t least = published;
        serialize();
        uint32_t result = call(function);
        if (result < least || result < last || result > least + 100000) wrong = wrong + 1;
        last = result;
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
    __asm__ volatile("cli");
}

// The same without serializing: never backwards, and only values that were written.
static void call_unserialized(unsigned processor) {
    uint32_t last = 0;
    __asm__ volatile("sti");
    while (running) {
        uint32_t result = call(function);
        if (result < last || result > 1000000) wrong = wrong + 1;
        last = result;
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
    __asm__ volatile("cli");
}

static void check_immediates(void) {
    // Aligned, so that the immediate is written whole.
    function = code[0] + 3;
    published = 0;
    write_function(function, 0);
    begin(call_often);
    for (uint32_t i = 1; i <= 3000; i++) {
        *(volatile uint32_t *)(function + 1) = i;
        published = i;
        if (i % 50 == 0) let_work();
    }
    end();
    check_value("an immediate patched 3000 times, readers serialize", wrong, 0);
    *(volatile uint32_t *)(function + 1) = 0;
    begin(call_unserialized);
    for (uint32_t i = 1; i <= 3000; i++) {
        *(volatile uint32_t *)(function + 1) = i;
        if (i % 50 == 0) let_work();
    }
    end();
    check_value("  readers do not", wrong, 0);

    // Told by an IPI: its handler, and all that follows, is after the change.
    published = 0;
    *(volatile uint32_t *)(function + 1) = 0;
    begin(call_often);
    for (uint32_t i = 1; i <= 500; i++) {
        *(volatile uint32_t *)(function + 1) = i;
        synchronize();
        published = i;
    }
    end();
    check_value("  and told by an IPI", wrong, 0);
}

// The flag, the serializing instruction and the patched one stand in a row, with no branch between.
static void run_straight(unsigned processor) {
    __asm__ volatile("sti");
    while (running) {
        uint32_t least, result;
        __asm__ volatile("lea published(%%rip), %%rsi\n"
                         "mov (%%rsi), %%edi\n"
                         "xor %%eax, %%eax\n"
                         "cpuid\n"
                         ".balign 8\n"
                         ".byte 0x0f, 0x1f, 0x00\n"     // a NOP of three bytes: the immediate is aligned
                         ".globl patched_in_line\n"
                         "patched_in_line: mov $0, %%eax\n"
                         : "=D"(least), "=a"(result)
                         :
                         : "rbx", "rcx", "rdx", "rsi", "memory");
        if (result < least) wrong = wrong + 1;
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
    __asm__ volatile("cli");
}

extern uint8_t patched_in_line[];

static void check_straight_line(void) {
    published = 0;
    begin(run_straight);
    for (uint32_t i = 1; i <= 3000; i++) {
        *(volatile uint32_t *)(patched_in_line + 1) = i;
        published = i;
        if (i % 50 == 0) let_work();
    }
    end();
    check_value("flag, CPUID, patched instruction in a row", wrong, 0);
}

// Any of the two instructions, or the breakpoint's answer.
static void call_patched(unsigned processor) {
    __asm__ volatile("sti");
    while (running) {
        uint32_t result = call(function);
        if (result != 0x11111111 && result != 0x22222222 && result != 0xb) wrong = wrong + 1;
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
    __asm__ volatile("cli");
}

// As Linux patches text: INT3, synchronize, the tail, synchronize, the first byte, synchronize.
static void check_breakpoint_patching(const char *name, uint8_t *at) {
    function = at;
    write_function(at, 0x11111111);
    breakpoints = 0;
    begin(call_patched);
    uint32_t stale = 0;
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t byte = i & 1 ? 0x11 : 0x22;
        *(volatile uint8_t *)at = 0xcc;
        synchronize();
        for (int n = 1; n <= 4; n++) *(volatile uint8_t *)(at + n) = byte;
        synchronize();
        if (i % 16 == 0) let_work();
        *(volatile uint8_t *)at = 0xb8;
        synchronize();
        uint32_t before = breakpoints;
        if (i % 16 == 0) let_work();
        stale += breakpoints != before;
    }
    end();
    check_value(name, wrong, 0);
    check_value("  no breakpoint is hit after it is gone", stale, 0);
    check("  it was hit before", breakpoints > 0);
}

// Data on the page of the code that others execute.
static void count_beside_code(unsigned processor) {
    volatile uint32_t *count = (volatile uint32_t *)(code[4] + 1024 * processor);
    uint32_t expected = *count;
    __asm__ volatile("sti");
    while (running) {
        *count = ++expected;
        if (call(code[4]) != 7 || *count != expected) wrong = wrong + 1;
        loops[processor] = loops[processor] + 1;
        step_aside();
    }
    __asm__ volatile("cli");
}

static void check_data_beside_code(void) {
    write_function(code[4], 7);
    begin(count_beside_code);
    for (int i = 0; i < 200; i++) let_work();
    end();
    check_value("data beside code, each CPU its own", wrong, 0);
}

static volatile uint32_t page, stage, ready;

// Executes the page of each round while it is written, for the first time at about the same moment as the others.
static void execute_fresh(unsigned processor) {
    (void)processor;
    for (uint32_t round = 1; round <= 1000; round++) {
        while (stage < 2 * round - 1) step_aside();
        const uint8_t *fresh = code[page];
        uint32_t last = 0;
        while (stage < 2 * round) {
            uint32_t result = call(fresh);
            if (result < last) wrong = wrong + 1;
            last = result;
            pause();
        }
        serialize();
        if (call(fresh) != round * 100 + 99) wrong = wrong + 1;
        __atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
    }
}

// A page is marked as code by several CPUs at once while another writes to it.
static void check_fresh_pages(void) {
    stage = 0;
    begin(execute_fresh);
    for (uint32_t round = 1; round <= 1000; round++) {
        page = round % 18;
        ready = 0;
        // An empty page, written all over: no CPU has code of it any more.
        uint8_t *fresh = code[round % 18];
        write_function(fresh, round * 100);
        stage = 2 * round - 1;
        for (uint32_t i = 1; i < 100; i++) *(volatile uint32_t *)(fresh + 1) = round * 100 + i;
        stage = 2 * round;
        while (ready != ALL - 1) step_aside();
    }
    end();
    check_value("1000 times a page executed first while it is written", wrong, 0);
}

int main(void) {
    open_console();
    install_traps();
    open_pics(0x20, 0);
    open_lapic(0xff);
    write_lapic(LAPIC_LVT_LINT0, 0x10000);
    start_processors(ALL);
    check_immediates();
    check_straight_line();
    check_breakpoint_patching("INT3, tail, first byte: old or new, nothing else", code[1] + 3);
    check_breakpoint_patching("  across pages", code[3] - 2);
    check_data_beside_code();
    check_fresh_pages();
    return report_checks();
}

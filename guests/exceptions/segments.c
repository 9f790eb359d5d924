// exceptions: those that name a selector or a gate: #NP, #SS, #GP, and #DF when one fault follows another.

#include "checks.h"
#include "exceptions.h"
#include "probe.h"

enum { ABSENT_DATA = SEL_FREE, ABSENT_CODE = SEL_FREE + 8, BEYOND = 0x1000 };
enum { SPARE_VECTOR = 0x71, GATE_ABSENT = 0x0e };

#define STRING(text) #text
#define NUMBER(text) STRING(text)

static void check_data_segments(void) {
    gdt[ABSENT_DATA / 8] = 0x00cf13000000ffff;
    PROBE("mov $0x48, %%eax", "mov %%eax, %%ds");
    check_fault("#NP(48): DS, segment not present", VECTOR_NP, ABSENT_DATA);
    PROBE("mov $0x48, %%eax", "mov %%eax, %%ss");
    check_fault("#SS(48): SS, segment not present", VECTOR_SS, ABSENT_DATA);
    PROBE("mov $0x1003, %%eax", "mov %%eax, %%ds");
    check_fault("#GP(1000): DS, beyond the GDT", VECTOR_GP, BEYOND);
    PROBE("mov $0x0c, %%eax", "mov %%eax, %%es");
    check_fault("#GP(0c): ES, no LDT", VECTOR_GP, 0x0c);
    PROBE("mov $" NUMBER(SEL_TSS) ", %%eax", "mov %%eax, %%fs");
    check_fault("#GP(30): FS, a system segment", VECTOR_GP, SEL_TSS);
    PROBE("mov $" NUMBER(SEL_CODE64) ", %%eax", "mov %%eax, %%ss");
    check_fault("#GP(08): SS, a code segment", VECTOR_GP, SEL_CODE64);
    PROBE("mov $" NUMBER(SEL_USER) ", %%eax", "mov %%eax, %%ss");
    check_fault("#GP(20): SS, DPL 3 at CPL 0", VECTOR_GP, SEL_USER);
    PROBE("mov $" NUMBER(SEL_DATA) " + 3, %%eax", "mov %%eax, %%ss");
    check_fault("#GP(10): SS, RPL 3 at CPL 0", VECTOR_GP, SEL_DATA);
    PROBE("xor %%eax, %%eax", "mov %%eax, %%ss");
    check_no_trap("SS, null at CPL 0 in 64-bit mode: none");
    __asm__ volatile("mov %0, %%ss" : : "r"(SEL_DATA));
}

static void check_far_transfers(void) {
    gdt[ABSENT_CODE / 8] = 0x00af1b000000ffff;
    PROBE("push $0x50; push $78f", "lretq");
    check_fault("#NP(50): far RET, segment not present", VECTOR_NP, ABSENT_CODE);
    PROBE("push $0x10; push $78f", "lretq");
    check_fault("#GP(10): far RET to a data segment", VECTOR_GP, SEL_DATA);
    PROBE("push $0; push $78f", "lretq");
    check_fault("#GP(0): far RET, null selector", VECTOR_GP, 0);
    PROBE("push $0x10; push %%rsp; push $2; push $0x1000; push $78f", "iretq");
    check_fault("#GP(1000): IRETQ, CS beyond the GDT", VECTOR_GP, BEYOND);
    PROBE("mov $0x10, %%eax", "lldt %%ax");
    check_fault("#GP(10): LLDT, not an LDT", VECTOR_GP, SEL_DATA);
    PROBE("mov $0x30, %%eax", "ltr %%ax");
    check_fault("#GP(30): LTR, a busy TSS", VECTOR_GP, SEL_TSS);
    if (is_tcg()) return;       // it accepts a null TSS, and stops at the next use of it
    PROBE("xor %%eax, %%eax", "ltr %%ax");
    check_fault("#GP(0): LTR, null selector", VECTOR_GP, 0);
}

// An error code that names a gate is vector * 8 + 2, and + 1 (EXT) unless an INT instruction is the cause.
static void check_gates(void) {
    set_gate(SPARE_VECTOR, vector_stubs[SPARE_VECTOR], 0, GATE_ABSENT);
    PROBE("", "int $0x71");
    check_fault("#NP(38a): INT, gate not present", VECTOR_NP, SPARE_VECTOR * 8 + 2);
    set_gate(VECTOR_BP, vector_stubs[VECTOR_BP], 0, GATE_ABSENT);
    PROBE("", "int3");
    check_fault("#NP(1a): INT3, gate not present", VECTOR_NP, VECTOR_BP * 8 + 2);
    set_gate(VECTOR_UD, vector_stubs[VECTOR_UD], 0, GATE_ABSENT);
    PROBE("", "ud2");
    check_fault("#NP(33): UD2, gate not present, EXT = 1", VECTOR_NP, VECTOR_UD * 8 + 3);
    set_gate(VECTOR_BP, vector_stubs[VECTOR_BP], 0, GATE_INTERRUPT);
    set_gate(VECTOR_UD, vector_stubs[VECTOR_UD], 0, GATE_INTERRUPT);
    set_gate(SPARE_VECTOR, vector_stubs[SPARE_VECTOR], 0, 0x85);
    PROBE("", "int $0x71");
    check_fault("#GP(38a): INT, a task gate", VECTOR_GP, SPARE_VECTOR * 8 + 2);
    set_gate(SPARE_VECTOR, vector_stubs[SPARE_VECTOR], 0, GATE_INTERRUPT);
    idt[SPARE_VECTOR].selector = SEL_DATA;
    PROBE("", "int $0x71");
    check_fault("#GP(10): INT, the gate leads to data", VECTOR_GP, SEL_DATA);
    idt[SPARE_VECTOR].selector = 0;
    PROBE("", "int $0x71");
    check_fault("#GP(0): INT, the gate's selector is null", VECTOR_GP, 0);

    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof idt / 2 - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
    PROBE("", "int $0x80");
    check_fault("#GP(402): INT, beyond the IDT", VECTOR_GP, 0x80 * 8 + 2);
    idtr.limit = sizeof idt - 1;
    __asm__ volatile("lidt %0" : : "m"(idtr));
}

// Contributory exceptions and page faults in a row (Intel SDM volume 3, table 6-5).
static void check_double_faults(void) {
    set_gate(VECTOR_DE, vector_stubs[VECTOR_DE], 0, GATE_ABSENT);
    PROBE("xor %%edx, %%edx; xor %%eax, %%eax; xor %%ecx, %%ecx", "div %%ecx");
    check_fault("#DF: #DE, then #NP", VECTOR_DF, 0);
    set_gate(VECTOR_DE, vector_stubs[VECTOR_DE], 0, GATE_INTERRUPT);

    set_gate(VECTOR_PF, vector_stubs[VECTOR_PF], 0, GATE_ABSENT);
    PROBE("mov $0x4000000000, %%rax", "mov (%%rax), %%eax");
    check_outcome("#DF: #PF, then #NP", VECTOR_DF, 0, outcome.instruction, 0x4000000000);
    set_gate(VECTOR_PF, vector_stubs[VECTOR_PF], 0, GATE_INTERRUPT);

    PROBE("mov $0x4000001000, %%rsp", "push %%rax");
    check_outcome("#DF: #PF, then #PF on the same stack", VECTOR_DF, 0, outcome.instruction, 0x4000000ff8);

    // #UD is benign: the page fault in its delivery is taken for itself, on the stack of an IST entry.
    set_gate(VECTOR_PF, vector_stubs[VECTOR_PF], 1, GATE_INTERRUPT);
    PROBE("mov $0x4000001000, %%rsp", "ud2");
    check_page_fault("#PF: in the delivery of #UD", 2, 0x4000000ff8);
    set_gate(VECTOR_PF, vector_stubs[VECTOR_PF], 0, GATE_INTERRUPT);
}

void check_segments(void) {
    check_data_segments();
    check_far_transfers();
    check_gates();
    check_double_faults();
}

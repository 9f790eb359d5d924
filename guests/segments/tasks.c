// segments: task switches in hardware (Intel SDM volume 3, chapter 8): CALL to a TSS, and IRET back.

#include "probe32.h"

extern const char task_entry[];

static struct tss32 task_tss;
static char task_stack[1024] __attribute__((aligned(16)));

enum { EFLAGS_NT = 1 << 14 };

static uint8_t type_of(unsigned selector) { return gdt[selector / 8] >> 40 & 0x1f; }

static void call_task(void) {
    __asm__ volatile("lcall $" TEXT(TASK_TSS) ", $0" : : : "memory", "cc");
}

void check_tasks(void) {
    task_tss = (struct tss32){
        .eip = (uint32_t)task_entry,
        .eflags = 2,
        .eax = 0x700,
        .esp = (uint32_t)(task_stack + sizeof task_stack),
        .cs = CODE,
        .ss = DATA,
        .ds = DATA,
        .es = DATA,
        .io_map_base = sizeof task_tss,
    };
    set_descriptor(TASK_TSS, (uint32_t)&task_tss, 103, 0x89, 0);
    uint32_t kept = 0x13572468;
    __asm__ volatile("lcall $" TEXT(TASK_TSS) ", $0" : "+b"(kept) : : "memory", "cc");
    check_value("CALL to a TSS, IRET back: the caller's registers", kept, 0x13572468);
    check_value("  the task ran", task_tss.eax, 0x701);
    check_value("  with CR0.TS = 1", task_tss.ebx & CR0_TS, CR0_TS);
    check_value("  with NT = 1", task_tss.ecx & EFLAGS_NT, EFLAGS_NT);
    check_value("  with TR loaded", task_tss.edx & 0xffff, TASK_TSS);
    check_value("  its link is the caller's TSS", task_tss.link & 0xffff, MAIN_TSS);
    check_value("  the caller's TSS is busy", type_of(MAIN_TSS), 0x0b);
    check_value("  the task's is not", type_of(TASK_TSS), 0x09);
    check_value("  NT was cleared in its saved flags", task_tss.eflags & EFLAGS_NT, 0);
    call_task();
    check_value("a second CALL goes on behind the IRET", task_tss.eax, 0x711);

    PROBE("", "lcall $" TEXT(MAIN_TSS) ", $0");
    check_fault("#GP(28): CALL to a busy TSS", VECTOR_GP, MAIN_TSS);
    set_descriptor(TASK_TSS, (uint32_t)&task_tss, 102, 0x89, 0);
    PROBE("", "lcall $" TEXT(TASK_TSS) ", $0");
    check_fault("#TS(30): CALL to a TSS of 103 bytes", VECTOR_TS, TASK_TSS);
    set_descriptor(TASK_TSS, (uint32_t)&task_tss, 103, 0x09, 0);
    PROBE("", "lcall $" TEXT(TASK_TSS) ", $0");
    check_fault("#NP(30): CALL to a TSS that is not present", VECTOR_NP, TASK_TSS);
    // The target's own segments are loaded after the switch: the fault is the new task's, at its first instruction.
    set_descriptor(TASK_TSS, (uint32_t)&task_tss, 103, 0x89, 0);
    task_tss.ds = 0x1000;
    task_tss.eip = (uint32_t)task_entry;
    PROBE("", "lcall $" TEXT(TASK_TSS) ", $0");
    outcome.instruction = (uint32_t)task_entry;
    check_fault("#TS(1000): the new task's DS", VECTOR_TS, 0x1000);
    check_value("  the caller's EIP is behind the CALL", main_tss.eip, outcome.end);
    // That was no return: make this the main task again.
    set_descriptor(MAIN_TSS, (uint32_t)&main_tss, sizeof main_tss - 1, 0x89, 0);
    __asm__ volatile("ltr %w0; clts" : : "r"(MAIN_TSS) : "memory");
    PROBE("pushf; orl $0x4000, (%%esp); popf; movl $0, main_tss", "iretl");
    check_fault("#TS(0): IRET, NT = 1, no link", VECTOR_TS, 0);
}

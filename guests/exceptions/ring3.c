// exceptions: those of ring 3: privileged instructions, gates and pages of the supervisor's, #AC.

#include "checks.h"
#include "exceptions.h"
#include "pages.h"
#include "probe.h"

enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_I = 16 };
enum { CR4_TSD = 4 };

#define ABSENT 0x4000100000
#define READ_ONLY 0x4000101000

static uint64_t frame[512] __attribute__((aligned(4096)));

#define USER(name, argument)                                                                                           \
    do {                                                                                                               \
        extern const char user_##name[], user_##name##_traps[];                                                        \
        probe_user(user_##name, user_##name##_traps, argument);                                                        \
    } while (0)

static void check_privileged_instructions(void) {
    USER(cli, 0);
    check_fault("#GP(0): CLI at CPL 3", VECTOR_GP, 0);
    check_value("the saved CS", outcome.trap.cs, SEL_USER64 | 3);
    check_value("the saved SS", outcome.trap.ss, SEL_USER | 3);
    check_value("the saved RSP", outcome.trap.rsp, PROBE_USER_STACK + 4096);
    USER(hlt, 0);
    check_fault("#GP(0): HLT at CPL 3", VECTOR_GP, 0);
    USER(in, 0);
    check_fault("#GP(0): IN at CPL 3, no I/O bitmap", VECTOR_GP, 0);
    USER(invlpg, 0);
    check_fault("#GP(0): INVLPG at CPL 3", VECTOR_GP, 0);
    USER(mov_cr0, 0);
    check_fault("#GP(0): MOV from CR0 at CPL 3", VECTOR_GP, 0);
    USER(mov_dr7, 0);
    check_fault("#GP(0): MOV from DR7 at CPL 3", VECTOR_GP, 0);
    USER(clts, 0);
    check_fault("#GP(0): CLTS at CPL 3", VECTOR_GP, 0);
    USER(wbinvd, 0);
    check_fault("#GP(0): WBINVD at CPL 3", VECTOR_GP, 0);
    USER(lidt, 0);
    check_fault("#GP(0): LIDT at CPL 3", VECTOR_GP, 0);
    USER(rdmsr, 0);
    check_fault("#GP(0): RDMSR at CPL 3", VECTOR_GP, 0);
    write_cr4(read_cr4() | CR4_TSD);
    USER(rdtsc, 0);
    check_fault("#GP(0): RDTSC at CPL 3, CR4.TSD = 1", VECTOR_GP, 0);
    write_cr4(read_cr4() & ~(uintptr_t)CR4_TSD);
    if (cpuid(7, 0).ecx >> 2 & 1) {
        write_cr4(read_cr4() | CR4_UMIP);
        USER(sgdt, 0);
        check_fault("#GP(0): SGDT at CPL 3, CR4.UMIP = 1", VECTOR_GP, 0);
        write_cr4(read_cr4() & ~(uintptr_t)CR4_UMIP);
    } else {
        not_offered("#GP(0): SGDT at CPL 3, CR4.UMIP = 1");
    }
    USER(syscall, 0);
    check_fault("#UD: SYSCALL, EFER.SCE = 0", VECTOR_UD, 0);
}

static void check_gates_and_segments(void) {
    USER(int70, 0);
    check_fault("#GP(382): INT at CPL 3 through a gate of DPL 0", VECTOR_GP, 0x70 * 8 + 2);
    USER(int3, 0);
    check_fault("#GP(1a): INT3 at CPL 3 through a gate of DPL 0", VECTOR_GP, VECTOR_BP * 8 + 2);
    USER(int80, 0);
    outcome.end = outcome.instruction + 2;
    check_trap("INT 80h at CPL 3 through a gate of DPL 3", 0x80);
    USER(ss_null, 0);
    check_fault("#GP(0): SS, null at CPL 3", VECTOR_GP, 0);
    USER(ds_kernel, 0);
    check_fault("#GP(10): DS, DPL 0 at CPL 3", VECTOR_GP, SEL_DATA);
}

static void check_user_pages(void) {
    map_page(READ_ONLY, (uint64_t)frame, PTE_P | PTE_U);
    USER(read, ABSENT);
    check_page_fault("#PF(4): load at CPL 3, page not present", PF_U, ABSENT);
    USER(write, ABSENT + 5);
    check_page_fault("#PF(6): store at CPL 3, page not present", PF_U | PF_W, ABSENT + 5);
    USER(read, (uint64_t)frame);
    check_page_fault("#PF(5): load at CPL 3, supervisor's page", PF_U | PF_P, (uint64_t)frame);
    USER(write, READ_ONLY);
    check_page_fault("#PF(7): store at CPL 3, page read-only", PF_U | PF_P | PF_W, READ_ONLY);
    if (!(cpuid(0x80000001, 0).edx >> 20 & 1)) {
        not_offered("NX");
        return;
    }
    USER(jump, (uint64_t)frame);
    outcome.instruction = (uint64_t)frame;
    check_page_fault("#PF(15): fetch at CPL 3, supervisor's page", PF_U | PF_P | PF_I, (uint64_t)frame);
    USER(jump, ABSENT);
    outcome.instruction = ABSENT;
    check_page_fault("#PF(14): fetch at CPL 3, page not present", PF_U | PF_I, ABSENT);
}

// Alignment is checked at CPL 3 only, and if CR0.AM and RFLAGS.AC are both 1. TCG does not check it at all.
static void check_alignment(void) {
    USER(misaligned, PROBE_USER_STACK);
    outcome.instruction += 3;       // over the load, to the UD2 behind it
    check_fault("misaligned load, CR0.AM = 0: none", VECTOR_UD, 0);
    write_cr0(read_cr0() | CR0_AM);
    USER(misaligned, PROBE_USER_STACK);
    check_fault("#AC(0): load of 4 bytes at 1", VECTOR_AC, 0);
    USER(misaligned_store, PROBE_USER_STACK);
    check_fault("#AC(0): store of 8 bytes at 4", VECTOR_AC, 0);
    USER(misaligned, ABSENT);
    check_fault("#AC(0) rather than #PF", VECTOR_AC, 0);
    PROBE("pushf; orl $0x40000, (%%rsp); popf; lea -64(%%rsp), %%rax", "mov 1(%%rax), %%ecx");
    check_no_trap("misaligned load at CPL 0: none");
    __asm__ volatile("push $2; popf" : : : "cc");
    write_cr0(read_cr0() & ~(uintptr_t)CR0_AM);
}

void check_ring3(void) {
    check_privileged_instructions();
    check_gates_and_segments();
    check_user_pages();
    check_alignment();
}

// exceptions: those that an instruction raises by itself: #DE, #BP, #UD, #NM, #MF, #XM, and #GP without a selector.

#include "checks.h"
#include "exceptions.h"
#include "probe.h"

static void check_division(void) {
    PROBE("xor %%edx, %%edx; mov $1, %%eax; xor %%ecx, %%ecx", "div %%ecx");
    check_fault("#DE: DIV by zero", VECTOR_DE, 0);
    PROBE("mov $1, %%edx; xor %%eax, %%eax; mov $1, %%ecx", "div %%ecx");
    check_fault("#DE: DIV, quotient of 33 bits", VECTOR_DE, 0);
    PROBE("mov $0x80000000, %%eax; cdq; mov $-1, %%ecx", "idiv %%ecx");
    check_fault("#DE: IDIV, -2^31 by -1", VECTOR_DE, 0);
    PROBE("mov $0xff80, %%eax; mov $-1, %%ecx", "idiv %%cl");
    check_fault("#DE: IDIV of bytes, -128 by -1", VECTOR_DE, 0);
    PROBE("mov $1, %%edx; xor %%eax, %%eax; mov $2, %%ecx", "div %%ecx");
    check_no_trap("DIV, quotient of 32 bits: none");
}

static void check_breakpoints(void) {
    PROBE("", "int3");
    check_trap("#BP: INT3", VECTOR_BP);
    PROBE("", ".byte 0xcd, 3");
    check_trap("#BP: INT 3 of two bytes", VECTOR_BP);
    PROBE("", "int $0x70");
    check_trap("INT 70h through its gate", 0x70);
}

static void check_invalid_opcodes(void) {
    PROBE("", "ud2");
    check_fault("#UD: UD2", VECTOR_UD, 0);
    PROBE("", ".byte 0xce");
    check_fault("#UD: INTO", VECTOR_UD, 0);
    PROBE("", ".byte 0x06");
    check_fault("#UD: PUSH ES", VECTOR_UD, 0);
    PROBE("", ".byte 0x37");
    check_fault("#UD: AAA", VECTOR_UD, 0);
    PROBE("", ".byte 0x82, 0xc0, 0x01");
    check_fault("#UD: opcode 82h", VECTOR_UD, 0);
    PROBE("", ".byte 0xea, 0, 0, 0, 0, 0, 0");
    check_fault("#UD: direct far JMP", VECTOR_UD, 0);
    PROBE("", ".byte 0xf0, 0x90");
    check_fault("#UD: LOCK NOP", VECTOR_UD, 0);
    PROBE("", ".byte 0xf0, 0x01, 0xc0");
    check_fault("#UD: LOCK ADD to a register", VECTOR_UD, 0);
    PROBE("", ".byte 0xf0, 0x39, 0x03");
    check_fault("#UD: LOCK CMP", VECTOR_UD, 0);
    PROBE("", ".byte 0x8e, 0xc8");
    check_fault("#UD: MOV to CS", VECTOR_UD, 0);
    PROBE("", ".byte 0x0f, 0x20, 0xc8");
    check_fault("#UD: MOV from CR1", VECTOR_UD, 0);
    PROBE("", ".byte 0x0f, 0xc7, 0xc8");
    check_fault("#UD: CMPXCHG8B of a register", VECTOR_UD, 0);
    PROBE("", ".byte 0x8d, 0xc0");
    check_fault("#UD: LEA of a register", VECTOR_UD, 0);
    PROBE("", ".byte 0x0f, 0x0a");
    check_fault("#UD: opcode 0F 0A", VECTOR_UD, 0);

    write_cr4(read_cr4() | CR4_DE);
    PROBE("", ".byte 0x0f, 0x21, 0xe0");
    check_fault("#UD: MOV from DR4, CR4.DE = 1", VECTOR_UD, 0);
    write_cr4(read_cr4() & ~(uintptr_t)CR4_DE);
}

static void check_device_not_available(void) {
    write_cr0(read_cr0() | CR0_TS);
    PROBE("", "fld1");
    check_fault("#NM: FLD1, CR0.TS = 1", VECTOR_NM, 0);
    PROBE("", "xorps %%xmm0, %%xmm0");
    check_fault("#NM: XORPS, CR0.TS = 1", VECTOR_NM, 0);
    PROBE("", "fwait");
    check_fault("#NM: FWAIT, CR0.TS and MP = 1", VECTOR_NM, 0);
    write_cr0(read_cr0() & ~(uintptr_t)CR0_MP);
    PROBE("", "fwait");
    check_no_trap("FWAIT, CR0.TS = 1 and MP = 0: none");
    write_cr0((read_cr0() | CR0_MP | CR0_EM) & ~(uintptr_t)CR0_TS);
    PROBE("", "fld1");
    check_fault("#NM: FLD1, CR0.EM = 1", VECTOR_NM, 0);
    PROBE("", "xorps %%xmm0, %%xmm0");
    check_fault("#UD: XORPS, CR0.EM = 1", VECTOR_UD, 0);
    write_cr0(read_cr0() & ~(uintptr_t)CR0_EM);
    write_cr4(read_cr4() & ~(uintptr_t)CR4_OSFXSR);
    PROBE("", "xorps %%xmm0, %%xmm0");
    check_fault("#UD: XORPS, CR4.OSFXSR = 0", VECTOR_UD, 0);
    write_cr4(read_cr4() | CR4_OSFXSR);
}

// Floating-point exceptions: the x87's is taken at the next waiting instruction, SSE's at once.
static void check_floating_point(void) {
    static const uint16_t unmasked_control_word = 0x037f & ~0x0004;
    static const uint32_t unmasked_mxcsr = 0x1f80 & ~0x0200, default_mxcsr = 0x1f80;
    __asm__ volatile("fninit; fldcw %0; fldz; fld1; fdiv %%st(1), %%st" : : "m"(unmasked_control_word));
    PROBE("", "fwait");
    check_fault("#MF: FWAIT after a division by zero", VECTOR_MF, 0);
    PROBE("", "fld1");
    check_fault("#MF: FLD1 after a division by zero", VECTOR_MF, 0);
    PROBE("", "fnstsw %%ax");
    check_no_trap("FNSTSW does not wait: none");
    __asm__ volatile("fninit");

    __asm__ volatile("ldmxcsr %0" : : "m"(unmasked_mxcsr));
    PROBE("xorps %%xmm1, %%xmm1; mov $1, %%eax; cvtsi2ss %%eax, %%xmm0", "divss %%xmm1, %%xmm0");
    check_fault("#XM: DIVSS by zero", VECTOR_XM, 0);
    write_cr4(read_cr4() & ~(uintptr_t)CR4_OSXMMEXCPT);
    PROBE("mov $1, %%eax; cvtsi2ss %%eax, %%xmm0", "divss %%xmm1, %%xmm0");
    check_fault("#UD: the same, CR4.OSXMMEXCPT = 0", VECTOR_UD, 0);
    write_cr4(read_cr4() | CR4_OSXMMEXCPT);
    __asm__ volatile("ldmxcsr %0" : : "m"(default_mxcsr));
    PROBE("mov $0x80000000, %%eax; push %%rax", "ldmxcsr (%%rsp)");
    check_fault("#GP(0): LDMXCSR, reserved bit", VECTOR_GP, 0);
}

static void check_general_protection(void) {
    PROBE("mov $0x800000000000, %%rax", "mov (%%rax), %%al");
    check_fault("#GP(0): load, address not canonical", VECTOR_GP, 0);
    PROBE("mov $0x7fffffffffff, %%rax", "mov %%cx, (%%rax)");
    check_fault("#GP(0): store, second byte not canonical", VECTOR_GP, 0);
    PROBE("mov $0x800000000000, %%rbp", "mov (%%rbp), %%al");
    check_fault("#SS(0): load by RBP, address not canonical", VECTOR_SS, 0);
    // TCG jumps, and faults at the target.
    PROBE("mov $0x800000000000, %%rax", "jmp *%%rax");
    check_fault("#GP(0): JMP, target not canonical", VECTOR_GP, 0);
    PROBE("mov $0x800000000000, %%rax; push %%rax", "ret");
    check_fault("#GP(0): RET, target not canonical", VECTOR_GP, 0);
    PROBE("mov $stack_top - 8, %%eax", "movaps %%xmm0, (%%rax)");
    check_fault("#GP(0): MOVAPS not aligned", VECTOR_GP, 0);
    PROBE("", ".fill 14, 1, 0x66; nop; nop");
    check_no_trap("an instruction of 15 bytes: none");
    PROBE("", ".fill 15, 1, 0x66; nop");
    check_fault("#GP(0): an instruction of 16 bytes", VECTOR_GP, 0);
    if (is_tcg()) return;       // it accepts what follows, and loses its way
    PROBE("mov %%cr4, %%rax; bts $31, %%rax", "mov %%rax, %%cr4");
    check_fault("#GP(0): MOV to CR4, reserved bit", VECTOR_GP, 0);
    PROBE("mov $16, %%eax", "mov %%rax, %%cr8");
    check_fault("#GP(0): MOV to CR8, 16", VECTOR_GP, 0);
    PROBE("mov $0xc0000082, %%ecx; xor %%eax, %%eax; mov $0x8000, %%edx", "wrmsr");
    check_fault("#GP(0): WRMSR to LSTAR, not canonical", VECTOR_GP, 0);
    PROBE("mov $0xc0000080, %%ecx; rdmsr; btr $8, %%eax", "wrmsr");
    check_fault("#GP(0): WRMSR to EFER, LME = 0 with paging on", VECTOR_GP, 0);
    PROBE("mov $0x4000, %%eax; push %%rax; popf", "iretq");
    check_fault("#GP(0): IRETQ, RFLAGS.NT = 1", VECTOR_GP, 0);
    PROBE("mov %%cr0, %%rax; and $0x7ffffffe, %%eax; or $0x80000000, %%eax", "mov %%rax, %%cr0");
    check_fault("#GP(0): MOV to CR0, PG = 1 and PE = 0", VECTOR_GP, 0);
    PROBE("mov %%cr4, %%rax; and $~0x20, %%eax", "mov %%rax, %%cr4");
    check_fault("#GP(0): MOV to CR4, PAE = 0 in long mode", VECTOR_GP, 0);
    PROBE("mov %%cr0, %%rax; and $0x7fffffff, %%eax", "mov %%rax, %%cr0");
    check_fault("#GP(0): MOV to CR0, PG = 0 in 64-bit mode", VECTOR_GP, 0);
}

void check_instructions(void) {
    check_division();
    check_breakpoints();
    check_invalid_opcodes();
    check_device_not_available();
    check_floating_point();
    check_general_protection();
}

// segments: 16-bit code in protected mode, and virtual-8086 mode (Intel SDM volume 3, chapters 20 and 21).

#include "probe32.h"

extern const char code16[], v86_code[], v86_trap[];

enum { EFLAGS_VM = 1 << 17 };


static void check_code16(void) {
    uint32_t ax = 0xffffffff, cx = 0, bx = 0xffffffff;
    set_descriptor(TEST, (uint32_t)code16, 0xffff, 0x9b, 0);
    __asm__ volatile("lcall $" TEXT(TEST) ", $0" : "+a"(ax), "+c"(cx), "+b"(bx) : : "memory", "cc");
    check_value("16-bit code: MOV of 16 bits", ax, 0xffff1234);
    check_value("  MOV of 32 bits by prefix", cx, 0x56789abc);
    check_value("  PUSH and POP of 16 bits", bx, 0xffff1234);
}

// V86 code must lie below 1 MiB: it is copied to 0x8000, with its data at 0x9000.
static void check_v86(void) {
    uint8_t *code = (uint8_t *)0x8000;
    volatile uint16_t *data = (volatile uint16_t *)0x9010;
    for (unsigned i = 0; i <= (unsigned)(v86_trap - v86_code); i++) code[i] = (uint8_t)v86_code[i];
    *data = 0;
    begin_probe();
    // IRET pops, behind SS: ES, DS, FS, GS.
    __asm__ volatile(PROBE_BEGIN "push $0x44; push $0x33; push $0x900; push $0x22\n"
                                 "push $0xa00; push $0x100; push $0x20002; push $0x800; push $0\n"
                                 "77: iretl\n78:\n" PROBE_END PROBE_OPERANDS);
    const struct trap32 *trap = &outcome.trap;
    outcome.instruction = (uint32_t)(v86_trap - v86_code);
    check_fault("#GP(0): HLT in V86 mode", VECTOR_GP, 0);
    check_value("  EFLAGS.VM in the pushed flags", trap->eflags & EFLAGS_VM, EFLAGS_VM);
    check_value("  CS", trap->cs & 0xffff, 0x800);
    check_value("  SS", trap->ss & 0xffff, 0xa00);
    check_value("  SP", trap->esp, 0x100);
    check_value("  DS", trap->v86_ds & 0xffff, 0x900);
    check_value("  ES, FS, GS", trap->v86_es << 16 | trap->v86_fs << 8 | trap->v86_gs, 0x00223344);
    check_value("  the handler's own DS to GS are null", (trap->ds | trap->es | trap->fs | trap->gs) & 0xffff, 0);
    check_value("  the store went to 16 * DS", *data, 0x8642);
    check_value("  CS was read as it is", trap->ebx & 0xffff, 0x800);
}

void check_modes(void) {
    check_code16();
    check_v86();
}

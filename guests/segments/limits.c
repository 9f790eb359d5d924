// segments: limits and types, checked at every access (Intel SDM volume 3, 5.3 and 5.4).

#include "probe32.h"

static uint8_t area[0x2000] __attribute__((aligned(4096)));

#define LOAD_FS "mov $" TEXT(TEST) ", %%eax; mov %%eax, %%fs"

static void check_expand_up(void) {
    set_descriptor(TEST, (uint32_t)area, 0xfff, 0x93, 4);
    area[0xfff] = 0x77;
    PROBE(LOAD_FS, "mov %%fs:0xfff, %%al");
    check_no_trap("limit fff: a byte at fff");
    PROBE(LOAD_FS, "mov %%fs:0x1000, %%al");
    check_fault("#GP(0): a byte at 1000", VECTOR_GP, 0);
    PROBE(LOAD_FS, "mov %%fs:0xffc, %%eax");
    check_no_trap("  a doubleword at ffc");
    PROBE(LOAD_FS, "mov %%fs:0xffd, %%eax");
    check_fault("#GP(0): a doubleword at ffd", VECTOR_GP, 0);
    PROBE(LOAD_FS, "mov %%eax, %%fs:0xffd");
    check_fault("#GP(0): a store of one", VECTOR_GP, 0);
    check_value("  nothing of it is written", area[0xfff], 0x77);
    PROBE(LOAD_FS, "mov %%fs:0xffffffff, %%ax");
    check_fault("#GP(0): a word at ffffffff", VECTOR_GP, 0);
    PROBE(LOAD_FS "; mov $0xffffffff, %%esi", "mov %%fs:1(%%esi), %%al");
    check_no_trap("  an offset wraps at 32 bits before it is checked");
    PROBE(LOAD_FS "; mov $0xff8, %%esi; mov $user_stack, %%edi; mov $4, %%ecx", "rep movsl %%fs:(%%esi), %%es:(%%edi)");
    check_fault("#GP(0): REP MOVSD over the limit", VECTOR_GP, 0);
    check_value("  ECX", outcome.trap.ecx, 2);
    check_value("  ESI", outcome.trap.esi, 0x1000);

    set_descriptor(TEST, (uint32_t)area, 1, 0x93, 0xc);
    PROBE(LOAD_FS, "mov %%fs:0x1fff, %%al");
    check_no_trap("limit 1, G = 1: a byte at 1fff");
    PROBE(LOAD_FS, "mov %%fs:0x2000, %%al");
    check_fault("#GP(0): a byte at 2000", VECTOR_GP, 0);

    // The base is added modulo 2^32.
    set_descriptor(TEST, (uint32_t)area - 0x1000, 0xfffff, 0x93, 0xc);
    PROBE(LOAD_FS, "movb $0x55, %%fs:0x1003");
    check_value("the base is added", area[3], 0x55);
    PROBE(LOAD_FS, "lea %%fs:0x1003, %%eax; mov %%eax, user_stack");
    check_value("  but not by LEA", *(uint32_t *)user_stack, 0x1003);
}

static void check_expand_down(void) {
    set_descriptor(TEST, (uint32_t)area - 0x1000, 0xfff, 0x97, 4);
    PROBE(LOAD_FS, "mov %%fs:0x1000, %%al");
    check_no_trap("expand-down, limit fff: a byte at 1000");
    PROBE(LOAD_FS, "mov %%fs:0xfff, %%al");
    check_fault("#GP(0): a byte at fff", VECTOR_GP, 0);
    PROBE(LOAD_FS, "mov %%fs:0xffe, %%eax");
    check_fault("#GP(0): a doubleword at ffe", VECTOR_GP, 0);
    set_descriptor(TEST, (uint32_t)area - 0x1000, 0xfff, 0x97, 0);
    PROBE(LOAD_FS, "mov %%fs:0xffff, %%al");
    check_no_trap("expand-down, B = 0: a byte at ffff");
    PROBE(LOAD_FS, "mov %%fs:0x10000, %%al");
    check_fault("#GP(0): a byte at 10000", VECTOR_GP, 0);
    PROBE(LOAD_FS, "mov %%fs:0xffff, %%ax");
    check_fault("#GP(0): a word at ffff", VECTOR_GP, 0);
}

static void check_types(void) {
    set_descriptor(TEST, 0, 0xfffff, 0x91, 0xc);
    PROBE(LOAD_FS, "mov %%fs:user_stack, %%al");
    check_no_trap("read-only data: a load");
    PROBE(LOAD_FS, "mov %%al, %%fs:user_stack");
    check_fault("#GP(0): a store", VECTOR_GP, 0);
    set_descriptor(TEST, 0, 0xfffff, 0x9b, 0xc);
    PROBE(LOAD_FS, "mov %%fs:user_stack, %%al");
    check_no_trap("readable code: a load");
    PROBE(LOAD_FS, "mov %%al, %%fs:user_stack");
    check_fault("#GP(0): a store", VECTOR_GP, 0);
    PROBE("", "mov %%al, %%cs:user_stack");
    check_fault("#GP(0): a store by CS", VECTOR_GP, 0);
    set_descriptor(TEST, 0, 0xfffff, 0x99, 0xc);
    PROBE("mov $" TEXT(TEST) ", %%eax", "mov %%eax, %%fs");
    check_fault("#GP(38): execute-only code in FS", VECTOR_GP, TEST);
    PROBE("xor %%eax, %%eax", "mov %%eax, %%fs");
    check_no_trap("a null selector in FS");
    PROBE("xor %%eax, %%eax; mov %%eax, %%fs", "mov %%fs:user_stack, %%al");
    check_fault("#GP(0): an access by it", VECTOR_GP, 0);
    set_descriptor(TEST, 0, 0xfffff, 0x92, 0xc);
    PROBE("", LOAD_FS);
    check_value("loading a selector sets the accessed bit", gdt[TEST / 8] >> 40 & 0xff, 0x93);
    set_descriptor(TEST, 0, 0xfffff, 0x13, 0xc);
    PROBE("mov $" TEXT(TEST) ", %%eax", "mov %%eax, %%fs");
    check_fault("#NP(38): not present", VECTOR_NP, TEST);
}

// Stacks are tried at CPL 3: a fault at CPL 0 would be pushed on the very stack that is wrong.
static void check_stacks(void) {
    set_descriptor(TEST, (uint32_t)user_stack, 0xff, 0xf3, 4);
    PROBE_USER("mov $" TEXT(TEST) " + 3, %%eax; mov %%eax, %%ss; mov $0x100, %%esp", "push %%eax");
    check_no_trap("stack, limit ff: PUSH at 100");
    PROBE_USER("mov $" TEXT(TEST) " + 3, %%eax; mov %%eax, %%ss; mov $0x102, %%esp", "push %%eax");
    check_fault("#SS(0): PUSH at 102", VECTOR_SS, 0);
    check_value("  ESP is as it was", outcome.trap.esp, 0x102);
    PROBE_USER("mov $" TEXT(TEST) " + 3, %%eax; mov %%eax, %%ss; xor %%ebp, %%ebp", "mov 0x100(%%ebp), %%al");
    check_fault("#SS(0): a load by EBP", VECTOR_SS, 0);
    PROBE_USER("mov $" TEXT(TEST) " + 3, %%eax; mov %%eax, %%ss; mov $0xfe, %%esp", "pop %%eax");
    check_fault("#SS(0): POP at fe", VECTOR_SS, 0);
    set_descriptor(TEST, (uint32_t)user_stack, 0xffff, 0xf3, 0);
    PROBE_USER("mov $" TEXT(TEST) " + 3, %%eax; mov %%eax, %%ss; mov $0x10008, %%esp", "push $0x11223344");
    check_no_trap("stack of 16 bits: PUSH by SP");
    check_value("  the upper half of ESP stays", outcome.trap.esp, 0x10004);
    check_value("  its doubleword", *(uint32_t *)(user_stack + 4), 0x11223344);
}

static void check_code(void) {
    extern const char short_code[];
    set_descriptor(TEST, (uint32_t)short_code, 3, 0x9b, 4);
    PROBE("", "ljmp $" TEXT(TEST) ", $0");
    outcome.instruction = 4;
    check_fault("#GP(0): code runs over its limit", VECTOR_GP, 0);
    check_value("  the saved CS", outcome.trap.cs, TEST);
    PROBE("", "ljmp $" TEXT(TEST) ", $4");
    check_fault("#GP(0): far JMP beyond the limit", VECTOR_GP, 0);
}

void check_limits(void) {
    check_expand_up();
    check_expand_down();
    check_types();
    check_stacks();
    check_code();
}

// segments: CPL, RPL and DPL (Intel SDM volume 3, 5.5 to 5.8), IOPL and the I/O permission bitmap.

#include "probe32.h"

static void check_selectors(void) {
    PROBE_USER("mov $" TEXT(DATA) ", %%eax", "mov %%eax, %%fs");
    check_fault("#GP(10): DPL 0 at CPL 3", VECTOR_GP, DATA);
    PROBE("mov $" TEXT(DATA) " + 3, %%eax", "mov %%eax, %%fs");
    check_fault("#GP(10): DPL 0, RPL 3 at CPL 0", VECTOR_GP, DATA);
    PROBE("mov $" TEXT(USER_DATA) ", %%eax", "mov %%eax, %%fs");
    check_no_trap("DPL 3 at CPL 0");
    PROBE("mov $" TEXT(USER_DATA) ", %%eax", "mov %%eax, %%ss");
    check_fault("#GP(20): DPL 3 in SS at CPL 0", VECTOR_GP, USER_DATA & ~3);
    PROBE_USER("xor %%eax, %%eax", "mov %%eax, %%ss");
    check_fault("#GP(0): null in SS", VECTOR_GP, 0);
    set_descriptor(TEST, 0, 0xfffff, 0x73, 0xc);
    PROBE_USER("mov $" TEXT(TEST) " + 3, %%eax", "mov %%eax, %%ss");
    check_fault("#SS(38): not present, in SS", VECTOR_SS, TEST);
    set_descriptor(TEST, 0, 0xfffff, 0x9f, 0xc);
    PROBE_USER("mov $" TEXT(TEST) " + 3, %%eax", "mov %%eax, %%fs");
    check_no_trap("conforming code of DPL 0 in FS at CPL 3");
}

static void check_transfers(void) {
    extern const char conforming_code[];
    PROBE_USER("", "ljmp $" TEXT(CODE) ", $0");
    check_fault("#GP(08): far JMP to DPL 0 at CPL 3", VECTOR_GP, CODE);
    PROBE("", "ljmp $" TEXT(USER_CODE) ", $0");
    check_fault("#GP(18): far JMP to DPL 3 at CPL 0", VECTOR_GP, USER_CODE & ~3);
    set_descriptor(TEST, 0, 0xfffff, 0x9f, 0xc);
    PROBE_USER("", "ljmp $" TEXT(TEST) ", $conforming_code");
    check("far JMP to conforming code at CPL 3", outcome.trap.vector == 0x80);
    check_value("  CPL stays 3", outcome.trap.cs, TEST | 3);
    PROBE_USER("", "lcall $" TEXT(DATA) ", $0");
    check_fault("#GP(10): far CALL to data", VECTOR_GP, DATA);
    PROBE_USER("push $" TEXT(CODE) "; push $0", "lret");
    check_fault("#GP(08): far RET to an inner ring", VECTOR_GP, CODE);
    PROBE_USER("push $2; push $" TEXT(CODE) "; push $0", "iretl");
    check_fault("#GP(08): IRET to an inner ring", VECTOR_GP, CODE);
}

static void check_io(void) {
    main_tss.io_map[0x80 / 8] = 0xfe;
    PROBE_USER("", "out %%al, $0x80");
    check_no_trap("OUT to a port that the bitmap allows");
    PROBE_USER("", "out %%al, $0x81");
    check_fault("#GP(0): OUT to the next", VECTOR_GP, 0);
    PROBE_USER("", "out %%ax, $0x80");
    check_fault("#GP(0): OUT of a word to both", VECTOR_GP, 0);
    PROBE_USER("mov $0x500, %%edx", "in %%dx, %%al");
    check_fault("#GP(0): IN beyond the TSS's limit", VECTOR_GP, 0);
    PROBE_USER("", "cli");
    check_fault("#GP(0): CLI, IOPL = 0", VECTOR_GP, 0);
    PROBE_USER_FLAGS("0x3002", "", "cli; out %%al, $0x81");
    check_no_trap("CLI and OUT, IOPL = 3");
    PROBE_USER("pushf; orl $0x3200, (%%esp); popf", "pushf; pop %%ebx");
    check_value("POPF at CPL 3 leaves IF and IOPL", outcome.trap.ebx & 0x3200, 0);
    main_tss.io_map[0x80 / 8] = 0xff;
}

void check_privileges(void) {
    check_selectors();
    check_transfers();
    check_io();
}

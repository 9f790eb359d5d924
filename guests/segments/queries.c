// segments: LAR, LSL, VERR, VERW and ARPL, which ask and do not fault; and the other old instructions of 32 bits.

#include "probe32.h"

struct answer {
    bool zf;
    uint32_t value;
};

static struct answer lar(uint32_t selector) {
    struct answer a = {false, 0xdeadbeef};
    __asm__ volatile("lar %2, %1; setz %0" : "=q"(a.zf), "+r"(a.value) : "r"(selector) : "cc");
    return a;
}

static struct answer lsl(uint32_t selector) {
    struct answer a = {false, 0xdeadbeef};
    __asm__ volatile("lsl %2, %1; setz %0" : "=q"(a.zf), "+r"(a.value) : "r"(selector) : "cc");
    return a;
}

static bool verr(uint32_t selector) {
    bool zf;
    __asm__ volatile("verr %w1; setz %0" : "=q"(zf) : "r"(selector) : "cc");
    return zf;
}

static bool verw(uint32_t selector) {
    bool zf;
    __asm__ volatile("verw %w1; setz %0" : "=q"(zf) : "r"(selector) : "cc");
    return zf;
}

static void check_descriptors(void) {
    set_descriptor(TEST, 0x12345678, 0xabcde, 0xb3, 0xc);
    struct answer a = lar(TEST);
    check_value("LAR: access rights", a.zf ? a.value & 0xf0ff00 : 0, 0xc0b300);
    a = lsl(TEST);
    check_value("LSL: limit, G = 1", a.zf ? a.value : 0, 0xabcdefff);
    set_descriptor(TEST, 0, 0x54321, 0xb3, 4);
    a = lsl(TEST);
    check_value("LSL: limit, G = 0", a.zf ? a.value : 0, 0x54321);
    a = lar(0x1000);
    check("LAR: beyond the GDT", !a.zf && a.value == 0xdeadbeef);
    check("LAR: null", !lar(0).zf);
    check("LAR: a TSS", lar(MAIN_TSS).zf);
    check_value("LSL: a TSS", lsl(MAIN_TSS).value, sizeof main_tss - 1);
    set_call_gate(GATE, CODE, NULL, 0, 0x8c);
    check("LAR: a call gate", lar(GATE).zf);
    check("LSL: a call gate has no limit", !lsl(GATE).zf);
    set_descriptor(TEST, 0, 0xfffff, 0x8e, 0);
    check("LAR: an interrupt gate has no place there", !lar(TEST).zf);
    check("LAR: RPL 3, DPL 0", !lar(DATA | 3).zf);
    set_descriptor(TEST, 0, 0xfffff, 0x13, 0xc);
    check("LAR: a segment that is not present", lar(TEST).zf);

    check("VERR: data", verr(DATA));
    check("VERW: data", verw(DATA));
    check("VERW: code", !verw(CODE));
    set_descriptor(TEST, 0, 0xfffff, 0x99, 0xc);
    check("VERR: execute-only code", !verr(TEST));
    set_descriptor(TEST, 0, 0xfffff, 0x91, 0xc);
    check("VERW: read-only data", !verw(TEST));
    check("VERR: a TSS", !verr(MAIN_TSS));
    check("VERR: RPL 3, DPL 0", !verr(DATA | 3));
    set_descriptor(TEST, 0, 0xfffff, 0x9f, 0xc);
    check("VERR: conforming code, RPL 3, DPL 0", verr(TEST | 3));

    uint32_t selector = 0x1238;
    bool zf;
    __asm__ volatile("arpl %w2, %w1; setz %0" : "=q"(zf), "+r"(selector) : "r"(3) : "cc");
    check("ARPL raises RPL", zf && selector == 0x123b);
    __asm__ volatile("arpl %w2, %w1; setz %0" : "=q"(zf), "+r"(selector) : "r"(1) : "cc");
    check("ARPL does not lower it", !zf && selector == 0x123b);
}

static void check_old_instructions(void) {
    PROBE("mov $0x7fffffff, %%eax; add $1, %%eax", "into");
    outcome.instruction = outcome.end;
    check_fault("#OF: INTO, OF = 1, behind it", VECTOR_OF, 0);
    PROBE("xor %%eax, %%eax", "into");
    check_no_trap("INTO, OF = 0");
    PROBE("push $9; push $1; mov $10, %%eax", ".byte 0x62, 0x04, 0x24");
    check_fault("#BR: BOUND, 10 in 1...9", VECTOR_BR, 0);
    PROBE("push $9; push $1; mov $9, %%eax", ".byte 0x62, 0x04, 0x24");
    check_no_trap("BOUND, 9 in 1...9");
    PROBE("mov $5, %%eax", "aam $0");
    check_fault("#DE: AAM 0", VECTOR_DE, 0);
    uint32_t ax = 0x79;
    uint8_t carry;
    __asm__ volatile("add $0x35, %%al; daa; setc %1" : "+a"(ax), "=q"(carry) : : "cc");
    check("DAA: 79 + 35 = 114", (ax & 0xff) == 0x14 && carry);
    ax = 0x35;
    __asm__ volatile("sub $0x47, %%al; das; setc %1" : "+a"(ax), "=q"(carry) : : "cc");
    check("DAS: 35 - 47 = 88 with borrow", (ax & 0xff) == 0x88 && carry);
    ax = 0x0008;
    __asm__ volatile("add $5, %%al; aaa" : "+a"(ax) : : "cc");
    check_value("AAA: 8 + 5", ax & 0xffff, 0x0103);
    ax = 0x0203;
    __asm__ volatile("sub $5, %%al; aas" : "+a"(ax) : : "cc");
    check_value("AAS: 23 - 5", ax & 0xffff, 0x0108);
    ax = 63;
    __asm__ volatile("aam" : "+a"(ax) : : "cc");
    check_value("AAM: 63", ax & 0xffff, 0x0603);
    __asm__ volatile("aad" : "+a"(ax) : : "cc");
    check_value("AAD: 63", ax & 0xffff, 63);
    uint32_t all[8];
    __asm__ volatile("mov $1, %%eax; mov $2, %%ecx; mov $3, %%edx; mov $4, %%ebx; mov $6, %%esi; mov $7, %%edi\n"
                     "pushal; mov %%esp, %%edx; lea %0, %%edi; mov %%edx, %%esi; mov $8, %%ecx; rep movsl; popal"
                     : "=m"(all) : : "eax", "ebx", "ecx", "edx", "esi", "edi", "memory");
    check("PUSHAD's order", all[7] == 1 && all[6] == 2 && all[5] == 3 && all[4] == 4 && all[1] == 6 && all[0] == 7);
}

void check_queries(void) {
    check_descriptors();
    check_old_instructions();
}

// hostile: random bytes as instructions in ring 3, one at a time (RFLAGS.TF). They have two pages: their own, which is
// full of INT3 but for them, and a stack. Whatever they do, it ends in a trap, and none but ring 3's registers change.

#include "hostile.h"

enum { ROUNDS = 20000, LENGTH = 15 };

static uint8_t code[4096] __attribute__((aligned(4096)));

// Random bytes alone find few of the longer opcodes: so the first ones are chosen more often than not.
static unsigned choose_opening(uint8_t *bytes) {
    unsigned length = 0;
    uint32_t choice = draw();
    if ((choice & 3) == 0) bytes[length++] = (uint8_t[]){0x66, 0xf2, 0xf3, 0x67, 0xf0, 0x2e, 0x64, 0x65}[choice >> 2 & 7];
    if ((choice >> 8 & 3) == 0) bytes[length++] = 0x40 | (choice >> 10 & 15);
    switch (choice >> 16 & 7) {
    case 0: bytes[length++] = 0x0f; break;
    case 1: bytes[length++] = 0x0f, bytes[length++] = 0x38; break;
    case 2: bytes[length++] = 0x0f, bytes[length++] = 0x3a; break;
    case 3: bytes[length++] = 0xc4, bytes[length++] = 0xe0 | (choice >> 20 & 3); break;
    case 4: bytes[length++] = 0xd8 | (choice >> 20 & 7); break;
    default: break;
    }
    return length;
}

void attack_decoder(void) {
    if (is_tcg()) return;       // 7.2 crashes on the first LOCK BTR of a register
    for (unsigned i = 0; i < sizeof code; i++) code[i] = 0xcc;
    set_gate(VECTOR_BP, vector_stubs[VECTOR_BP], 0, GATE_INTERRUPT | GATE_DPL3);
    probe_user_flags = 2 | RFLAGS_TF;
    uint8_t *at = code + 2048;
    unsigned trapped = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = choose_opening(at); i < LENGTH; i++) at[i] = (uint8_t)draw();
        probe_user((const char *)at, (const char *)at, PROBE_USER_STACK + 2048);
        trapped += outcome.traps == 1 && (outcome.trap.cs & 3) == 3;
    }
    probe_user_flags = 2;
    __asm__ volatile("fninit");
    check_value("20000 random instructions in ring 3, each ended by a trap", trapped, ROUNDS);
}

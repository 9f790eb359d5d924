// segments: call gates and interrupt gates between rings (Intel SDM volume 3, 5.8.3 to 5.8.6, and 6.12).

#include "probe32.h"

extern const char gate_target[], gate_target_same_ring[];

// What the procedure behind the gate found: its stack, its CS and SS.
struct gate_record {
    uint32_t stack[6], cs, ss, esp;
};
extern struct gate_record gate_record;

void check_gates(void) {
    set_call_gate(GATE, CODE, gate_target, 2, 0xec);
    PROBE_USER("mov $" TEXT(USER_DATA) ", %%eax; mov %%eax, %%es; push $0x2222; push $0x1111",
               "lcall $" TEXT(GATE) " + 3, $0\n mov %%esp, %%ebx; mov %%es, %%esi; mov %%ds, %%edi");
    check_no_trap("call gate from CPL 3 to CPL 0 and back");
    check_value("  CS in the procedure", gate_record.cs, CODE);
    check_value("  SS is the TSS's", gate_record.ss, DATA);
    check_value("  ESP is the TSS's, less 24 bytes", gate_record.esp, main_tss.esp0 - 24);
    check_value("  the return address's CS", gate_record.stack[1] & 0xffff, USER_CODE);
    check_value("  the first parameter", gate_record.stack[2], 0x1111);
    check_value("  the second parameter", gate_record.stack[3], 0x2222);
    check_value("  the caller's ESP", gate_record.stack[4], (uint32_t)user_stack + 4096 - 8);
    check_value("  the caller's SS", gate_record.stack[5] & 0xffff, USER_DATA);
    check_value("  ESP afterwards: RET has freed the parameters", outcome.trap.ebx, (uint32_t)user_stack + 4096);
    check_value("  ES was DPL 0: null afterwards", outcome.trap.esi & 0xffff, 0);
    check_value("  DS was the user's: kept", outcome.trap.edi & 0xffff, USER_DATA);

    set_call_gate(GATE, CODE, gate_target_same_ring, 2, 0x8c);
    PROBE("", "lcall $" TEXT(GATE) ", $0x12345678");
    check_no_trap("call gate at CPL 0: no switch, the offset is the gate's");
    PROBE_USER("", "lcall $" TEXT(GATE) ", $0");
    check_fault("#GP(48): gate of DPL 0 at CPL 3", VECTOR_GP, GATE);
    set_call_gate(GATE, CODE, gate_target, 0, 0x6c);
    PROBE_USER("", "lcall $" TEXT(GATE) ", $0");
    check_fault("#NP(48): gate not present", VECTOR_NP, GATE);
    set_call_gate(GATE, DATA, gate_target, 0, 0xec);
    PROBE_USER("", "lcall $" TEXT(GATE) ", $0");
    check_fault("#GP(10): gate to data", VECTOR_GP, DATA);
    set_call_gate(GATE, 0, gate_target, 0, 0xec);
    PROBE_USER("", "lcall $" TEXT(GATE) ", $0");
    check_fault("#GP(0): gate with a null selector", VECTOR_GP, 0);
    set_call_gate(GATE, CODE, gate_target, 0, 0xec);
    PROBE_USER("", "ljmp $" TEXT(GATE) ", $0");
    check_fault("#GP(08): JMP through a gate to an inner ring", VECTOR_GP, CODE);
}

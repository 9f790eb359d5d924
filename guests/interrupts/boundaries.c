// interrupts: between which instructions an interrupt is taken. RIP in the log tells.

#include "log.h"

#define PENDING(text)                                                                                                  \
    do {                                                                                                               \
        raise_irq0();                                                                                                  \
        __asm__ volatile(text "\ncli" : : : "memory", "cc", "rax");                                                    \
    } while (0)

extern const char after_sti[], after_popf[], after_hlt[], after_iret[], after_shadow[];

static void check_rip(const char *name, const char *expected) {
    check_value(name, log.rip[0], (uint64_t)expected);
}

static uint64_t flags_inside;

static void note_if(struct trap *trap) {
    (void)trap;
    __asm__ volatile("pushf; pop %0" : "=r"(flags_inside));
}

static void send_nmi(void) {
    write_lapic(LAPIC_ICR + 0x10, read_lapic(LAPIC_ID) & 0xff000000);
    write_lapic(LAPIC_ICR, 0x4400);     // delivery mode NMI, asserted
    while (read_lapic(LAPIC_ICR) & 0x1000) {}
}

static void send_nmi_inside(struct trap *trap) {
    if (trap->vector != VECTOR_NMI) return;
    during_interrupt = NULL;
    send_nmi();
    // IF = 1 does not matter; only IRET ends the blocking of NMIs.
    take_interrupts();
    check("  a second NMI is held back in the handler", log.count == 1);
}

void check_boundaries(void) {
    out8(PORT_PIC1 + 1, 0xfe);

    PENDING("sti\n nop\n after_sti: nop");
    check_rip("STI: behind the instruction after it", after_sti);
    check_value("  the pushed IF", log.rflags[0] & RFLAGS_IF, RFLAGS_IF);
    check_taken("  once", 1, IRQ0);
    PENDING("sti");
    check_taken("STI, CLI: none", 0);
    PENDING("push $0x202\n popf\n after_popf: nop");
    check_rip("POPF: directly behind it", after_popf);
    check_taken("  once", 1, IRQ0);
    PENDING("mov %%rsp, %%rax; push $0x10; push %%rax; push $0x202; push $8; push $after_iret\n iretq\n after_iret: nop");
    check_rip("IRETQ: directly behind it", after_iret);
    check_taken("  once", 1, IRQ0);
    // Whether the second of two shadows in a row counts is left open (Intel SDM volume 3, 6.8.3).
    PENDING("mov %%ss, %%eax; sti\n mov %%eax, %%ss\n nop\n nop\n after_shadow: nop");
    check("STI, MOV SS: one or two instructions later",
          log.count == 1 && log.rip[0] >= (uint64_t)after_shadow - 2 && log.rip[0] < (uint64_t)after_shadow);
    check_taken("  once", 1, IRQ0);

    start_pit(0, 2000);
    __asm__ volatile("sti\n hlt\n after_hlt: cli" : : : "memory");
    check_rip("HLT: behind it", after_hlt);
    check_taken("  once", 1, IRQ0);


    __asm__ volatile("int $0x60" : : : "memory");
    check_taken("INT 60h with IF = 0: taken", 1, 0x60);

    // In a handler, IF is 0 behind an interrupt gate, and as it was behind a trap gate.
    during_interrupt = note_if;
    PENDING("sti\n nop");
    check_value("an interrupt gate clears IF", flags_inside & RFLAGS_IF, 0);
    set_gate(IRQ0, vector_stubs[IRQ0], 0, GATE_TRAP);
    PENDING("sti\n nop");
    check_value("a trap gate does not", flags_inside & RFLAGS_IF, RFLAGS_IF);
    set_gate(IRQ0, vector_stubs[IRQ0], 0, GATE_INTERRUPT);
    during_interrupt = NULL;
    log.count = 0;

    send_nmi();
    check_taken("NMI with IF = 0: taken", 1, VECTOR_NMI);
    during_interrupt = send_nmi_inside;
    send_nmi();
    during_interrupt = NULL;
    check_taken("  and comes after IRETQ", 2, VECTOR_NMI, VECTOR_NMI);
}

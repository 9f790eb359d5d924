// nano: an interrupt to the CPU itself, and one to another CPU.

#include "nano.h"
#include "processors.h"

volatile uint64_t ipis_taken;
static volatile bool listening, heard;

// The round trip: the local APIC is told to interrupt, the handler counts and says end of interrupt, the loop sees it.
static void prepare_self(void) { set_gate(VECTOR_SELF, count_interrupt, 0, GATE_INTERRUPT); }

static bool run_self(uint64_t rounds) {
    uint64_t first = interrupts_taken, count = first;
    bool passed = true;
    __asm__ volatile("sti");
    for (uint64_t i = 0; i < rounds && passed; i++, count++) {
        uint64_t start = time_stamp();
        write_lapic(LAPIC_ICR, IPI_FIXED | IPI_SELF | VECTOR_SELF);
        while (still_waiting(&interrupts_taken, count, start)) {}
        passed = interrupts_taken == count + 1;
    }
    __asm__ volatile("cli");
    return passed && interrupts_taken == first + rounds;
}

static void finish_self(void) { __asm__ volatile("cli"); }

// Firmware knows how many CPUs there are; without it, there is one (QEMU, docs/specs/fw_cfg.rst).
static bool has_another(void) {
    static const char signature[] = {'Q', 'E', 'M', 'U'};
    out16(0x510, 0);
    for (unsigned i = 0; i < sizeof signature; i++)
        if (in8(0x511) != (uint8_t)signature[i]) return false;
    out16(0x510, 5);                    // FW_CFG_NB_CPUS, 16 bits
    unsigned count = in8(0x511);
    return (count | (unsigned)in8(0x511) << 8) > 1;
}

static void listen(unsigned processor) {
    (void)processor;
    __asm__ volatile("sti");
    while (listening) {
        heard = true;
        pause();
    }
    __asm__ volatile("cli");
}

static void prepare_ipi(void) {
    listening = true;
    heard = false;
    start_processors(2);
    begin_work(1, listen);
    while (!heard) pause();
}

// From one CPU, which waits, to another, which runs, and the answer by way of memory.
static bool run_ipi(uint64_t rounds) {
    uint64_t first = ipis_taken, count = first;
    bool passed = true;
    for (uint64_t i = 0; i < rounds && passed; i++, count++) {
        uint64_t start = time_stamp();
        write_lapic(LAPIC_ICR + 0x10, 1 << 24);
        write_lapic(LAPIC_ICR, IPI_FIXED | VECTOR_IPI);
        while (still_waiting(&ipis_taken, count, start)) pause();
        passed = ipis_taken == count + 1;
    }
    return passed && ipis_taken == first + rounds;
}

static void finish_ipi(void) {
    listening = false;
    finish_work(1);
}

const struct operation interrupt_operations[] = {
    {.name = "interrupt", .prepare = prepare_self, .run = run_self, .finish = finish_self, .per_round = 1},
    {.name = "ipi", .offered = has_another, .prepare = prepare_ipi, .run = run_ipi, .finish = finish_ipi, .per_round = 1},
    {0},
};

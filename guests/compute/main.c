// The guest's side of compute: memory in pages of 4 KiB, as programs have it, vector state on, and time from the TSC.

#include "clock.h"
#include "compute.h"
#include "console.h"
#include "pages.h"
#include "traps.h"

extern uint64_t page_directories[4 * 512];
extern const uint32_t multiboot_information;

static uint64_t beginning, kilohertz;

static uint64_t now(void) { return (time_stamp() - beginning) * 1000000 / kilohertz; }

static void report(const char *name, uint64_t checksum, uint64_t nanoseconds) {
    say("result: %s %016lx\n", name, checksum);
    say("measured: %s = %u.%03u us\n", name, (unsigned)(nanoseconds / 1000), (unsigned)(nanoseconds % 1000));
}

static void report_absent(const char *name) { say("result: %s n/a\n", name); }

static const struct environment environment = {.now = now, .report = report, .report_absent = report_absent};

void handle_trap(struct trap *trap) { unexpected_trap(trap); }

// Replaces the 2 MiB pages of the guest's memory, which long-mode.S made, by pages of 4 KiB.
static void map_small_pages(void) {
    enum { TABLES = 16 };
    static uint64_t tables[TABLES][512] __attribute__((aligned(4096)));
    for (uint64_t i = 0; i < TABLES * 512; i++) tables[i / 512][i % 512] = i << 12 | PTE_P | PTE_W;
    for (int i = 0; i < TABLES; i++) page_directories[i] = (uintptr_t)tables[i] | PTE_P | PTE_W;
    write_cr3(read_cr3());
}

// Turns XSAVE on, with the upper halves of the YMM registers where there are any (Intel SDM volume 1, 14.3).
static void allow_avx(void) {
    enum { CPUID_XSAVE = 1u << 26, CPUID_AVX = 1u << 28 };
    uint32_t features = cpuid(1, 0).ecx;
    if (!(features & CPUID_XSAVE)) return;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" : : "c"(0), "a"(features & CPUID_AVX ? 7 : 3), "d"(0));
}

// The command line (Multiboot Specification 0.6.96, 3.3).
static const char *command_line(void) {
    const uint32_t *information = (const uint32_t *)(uintptr_t)multiboot_information;
    return information[0] & 4 ? (const char *)(uintptr_t)information[4] : "";
}

int main(void) {
    open_console();
    // Firmware lets the PIT tick; nobody here takes its interrupts.
    out8(PORT_PIC1 + 1, 0xff);
    out8(PORT_PIC2 + 1, 0xff);
    install_traps();
    map_small_pages();
    allow_avx();
    kilohertz = time_stamp_frequency();
    beginning = time_stamp();
    if (run_kernels(command_line(), &environment)) return 0;
    say("there is no kernel of one of these names\n");
    return 2;
}

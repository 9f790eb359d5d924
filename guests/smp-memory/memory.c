// smp-memory: the handler, TLB shootdown, and the order of the checks.

#include "console.h"
#include "shared.h"

enum { SHOOTDOWN = 0x60 };

uint8_t frames[8][4096] __attribute__((aligned(4096)));
bool (*volatile on_page_fault)(struct trap *trap);

static volatile uintptr_t target;
static volatile uint32_t acknowledged;

void handle_trap(struct trap *trap) {
    if (trap->vector == SHOOTDOWN) {
        invlpg(target);
        __atomic_add_fetch(&acknowledged, 1, __ATOMIC_SEQ_CST);
        write_lapic(LAPIC_EOI, 0);
        return;
    }
    if (trap->vector == VECTOR_PF && on_page_fault && on_page_fault(trap)) return;
    if (trap->vector != 0xff) unexpected_trap(trap);
}

void shoot_down(uintptr_t address) {
    target = address;
    acknowledged = 0;
    invlpg(address);
    send_ipi(0, IPI_FIXED | IPI_OTHERS | SHOOTDOWN);
    while (acknowledged != ALL - 1) step_aside();
}

int main(void) {
    open_console();
    install_traps();
    open_pics(0x20, 0);
    open_lapic(0xff);
    write_lapic(LAPIC_LVT_LINT0, 0x10000);
    start_processors(ALL);
    check_locked();
    check_split();
    check_order();
    check_shootdown();
    check_flags();
    return report_checks();
}

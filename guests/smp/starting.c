// smp: INIT and startup IPIs (Intel SDM volume 3, 9.4.4 and 11.4.7.3).

#include "smp.h"

static volatile uint32_t worked;

static void spin(unsigned processor) {
    (void)processor;
    for (;;) {
        worked = worked + 1;
        pause();
    }
}

static void halt(unsigned processor) {
    (void)processor;
    worked = 1;
    for (;;) __asm__ volatile("cli; hlt");
}

static void halt_open(unsigned processor) {
    (void)processor;
    worked = 1;
    for (;;) __asm__ volatile("sti; hlt");
}

static bool stands(const volatile uint32_t *counter) {
    settle();       // INIT may be on its way
    uint32_t before = *counter;
    settle();
    return *counter == before;
}

void check_starting(void) {
    place_trampoline(TRAMPOLINE_PAGE);
    for (unsigned i = 1; i < ALL; i++) send_ipi(i, IPI_INIT);
    settle();
    check("no CPU runs before its startup IPI", processors[1].starts + processors[2].starts + processors[3].starts == 0);
    for (unsigned i = 1; i < ALL; i++) {
        send_ipi(i, IPI_STARTUP | TRAMPOLINE_PAGE);
        if (!comes_to(&processors[i].starts, 1)) break;
    }
    check("three CPUs started, one after the other",
          processors[1].starts == 1 && processors[2].starts == 1 && processors[3].starts == 1);
    check_value("  CS = 0800h", TRAMPOLINE_CS, 0x800);
    check_value("  CR0 = 60000010h", TRAMPOLINE_CR0, 0x60000010);

    uint32_t ticks = processors[1].ticks;
    send_ipi(1, IPI_STARTUP | TRAMPOLINE_PAGE);
    settle();
    check_value("a startup IPI to a running CPU: not started again", processors[1].starts, 1);
    check("  it runs on", changes(&processors[1].ticks, ticks));

    begin_work(1, spin);
    while (worked < 10) pause();
    start_processor(1, TRAMPOLINE_PAGE);
    check_value("INIT and startup to a CPU in a loop", processors[1].starts, 2);
    worked = 0;
    begin_work(1, halt);
    comes_to(&worked, 1);
    start_processor(1, TRAMPOLINE_PAGE);
    check_value("  to one halted with IF = 0", processors[1].starts, 3);
    worked = 0;
    begin_work(1, halt_open);
    comes_to(&worked, 1);
    start_processor(1, TRAMPOLINE_PAGE);
    check_value("  to one halted with IF = 1", processors[1].starts, 4);

    worked = 0;
    begin_work(2, spin);
    while (worked < 10) pause();
    send_ipi(2, IPI_INIT);
    check("INIT alone: the CPU stands", stands(&worked));
    send_ipi(2, IPI_FIXED | 0x3f);
    check("  a fixed IPI does not start it", stands(&worked) && processors[2].starts == 1);
    place_trampoline(9);
    processors[2].work = NULL;
    send_ipi(2, IPI_STARTUP | 9);
    check("  a startup IPI to another page does", comes_to(&processors[2].starts, 2));
    check_value("  CS = 0900h", TRAMPOLINE_CS, 0x900);

    send_ipi(3, IPI_INIT);
    processors[3].work = NULL;
    send_ipi(3, IPI_STARTUP | TRAMPOLINE_PAGE);
    send_ipi(3, IPI_STARTUP | TRAMPOLINE_PAGE);
    comes_to(&processors[3].starts, 2);
    settle();
    check_value("two startup IPIs: started once", processors[3].starts, 2);

    uint32_t before = processors[3].starts;
    for (int i = 0; i < 300; i++) start_processor(3, TRAMPOLINE_PAGE);
    check_value("started 300 times, INIT and startup at once", processors[3].starts - before, 300);
}

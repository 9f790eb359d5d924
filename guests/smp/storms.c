// smp: interrupts in quick succession. Each one that is waited for comes; a CPU that goes to sleep as one is sent wakes.

#include "smp.h"

enum { PING = 0x51, PONG = 0x52, ROUNDS = 3000, STORM = 20000 };

static volatile bool running;

static void answer(unsigned processor) {
    uint32_t seen = taken[processor][PING];
    while (running) {
        wait_for_interrupt();
        uint32_t now = taken[processor][PING];
        if (now == seen) continue;
        seen = now;
        send_ipi(0, IPI_FIXED | PONG);
    }
}

// Sends without waiting; a vector that is pending already merges.
static void bombard(unsigned processor) {
    for (int i = 0; i < STORM; i++) send_ipi(0, IPI_FIXED | (0x60 + processor));
}

void check_storms(void) {
    running = true;
    begin_work(1, answer);
    settle();
    uint32_t pings = taken[1][PING], rounds = 0;
    for (; rounds < ROUNDS; rounds++) {
        uint32_t before = taken[0][PONG];
        send_ipi(1, IPI_FIXED | PING);
        while (taken[0][PONG] == before) wait_for_interrupt();
    }
    check_value("two CPUs that wake each other 3000 times", taken[1][PING] - pings, ROUNDS);
    running = false;
    send_ipi(1, IPI_FIXED | 0xe0);
    finish_work(1);

    for (unsigned i = 1; i < ALL; i++) begin_work(i, bombard);
    while (processors[1].work || processors[2].work || processors[3].work) __asm__ volatile("sti; nop; nop; cli");
    __asm__ volatile("sti; nop; nop; cli");
    bool all = true;
    for (unsigned i = 1; i < ALL; i++) {
        uint32_t count = taken[0][0x60 + i];
        all = all && count > 0 && count <= STORM;
        send_ipi(0, IPI_FIXED | (0x60 + i));
        __asm__ volatile("sti; nop; nop; cli");
        all = all && taken[0][0x60 + i] == count + 1;
    }
    check("a storm from three CPUs; all is quiet after it", all);
}

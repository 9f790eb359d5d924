// Several CPUs: see processors.h.

#include "processors.h"

#include "traps.h"

extern const char trampoline[], trampoline_end[];

struct processor processors[MAX_PROCESSORS];

void send_ipi(uint32_t destination, uint32_t command) {
    write_lapic(LAPIC_ICR + 0x10, destination << 24);
    write_lapic(LAPIC_ICR, command);
    while (read_lapic(LAPIC_ICR) & 0x1000) pause();
}

void place_trampoline(unsigned page) {
    volatile char *to = (volatile char *)((uintptr_t)page << 12);
    for (const char *from = trampoline; from < trampoline_end; from++) *to++ = *from;
}

void start_processor(unsigned processor, unsigned page) {
    uint32_t before = processors[processor].starts;
    processors[processor].work = NULL;
    send_ipi(processor, IPI_INIT);
    send_ipi(processor, IPI_STARTUP | page);
    while (processors[processor].starts == before) step_aside();
}

void start_processors(unsigned count) {
    place_trampoline(TRAMPOLINE_PAGE);
    for (unsigned i = 1; i < count; i++) start_processor(i, TRAMPOLINE_PAGE);
}

void begin_work(unsigned processor, work_function *work) { processors[processor].work = work; }

void finish_work(unsigned processor) {
    while (processors[processor].work) step_aside();
}

void run_on_all(unsigned count, work_function *work) {
    for (unsigned i = 1; i < count; i++) begin_work(i, work);
    work(0);
    for (unsigned i = 1; i < count; i++) finish_work(i);
}

void meet(unsigned count) {
    static volatile uint32_t arrived, round;
    uint32_t now = round;
    if (__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST) == count) {
        arrived = 0;
        round = now + 1;
        return;
    }
    while (round == now) step_aside();
}

// Where a started CPU comes from processors.S.
_Noreturn void processor_loop(unsigned processor) {
    struct processor *self = &processors[processor];
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idtr = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(idtr));
    open_lapic(0xff);
    write_lapic(LAPIC_LVT_LINT0, 0x10000);
    self->starts = self->starts + 1;
    for (;;) {
        self->ticks = self->ticks + 1;
        work_function *work = self->work;
        if (work) {
            work(processor);
            self->work = NULL;
        }
        step_aside();
    }
}

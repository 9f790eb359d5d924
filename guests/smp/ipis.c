// smp: where interprocessor interrupts go (Intel SDM volume 3, 11.6), in xAPIC mode.

#include "smp.h"

#include "console.h"

static volatile bool listening;
static volatile uint32_t listeners;

// Takes interrupts halted.
static void listen_halted(unsigned processor) {
    (void)processor;
    __atomic_add_fetch(&listeners, 1, __ATOMIC_SEQ_CST);
    while (listening) wait_for_interrupt();
}

// Takes them while it runs.
static void listen_running(unsigned processor) {
    (void)processor;
    __atomic_add_fetch(&listeners, 1, __ATOMIC_SEQ_CST);
    __asm__ volatile("sti");
    while (listening) pause();
    __asm__ volatile("cli");
}

static void begin_listening(work_function *how) {
    listening = true;
    listeners = 0;
    for (unsigned i = 1; i < ALL; i++) begin_work(i, how);
    comes_to(&listeners, ALL - 1);
}

static void end_listening(void) {
    listening = false;
    for (unsigned i = 1; i < ALL; i++) {
        if (processors[i].work) send_ipi(i, IPI_FIXED | 0xe0);
        finish_work(i);
    }
}

static uint8_t next_vector = 0x40;

// Sends `command` with a new vector and checks that exactly the CPUs in `expected` took it, once.
static void check_reaches(const char *name, uint32_t destination, uint32_t command, unsigned expected) {
    uint8_t vector = next_vector++;
    send_ipi(destination, command | vector);
    __asm__ volatile("sti; nop; nop; cli");
    for (unsigned i = 0; i < ALL; i++)
        if (expected >> i & 1) comes_to(&taken[i][vector], 1);
    settle();
    unsigned reached = 0;
    bool once = true;
    for (unsigned i = 0; i < ALL; i++) {
        reached |= (unsigned)(taken[i][vector] != 0) << i;
        once = once && taken[i][vector] <= 1;
    }
    check_value(name, reached, expected);
    if (!once) check(name, false);
}

static void set_logical(unsigned processor, uint32_t format, uint32_t id) {
    (void)processor;
    write_lapic(0xe0, format);
    write_lapic(0xd0, id << 24);
}

static void use_flat(unsigned processor) { set_logical(processor, 0xffffffff, 1u << processor); }
static void use_clusters(unsigned processor) {
    set_logical(processor, 0x0fffffff, (processor >> 1) << 4 | 1u << (processor & 1));
}

static void check_destinations(void) {
    check_reaches("fixed, to CPU 1", 1, IPI_FIXED, 2);
    check_reaches("  to CPU 2", 2, IPI_FIXED, 4);
    check_reaches("  to CPU 3", 3, IPI_FIXED, 8);
    check_reaches("  to CPU 0, which sends", 0, IPI_FIXED, 1);
    check_reaches("  to FFh: all", 0xff, IPI_FIXED, 15);
    check_reaches("  to a CPU that is not there", 9, IPI_FIXED, 0);
    check_reaches("to self", 3, IPI_FIXED | IPI_SELF, 1);
    check_reaches("to all", 0, IPI_FIXED | IPI_ALL, 15);
    check_reaches("to all but self", 0, IPI_FIXED | IPI_OTHERS, 14);
}

static void check_lowest_priority(void) {
    uint32_t sum = 0, sent = 0;
    bool outside = false;
    for (uint8_t vector = 0x70; vector < 0xd0; vector++, sent++) {
        send_ipi(0x0e, IPI_LOWEST | IPI_LOGICAL | vector);
        uint32_t one = 0;
        for (int tries = 0; tries < 10000000 && one == 0; tries++) {
            one = taken[1][vector] + taken[2][vector] + taken[3][vector];
            pause();
        }
        settle();
        outside = outside || taken[0][vector] != 0;
        sum += taken[1][vector] + taken[2][vector] + taken[3][vector];
    }
    check_value("lowest priority, to three CPUs: one takes each", sum, sent);
    check("  and no other", !outside);
}

static void wait_for_nmi(unsigned processor) {
    __atomic_add_fetch(&listeners, 1, __ATOMIC_SEQ_CST);
    while (taken[processor][VECTOR_NMI] == 0) __asm__ volatile("cli; hlt");
}

// Sends an NMI to CPUs that halt, and returns the set of those that took it, all of which go on.
static unsigned send_nmi(unsigned expected, uint32_t destination, uint32_t command) {
    listeners = 0;
    for (unsigned i = 0; i < ALL; i++) taken[i][VECTOR_NMI] = 0;
    for (unsigned i = 1; i < ALL; i++)
        if (expected >> i & 1) begin_work(i, wait_for_nmi);
    comes_to(&listeners, expected == 4 ? 1 : ALL - 1);
    settle();
    send_ipi(destination, command);
    settle();
    unsigned reached = 0;
    for (unsigned i = 0; i < ALL; i++) {
        if (expected >> i & 1) changes(&taken[i][VECTOR_NMI], 0);
        reached |= (unsigned)(taken[i][VECTOR_NMI] != 0) << i;
    }
    for (unsigned i = 1; i < ALL; i++) {
        // Nothing keeps an NMI from coming between the look at the count and HLT: then another one has to wake it.
        while (processors[i].work) {
            settle();
            if (processors[i].work) send_ipi(i, IPI_NMI);
        }
    }
    return reached;
}

void check_ipis(void) {
    begin_listening(listen_halted);
    say("        CPUs that are halted\n");
    check_destinations();
    check_value("nobody has taken what was sent before a startup IPI", taken[2][0x3f], 0);
    end_listening();
    begin_listening(listen_running);
    say("        CPUs that run\n");
    check_destinations();
    end_listening();

    next_vector = 0x58;
    run_on_all(ALL, use_flat);
    begin_listening(listen_halted);
    check_reaches("logical, flat, to 0110b", 6, IPI_FIXED | IPI_LOGICAL, 6);
    check_reaches("  to 1001b", 9, IPI_FIXED | IPI_LOGICAL, 9);
    check_reaches("  to 11110000b", 0xf0, IPI_FIXED | IPI_LOGICAL, 0);
    check_reaches("  to FFh", 0xff, IPI_FIXED | IPI_LOGICAL, 15);
    check_lowest_priority();
    end_listening();
    run_on_all(ALL, use_clusters);
    begin_listening(listen_halted);
    check_reaches("logical, cluster 1, to 01b", 0x11, IPI_FIXED | IPI_LOGICAL, 4);
    check_reaches("  to 11b", 0x13, IPI_FIXED | IPI_LOGICAL, 12);
    check_reaches("  cluster 0, to 11b", 0x03, IPI_FIXED | IPI_LOGICAL, 3);
    check_reaches("  cluster 2, to 11b", 0x23, IPI_FIXED | IPI_LOGICAL, 0);
    end_listening();
    run_on_all(ALL, use_flat);

    check_value("NMI wakes a CPU halted with IF = 0, and no other", send_nmi(4, 2, IPI_NMI), 4);
    check_value("NMI to all but self", send_nmi(14, 0, IPI_NMI | IPI_OTHERS), 14);
}

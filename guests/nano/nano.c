// nano: how operations are timed, and what is printed.
//
// A result for each operation, which must be the same on every machine, and its cost in cycles of the TSC and in
// nanoseconds: engines' TSCs run at different frequencies.

#include "nano.h"

#include "console.h"
#include "processors.h"
#include "ring3.h"

enum { REPEATS = 5, MAX_OPERATIONS = 32 };
// Cycles that one measurement takes at least.
#define SPAN 300000

static struct {
    const char *name;
    uint64_t tenths;                    // of a cycle
} costs[MAX_OPERATIONS];
static unsigned measured, failed;

bool still_waiting(const volatile uint64_t *value, uint64_t old, uint64_t start) {
    return *value == old && time_stamp() - start < 5000000000;
}

void handle_trap(struct trap *trap) {
    bool from_user = (trap->cs & 3) == 3;
    switch (trap->vector) {
    case VECTOR_LEAVE:
        if (from_user) leave_user(trap->r15);
        abandon();
    case VECTOR_IPI:
        ipis_taken = ipis_taken + 1;
        write_lapic(LAPIC_EOI, 0);
        break;
    case VECTOR_SPURIOUS: break;
    default:
        // Other CPUs make no attempts.
        if (this_processor() != 0) unexpected_trap(trap);
        abandon();
    }
}

// The least of some measurements, in tenths of a cycle; false if the operation did not take place.
static bool measure(const struct operation *operation, uint64_t *tenths) {
    uint64_t rounds = 1, best = ~0ull;
    for (unsigned repeat = 0; repeat < REPEATS;) {
        uint64_t start = time_stamp();
        if (!attempt(operation->run, rounds)) return false;
        uint64_t taken = time_stamp() - start;
        if (taken < SPAN && rounds < 1u << 24) {
            rounds *= 2;
            continue;
        }
        if (taken < best) best = taken;
        repeat++;
    }
    *tenths = best * 10 / (rounds * operation->per_round);
    return true;
}

static void do_operations(const struct operation *operation) {
    for (; operation->name; operation++) {
        if (operation->offered && !operation->offered()) {
            say("result: %s n/a\n", operation->name);
            continue;
        }
        if (operation->prepare) operation->prepare();
        uint64_t tenths = 0;
        bool passed = measure(operation, &tenths);
        if (operation->finish) operation->finish();
        say("result: %s %s\n", operation->name, passed ? "ok" : "FAILED");
        if (!passed) {
            failed++;
            continue;
        }
        say("measured: %s = %u.%u cycles\n", operation->name, (unsigned)(tenths / 10), (unsigned)(tenths % 10));
        costs[measured].name = operation->name;
        costs[measured++].tenths = tenths;
    }
}

int main(void) {
    open_console();
    install_traps();
    open_pics(0x20, 0);
    open_lapic(VECTOR_SPURIOUS);
    write_lapic(LAPIC_LVT_LINT0, 0x10000);
    say("What single operations cost, the least of %u measurements\n", REPEATS);
    uint64_t kilohertz = time_stamp_frequency();
    say("measured: TSC = %u MHz\n", (unsigned)((kilohertz + 500) / 1000));
    do_operations(system_operations);
    do_operations(memory_operations);
    do_operations(interrupt_operations);
    for (unsigned i = 0; i < measured; i++) {
        uint64_t tenths = costs[i].tenths * 1000000 / kilohertz;
        say("measured: %s = %u.%u ns\n", costs[i].name, (unsigned)(tenths / 10), (unsigned)(tenths % 10));
    }
    say("%u failed\n", failed);
    return failed != 0;
}

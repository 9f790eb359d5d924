// smp-memory: locked instructions on operands that several CPUs change at once (Intel SDM volume 3, 9.1.2). Every CPU
// does the same; if each of its instructions is one step, the sum is known.

#include "shared.h"

enum { ROUNDS = 20000, TICKETS = 1000 };

static union {
    volatile uint8_t bytes[64];
    volatile uint16_t words[32];
    volatile uint32_t doubles[16];
    volatile uint64_t quads[8];
} cell __attribute__((aligned(64)));

static volatile uint32_t tally;     // what the CPUs found, added up
static volatile uint32_t spin_lock;
static volatile uint64_t guarded;

#define REPEAT(name, ...)                                                                                              \
    static void name(unsigned processor) {                                                                             \
        (void)processor;                                                                                               \
        meet(ALL);                                                                                                     \
        for (uint32_t i = 0; i < ROUNDS; i++) { __VA_ARGS__; }                                                         \
    }

REPEAT(inc8, __asm__ volatile("lock incb %0" : "+m"(cell.bytes[0])))
REPEAT(add16, __asm__ volatile("lock addw $3, %0" : "+m"(cell.words[0])))
REPEAT(inc32, __asm__ volatile("lock incl %0" : "+m"(cell.doubles[0])))
REPEAT(add64, __asm__ volatile("lock addq %1, %0" : "+m"(cell.quads[0]) : "r"(0x100000001ul)))
REPEAT(dec32, __asm__ volatile("lock decl %0" : "+m"(cell.doubles[0])))
REPEAT(sub32, __asm__ volatile("lock subl $5, %0" : "+m"(cell.doubles[0])))
REPEAT(not32, __asm__ volatile("lock notl %0" : "+m"(cell.doubles[0])))
REPEAT(adc_sbb, __asm__ volatile("stc; lock adcl $1, %0; stc; lock sbbl $0, %0" : "+m"(cell.doubles[0])))

REPEAT(xadd, uint32_t one = 1; __asm__ volatile("lock xaddl %0, %1" : "+r"(one), "+m"(cell.doubles[0]));
       __atomic_add_fetch(&tally, one & 1, __ATOMIC_SEQ_CST))

REPEAT(cmpxchg, uint32_t old = cell.doubles[0]; bool done; do {
    __asm__ volatile("lock cmpxchgl %3, %1" : "=@ccz"(done), "+m"(cell.doubles[0]), "+a"(old) : "r"(old + 1));
    if (!done) pause();
} while (!done))

REPEAT(cmpxchg8b, uint32_t low = cell.doubles[0]; uint32_t high = cell.doubles[1]; bool done; do {
    __asm__ volatile("lock cmpxchg8b %1"
                     : "=@ccz"(done), "+m"(cell.quads[0]), "+a"(low), "+d"(high)
                     : "b"(low + 1), "c"(high - 1));
    if (!done) pause();
} while (!done))

static volatile uint64_t *pair = cell.quads;    // where CMPXCHG16B counts

REPEAT(cmpxchg16b, uint64_t low = pair[0]; uint64_t high = pair[1]; bool done; do {
    __asm__ volatile("lock cmpxchg16b (%5)"
                     : "=@ccz"(done), "+a"(low), "+d"(high)
                     : "b"(low + 1), "c"(high - 1), "r"(pair)
                     : "memory");
    if (!done) pause();
} while (!done))

// One half counted by CMPXCHG16B, the other by LOCK INC.
static void mixed16b(unsigned processor) {
    if (processor & 1) {
        meet(ALL);
        for (uint32_t i = 0; i < ROUNDS; i++) __asm__ volatile("lock incq (%0)" : : "r"(pair) : "memory");
    } else {
        cmpxchg16b(processor);
    }
}

// Each bit is set once and found clear once.
static void bts(unsigned processor) {
    meet(ALL);
    for (uint32_t i = 0; i < 512; i++) {
        bool was;
        uint64_t bit = (i * 7 + processor * 3) & 511;
        __asm__ volatile("lock btsq %2, (%1)" : "=@ccc"(was) : "r"(cell.quads), "r"(bit) : "memory");
        if (!was) __atomic_add_fetch(&tally, 1, __ATOMIC_SEQ_CST);
    }
}

REPEAT(btc, __asm__ volatile("lock btcl $5, %0" : "+m"(cell.doubles[0])))

// XCHG locks without being told.
static void exchange_lock(void) {
    uint32_t one = 1;
    for (;;) {
        __asm__ volatile("xchgl %0, %1" : "+r"(one), "+m"(spin_lock) : : "memory");
        if (!one) return;
        while (spin_lock) pause();
    }
}

REPEAT(xchg_lock, exchange_lock(); guarded = guarded + 1; barrier(); spin_lock = 0)

// A ticket lock, as older Linux has it: 16 bits of the ticket served, 16 of the next.
static volatile uint16_t tickets[2];

static void ticket_lock(unsigned processor) {
    (void)processor;
    meet(ALL);
    for (uint32_t i = 0; i < TICKETS; i++) {
        uint16_t mine = 1;
        __asm__ volatile("lock xaddw %0, %1" : "+r"(mine), "+m"(tickets[1]) : : "memory");
        while (tickets[0] != mine) pause();
        guarded = guarded + 1;
        barrier();
        tickets[0] = (uint16_t)(mine + 1);
    }
}

static void clear(void) {
    for (int i = 0; i < 8; i++) cell.quads[i] = 0;
    tally = 0;
    guarded = 0;
}

static void check_sum(const char *name, work_function *work, uint64_t expected) {
    clear();
    run_on_all(ALL, work);
    check_value(name, cell.quads[0], expected);
}

// A page with code on it, which must not change what LOCK means.
static uint8_t with_code[4096] __attribute__((aligned(4096)));

static void check_pairs(uint64_t sum) {
    static const char *const names[] = {
        "LOCK CMPXCHG16B", "  its upper half", "  and LOCK INC, beside code", "  its upper half, which LOCK INC spares"};
    if (!(cpuid(1, 0).ecx >> 13 & 1)) {
        for (int i = 0; i < 4; i++) not_offered(names[i]);
        return;
    }
    check_sum(names[0], cmpxchg16b, sum);
    check_value(names[1], cell.quads[1], -sum);
    pair = (volatile uint64_t *)(with_code + 512);
    with_code[0] = 0xc3;
    ((void (*)(void))(uintptr_t)with_code)();
    run_on_all(ALL, mixed16b);
    check_value(names[2], pair[0], sum);
    check_value(names[3], pair[1], -(sum / 2));
}

void check_locked(void) {
    const uint64_t sum = (uint64_t)ALL * ROUNDS;
    check_sum("LOCK INC, 8 bits", inc8, sum & 0xff);
    check_sum("LOCK ADD, 16 bits", add16, 3 * sum & 0xffff);
    check_sum("LOCK INC, 32 bits", inc32, sum);
    check_sum("LOCK ADD, 64 bits", add64, sum << 32 | sum);
    check_sum("LOCK DEC", dec32, (uint32_t)-sum);
    check_sum("LOCK SUB", sub32, (uint32_t)(-5 * sum));
    check_sum("LOCK NOT, an even number of times", not32, 0);
    check_sum("LOCK ADC, SBB", adc_sbb, sum);
    check_sum("LOCK XADD", xadd, sum);
    check_value("  every second value was odd", tally, sum / 2);
    check_sum("LOCK CMPXCHG", cmpxchg, sum);
    check_sum("LOCK CMPXCHG8B", cmpxchg8b, (uint64_t)(uint32_t)-sum << 32 | sum);
    check_pairs(sum);
    clear();
    run_on_all(ALL, bts);
    check_value("LOCK BTS: each of 512 bits found clear once", tally, 512);
    check_sum("LOCK BTC", btc, 0);
    clear();
    run_on_all(ALL, xchg_lock);
    check_value("a spin lock by XCHG without LOCK", guarded, sum);
    clear();
    run_on_all(ALL, ticket_lock);
    check_value("a ticket lock", guarded, ALL * TICKETS);
}

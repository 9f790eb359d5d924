// smp-memory: what CPUs may see of each other's loads and stores (Intel SDM volume 3, 9.2.2 and 9.2.3). Each test runs
// many times at once in a row of cells; only outcomes that are forbidden count.

#include "shared.h"

enum { CELLS = 2048, ROUNDS = 8 };

// X and Y of a cell lie on lines of their own.
static struct {
    volatile uint32_t x;
    uint32_t apart0[15];
    volatile uint32_t y;
    uint32_t apart1[15];
} cells[CELLS] __attribute__((aligned(64)));

static uint32_t seen[ALL][CELLS][2];

#define STORE(where) where = 1
#define FENCE __asm__ volatile("mfence" : : : "memory")
#define LOCKED __asm__ volatile("lock orl $0, -64(%%rsp)" : : : "memory", "cc")
#define EXCHANGE(where)                                                                                                \
    do {                                                                                                               \
        uint32_t one = 1;                                                                                              \
        __asm__ volatile("xchgl %0, %1" : "+r"(one), "+m"(where) : : "memory");                                        \
    } while (0)
#define LOAD(n, where) seen[processor][i][n] = where

// A test for up to four CPUs: what each does in a cell.
#define TEST(name, first, second, third, fourth)                                                                       \
    static void name(unsigned processor) {                                                                             \
        meet(ALL);                                                                                                     \
        switch (processor) {                                                                                           \
            case 0: for (int i = 0; i < CELLS; i++) { first; } break;                                                  \
            case 1: for (int i = 0; i < CELLS; i++) { second; } break;                                                 \
            case 2: for (int i = 0; i < CELLS; i++) { third; } break;                                                  \
            case 3: for (int i = 0; i < CELLS; i++) { fourth; } break;                                                 \
        }                                                                                                              \
        meet(ALL);                                                                                                     \
    }

#define X cells[i].x
#define Y cells[i].y

TEST(message, STORE(X); STORE(Y), LOAD(0, Y); LOAD(1, X), , )
TEST(load_buffering, LOAD(0, X); STORE(Y), LOAD(0, Y); STORE(X), , )
TEST(store_fence, STORE(X); FENCE; LOAD(0, Y), STORE(Y); FENCE; LOAD(0, X), , )
TEST(store_locked, STORE(X); LOCKED; LOAD(0, Y), STORE(Y); LOCKED; LOAD(0, X), , )
TEST(store_exchange, EXCHANGE(X); LOAD(0, Y), EXCHANGE(Y); LOAD(0, X), , )
TEST(independent, STORE(X), STORE(Y), LOAD(0, X); LOAD(1, Y), LOAD(0, Y); LOAD(1, X))
TEST(causality, STORE(X), LOAD(0, X); if (seen[processor][i][0]) STORE(Y), LOAD(0, Y); LOAD(1, X), )
TEST(coherence, X = 1; X = 2, LOAD(0, X); LOAD(1, X), LOAD(0, X); LOAD(1, X), )
TEST(own_store, STORE(X); LOAD(0, X), , , )

#define S(processor, n) seen[processor][i][n]

#define CHECK(name, test, forbidden)                                                                                   \
    do {                                                                                                               \
        uint32_t wrong = 0;                                                                                            \
        for (int round = 0; round < ROUNDS; round++) {                                                                 \
            for (int i = 0; i < CELLS; i++) X = Y = 0;                                                                 \
            run_on_all(ALL, test);                                                                                     \
            for (int i = 0; i < CELLS; i++) wrong += (forbidden) ? 1 : 0;                                              \
        }                                                                                                              \
        check_value(name, wrong, 0);                                                                                   \
    } while (0)

// A quadword of which the two halves are always equal is written whole, and read whole: no half of it is ever alone.
static volatile uint64_t whole;
static volatile uint32_t torn;

static void write_and_read_whole(unsigned processor) {
    meet(ALL);
    for (uint64_t i = 0; i < 20000; i++) {
        if (processor < 2) {
            whole = (i << 1 | processor) * 0x100000001;
        } else {
            uint64_t value = whole;
            if (value >> 32 != (value & 0xffffffff)) torn = torn + 1;
        }
    }
}

void check_order(void) {
    CHECK("stores are seen in order", message, S(1, 0) == 1 && S(1, 1) == 0);
    CHECK("loads are not passed by later stores", load_buffering, S(0, 0) == 1 && S(1, 0) == 1);
    CHECK("MFENCE: a load does not pass an earlier store", store_fence, S(0, 0) == 0 && S(1, 0) == 0);
    CHECK("  nor a locked instruction", store_locked, S(0, 0) == 0 && S(1, 0) == 0);
    CHECK("  nor XCHG", store_exchange, S(0, 0) == 0 && S(1, 0) == 0);
    CHECK("two CPUs' stores are seen in one order", independent,
          S(2, 0) == 1 && S(2, 1) == 0 && S(3, 0) == 1 && S(3, 1) == 0);
    CHECK("what is seen is seen by who hears of it", causality, S(1, 0) == 1 && S(2, 0) == 1 && S(2, 1) == 0);
    CHECK("stores to one place are seen in order", coherence, S(1, 0) > S(1, 1) || S(2, 0) > S(2, 1));
    CHECK("a CPU sees its own store", own_store, S(0, 0) != 1);
    run_on_all(ALL, write_and_read_whole);
    check_value("64 aligned bits are read and written whole", torn, 0);
}

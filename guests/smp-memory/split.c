// smp-memory: locked instructions on operands across cache lines and pages (Intel SDM volume 3, 9.1.2.2: the LOCK
// semantics "are not affected by the alignment of the memory field").

#include "shared.h"

enum { ROUNDS = 10000 };

static volatile uint8_t *place;

static void inc32(unsigned processor) {
    (void)processor;
    meet(ALL);
    for (uint32_t i = 0; i < ROUNDS; i++) __asm__ volatile("lock incl (%0)" : : "r"(place) : "memory");
}

static void inc64(unsigned processor) {
    (void)processor;
    meet(ALL);
    for (uint32_t i = 0; i < ROUNDS; i++) __asm__ volatile("lock incq (%0)" : : "r"(place) : "memory");
}

static void exchange(unsigned processor) {
    uint16_t mine = (uint16_t)(processor + 1);
    meet(ALL);
    for (uint32_t i = 0; i < ROUNDS; i++) __asm__ volatile("xchgw %0, (%1)" : "+r"(mine) : "r"(place) : "memory");
    *(volatile uint16_t *)&frames[7][processor * 2] = mine;
}

// Half of the CPUs count the whole operand, the others its last byte alone, which lies behind the boundary.
static void whole_and_part(unsigned processor) {
    meet(ALL);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (processor & 1)
            __asm__ volatile("lock incl (%0)" : : "r"(place) : "memory");
        else
            __asm__ volatile("lock incb 3(%0)" : : "r"(place) : "memory");
    }
}

static uint64_t read(unsigned size) {
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) value |= (uint64_t)place[i] << 8 * i;
    return value;
}

static void check_place(const char *name, uintptr_t address) {
    check(name, true);
    place = (volatile uint8_t *)address;
    for (unsigned i = 0; i < 8; i++) place[i] = 0;
    run_on_all(ALL, inc32);
    check_value("  LOCK INC, 32 bits", read(4), ALL * ROUNDS);
    for (unsigned i = 0; i < 8; i++) place[i] = i == 0 ? 0xf0 : 0xff;
    run_on_all(ALL, inc64);
    check_value("  LOCK INC, 64 bits, with a carry through all", read(8), ALL * ROUNDS - 16);
    place += 2;
    place[0] = place[1] = 0;
    run_on_all(ALL, exchange);
    uint32_t sum = read(2);
    for (unsigned i = 0; i < ALL; i++) sum += *(volatile uint16_t *)&frames[7][i * 2];
    check_value("  XCHG, 16 bits: no value lost", sum, ALL * (ALL + 1) / 2);
    place = (volatile uint8_t *)address;
    for (unsigned i = 0; i < 8; i++) place[i] = 0;
    run_on_all(ALL, whole_and_part);
    uint32_t half = ALL / 2 * ROUNDS;
    check_value("  the whole by some, its last byte by others", read(4), half + (half << 24));
}

void check_split(void) {
    check_place("within a cache line", (uintptr_t)frames[0] + 1);
    check_place("across cache lines", (uintptr_t)frames[0] + 64 - 4 + 1);
    check_place("across pages", (uintptr_t)frames[1] - 4 + 1);
    // Frames in another order than pages.
    map_page(PAGE(0), (uint64_t)frames[5], PTE_P | PTE_W);
    map_page(PAGE(1), (uint64_t)frames[2], PTE_P | PTE_W);
    check_place("across pages whose frames lie apart", PAGE(1) - 4 + 1);
}

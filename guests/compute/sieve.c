// The primes below half a million by Eratosthenes' sieve, one byte for each odd number.

#include "compute.h"

enum { ODD = 1 << 18 };
static uint8_t composite[ODD];
static uint32_t size = ODD;

static void prepare(bool small) { size = small ? ODD / 8 : ODD; }

static APART uint64_t count_primes(void) {
    for (uint32_t i = 0; i < size; i++) composite[i] = 0;
    uint64_t count = 1;
    for (uint32_t i = 1; i < size; i++) {
        if (composite[i]) continue;
        uint32_t prime = 2 * i + 1;
        count++;
        for (uint64_t multiple = (uint64_t)prime * prime / 2; multiple < size; multiple += prime) composite[multiple] = 1;
    }
    return count;
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    for (; rounds > 0; rounds--) sum = mix(sum, count_primes());
    return sum;
}

const struct kernel sieve = {.name = "sieve", .run = run, .prepare = prepare, .rounds = 70};

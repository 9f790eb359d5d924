// Integers of 1024 bits, multiplied and reduced modulo 2^1024 - 105: chains of MUL, ADD and ADC as in public-key
// cryptography.

#include "compute.h"

enum { LIMBS = 16 };

static APART void multiply(uint64_t *product, const uint64_t *a, const uint64_t *b) {
    for (int i = 0; i < 2 * LIMBS; i++) product[i] = 0;
    for (int i = 0; i < LIMBS; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < LIMBS; j++) {
            unsigned __int128 sum = (unsigned __int128)a[i] * b[j] + product[i + j] + carry;
            product[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        product[i + LIMBS] = carry;
    }
}

// 2^1024 is 105 here.
static APART void reduce(uint64_t *result, const uint64_t *product) {
    uint64_t carry = 0;
    for (int i = 0; i < LIMBS; i++) {
        unsigned __int128 sum = (unsigned __int128)product[LIMBS + i] * 105 + product[i] + carry;
        result[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
    while (carry) {
        unsigned __int128 sum = (unsigned __int128)carry * 105;
        carry = 0;
        for (int i = 0; i < LIMBS; i++) {
            sum += result[i];
            result[i] = (uint64_t)sum;
            sum >>= 64;
        }
        carry = (uint64_t)sum;
    }
}

static uint64_t run(uint64_t rounds) {
    uint64_t a[LIMBS], product[2 * LIMBS], state = 23;
    for (int i = 0; i < LIMBS; i++) a[i] = random_next(&state);
    for (; rounds > 0; rounds--)
        for (int i = 0; i < 16; i++) {
            multiply(product, a, a);
            reduce(a, product);
            a[0] ^= (uint64_t)i;
        }
    uint64_t sum = 0;
    for (int i = 0; i < LIMBS; i++) sum = mix(sum, a[i]);
    return sum;
}

const struct kernel big_integer = {.name = "big-integer", .run = run, .rounds = 8000};

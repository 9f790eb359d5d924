// AES-128 (FIPS 197) by AES-NI: counter mode, four blocks at once, and CBC, where each block waits for the one before.

#include <immintrin.h>

#include "compute.h"

#define WITH_AES __attribute__((target("aes")))

enum { ROUNDS = 10, BLOCKS = 256 };
static __m128i keys[ROUNDS + 1], message[BLOCKS], cipher[BLOCKS];

static bool offered(void) { return cpuid_1_ecx() & CPUID_AES; }

static inline WITH_AES __m128i next_key(__m128i key, __m128i assist) {
    assist = _mm_shuffle_epi32(assist, 0xff);
    key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
    key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
    return _mm_xor_si128(key, assist);
}

static WITH_AES void prepare(bool small) {
    (void)small;
    keys[0] = _mm_set_epi64x(0x0f0e0d0c0b0a0908, 0x0706050403020100);
    // The round constant is an immediate operand.
#define EXPAND(i, constant) keys[i] = next_key(keys[i - 1], _mm_aeskeygenassist_si128(keys[i - 1], constant))
    EXPAND(1, 0x01), EXPAND(2, 0x02), EXPAND(3, 0x04), EXPAND(4, 0x08), EXPAND(5, 0x10);
    EXPAND(6, 0x20), EXPAND(7, 0x40), EXPAND(8, 0x80), EXPAND(9, 0x1b), EXPAND(10, 0x36);
#undef EXPAND
    uint64_t state = 31;
    for (int i = 0; i < BLOCKS; i++)
        message[i] = _mm_set_epi64x((long long)random_next(&state), (long long)random_next(&state));
}

static WITH_AES APART void counter_mode(uint64_t counter) {
    for (int i = 0; i < BLOCKS; i += 4) {
        __m128i b[4];
        for (int j = 0; j < 4; j++) b[j] = _mm_xor_si128(_mm_set_epi64x(0, (long long)(counter + (uint64_t)(i + j))), keys[0]);
        for (int round = 1; round < ROUNDS; round++)
            for (int j = 0; j < 4; j++) b[j] = _mm_aesenc_si128(b[j], keys[round]);
        for (int j = 0; j < 4; j++)
            cipher[i + j] = _mm_xor_si128(_mm_aesenclast_si128(b[j], keys[ROUNDS]), message[i + j]);
    }
}

static WITH_AES APART __m128i chain(__m128i vector) {
    for (int i = 0; i < BLOCKS; i++) {
        vector = _mm_xor_si128(_mm_xor_si128(vector, cipher[i]), keys[0]);
        for (int round = 1; round < ROUNDS; round++) vector = _mm_aesenc_si128(vector, keys[round]);
        vector = _mm_aesenclast_si128(vector, keys[ROUNDS]);
    }
    return vector;
}

static uint64_t run(uint64_t rounds) {
    __m128i vector = _mm_setzero_si128();
    for (; rounds > 0; rounds--) {
        counter_mode(rounds * BLOCKS);
        vector = chain(vector);
    }
    return (uint64_t)_mm_cvtsi128_si64(vector) ^ (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(vector, vector));
}

const struct kernel aes = {.name = "aes-ni", .run = run, .prepare = prepare, .offered = offered, .rounds = 10000};

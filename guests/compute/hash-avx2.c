// Eight hashes at once by AVX2: multiplications, shifts and a gather from a table.

#include <immintrin.h>

#include "compute.h"

#define WITH_AVX2 __attribute__((target("avx2")))

enum { LANES = 8, WORDS = 512, TABLE = 1024 };
static uint32_t data[WORDS][LANES] __attribute__((aligned(32))), table[TABLE];

// CPUID has AVX2, and the operating system keeps the YMM registers (Intel SDM volume 1, 14.7.1).
static bool offered(void) {
    if (!(cpuid_1_ecx() & CPUID_OSXSAVE)) return false;
    uint32_t low, high, eax = 7, ebx, ecx = 0, edx;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & 6) != 6) return false;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx & 1u << 5;
}

static void prepare(bool small) {
    (void)small;
    uint64_t state = 43;
    for (int i = 0; i < WORDS * LANES; i++) data[i / LANES][i % LANES] = (uint32_t)random_next(&state);
    for (int i = 0; i < TABLE; i++) table[i] = (uint32_t)random_next(&state);
}

static WITH_AVX2 APART __m256i hash(__m256i state) {
    const __m256i first = _mm256_set1_epi32((int)0xcc9e2d51), second = _mm256_set1_epi32(0x1b873593);
    for (int i = 0; i < WORDS; i++) {
        __m256i word = _mm256_mullo_epi32(_mm256_load_si256((const __m256i *)data[i]), first);
        word = _mm256_or_si256(_mm256_slli_epi32(word, 15), _mm256_srli_epi32(word, 17));
        state = _mm256_xor_si256(state, _mm256_mullo_epi32(word, second));
        state = _mm256_or_si256(_mm256_slli_epi32(state, 13), _mm256_srli_epi32(state, 19));
        __m256i slots = _mm256_and_si256(state, _mm256_set1_epi32(TABLE - 1));
        state = _mm256_add_epi32(state, _mm256_i32gather_epi32((const int *)table, slots, 4));
    }
    return state;
}

static WITH_AVX2 uint64_t run(uint64_t rounds) {
    __m256i state = _mm256_setzero_si256();
    for (; rounds > 0; rounds--) state = hash(state);
    uint32_t lanes[LANES] __attribute__((aligned(32)));
    _mm256_store_si256((__m256i *)lanes, state);
    uint64_t sum = 0;
    for (int i = 0; i < LANES; i++) sum = mix(sum, lanes[i]);
    return sum;
}

const struct kernel hash_avx2 = {
    .name = "hash-avx2", .run = run, .prepare = prepare, .offered = offered, .rounds = 8000};

// Tables of 16 bytes by SSSE3's PSHUFB: bytes written as hexadecimal digits, and their bits counted.

#include <tmmintrin.h>

#include "compute.h"

#define WITH_SSSE3 __attribute__((target("ssse3")))

enum { SIZE = 4096 };
static uint8_t bytes[SIZE] __attribute__((aligned(16))), digits[2 * SIZE] __attribute__((aligned(16)));

static bool offered(void) { return cpuid_1_ecx() & CPUID_SSSE3; }

static void prepare(bool small) {
    (void)small;
    uint64_t state = 41;
    for (int i = 0; i < SIZE; i++) bytes[i] = (uint8_t)random_next(&state);
}

static WITH_SSSE3 APART void write_digits(void) {
    const __m128i table = _mm_loadu_si128((const __m128i *)"0123456789abcdef"), low = _mm_set1_epi8(15);
    for (int i = 0; i < SIZE; i += 16) {
        __m128i value = _mm_load_si128((const __m128i *)(bytes + i));
        __m128i first = _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16(value, 4), low));
        __m128i second = _mm_shuffle_epi8(table, _mm_and_si128(value, low));
        _mm_store_si128((__m128i *)(digits + 2 * i), _mm_unpacklo_epi8(first, second));
        _mm_store_si128((__m128i *)(digits + 2 * i + 16), _mm_unpackhi_epi8(first, second));
    }
}

static WITH_SSSE3 APART uint64_t count_bits(const uint8_t *from, int size) {
    const __m128i table = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4), low = _mm_set1_epi8(15);
    __m128i sum = _mm_setzero_si128();
    for (int i = 0; i < size; i += 16) {
        __m128i value = _mm_load_si128((const __m128i *)(from + i));
        __m128i count = _mm_add_epi8(
            _mm_shuffle_epi8(table, _mm_and_si128(value, low)),
            _mm_shuffle_epi8(table, _mm_and_si128(_mm_srli_epi16(value, 4), low)));
        sum = _mm_add_epi64(sum, _mm_sad_epu8(count, _mm_setzero_si128()));
    }
    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum)));
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    for (; rounds > 0; rounds--) {
        write_digits();
        sum = mix(sum, count_bits(bytes, SIZE));
        sum = mix(sum, count_bits(digits, 2 * SIZE));
        bytes[rounds % SIZE] = (uint8_t)sum;
    }
    return sum;
}

const struct kernel text_ssse3 = {
    .name = "text-ssse3", .run = run, .prepare = prepare, .offered = offered, .rounds = 36000};

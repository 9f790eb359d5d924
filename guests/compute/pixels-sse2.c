// Pixels by SSE2: one picture laid over another by its alpha, and the sum of absolute differences with a shifted copy, as
// video encoders compute it.

#include <emmintrin.h>

#include "compute.h"

enum { WIDTH = 64, HEIGHT = 32 };
static uint32_t below[HEIGHT][WIDTH] __attribute__((aligned(16))), above[HEIGHT][WIDTH] __attribute__((aligned(16)));

static void prepare(bool small) {
    (void)small;
    uint64_t state = 37;
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++) {
            below[y][x] = (uint32_t)random_next(&state);
            above[y][x] = (uint32_t)random_next(&state);
        }
}

// Two pixels with channels of 16 bits: (a * alpha + b * (256 - alpha)) / 256.
static inline __m128i blend(__m128i a, __m128i b) {
    __m128i alpha = _mm_shufflehi_epi16(_mm_shufflelo_epi16(a, 0xff), 0xff);
    __m128i weighted = _mm_mullo_epi16(a, alpha);
    __m128i rest = _mm_mullo_epi16(b, _mm_sub_epi16(_mm_set1_epi16(256), alpha));
    return _mm_srli_epi16(_mm_add_epi16(weighted, rest), 8);
}

static APART void lay_over(void) {
    __m128i zero = _mm_setzero_si128();
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x += 4) {
            __m128i a = _mm_load_si128((const __m128i *)&above[y][x]), *to = (__m128i *)&below[y][x];
            __m128i b = _mm_load_si128(to);
            __m128i low = blend(_mm_unpacklo_epi8(a, zero), _mm_unpacklo_epi8(b, zero));
            __m128i high = blend(_mm_unpackhi_epi8(a, zero), _mm_unpackhi_epi8(b, zero));
            _mm_store_si128(to, _mm_packus_epi16(low, high));
        }
}

static APART uint64_t differences(int shift) {
    __m128i sum = _mm_setzero_si128();
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x + 8 < WIDTH; x += 4) {
            __m128i a = _mm_load_si128((const __m128i *)&below[y][x]);
            __m128i b = _mm_loadu_si128((const __m128i *)&above[y][x + shift]);
            sum = _mm_add_epi64(sum, _mm_sad_epu8(a, b));
        }
    return (uint64_t)_mm_cvtsi128_si64(_mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum)));
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    for (; rounds > 0; rounds--) {
        lay_over();
        for (int shift = 0; shift < 4; shift++) sum = mix(sum, differences(shift));
        above[rounds % HEIGHT][rounds % WIDTH] += 0x01030507;
    }
    return sum;
}

const struct kernel pixels_sse2 = {.name = "pixels-sse2", .run = run, .prepare = prepare, .rounds = 25000};

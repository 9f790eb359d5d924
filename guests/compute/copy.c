// Copies of memory of all lengths up to 4 KiB, from and to any alignment: once by 16-byte registers, as C libraries do it,
// and once by REP MOVSB.

#include "compute.h"

typedef uint64_t chunk __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word __attribute__((aligned(1), may_alias));

enum { SIZE = 64 << 10, LONGEST = 4096 };
static uint8_t source[SIZE + LONGEST], target[SIZE + LONGEST];

static void prepare(bool small) {
    (void)small;
    uint64_t state = 7;
    for (size_t i = 0; i < sizeof source; i++) source[i] = (uint8_t)random_next(&state);
    for (size_t i = 0; i < sizeof target; i++) target[i] = 0;
}

// The last piece may overlap the one before it.
static APART void by_registers(uint8_t *to, const uint8_t *from, size_t count) {
    if (count >= 16) {
        chunk last = *(const chunk *)(from + count - 16);
        uint8_t *end = to + count - 16;
        for (; count > 64; count -= 64, to += 64, from += 64) {
            chunk a = ((const chunk *)from)[0], b = ((const chunk *)from)[1];
            chunk c = ((const chunk *)from)[2], d = ((const chunk *)from)[3];
            ((chunk *)to)[0] = a, ((chunk *)to)[1] = b, ((chunk *)to)[2] = c, ((chunk *)to)[3] = d;
        }
        for (; count > 16; count -= 16, to += 16, from += 16) *(chunk *)to = *(const chunk *)from;
        *(chunk *)end = last;
    } else if (count >= 8) {
        uint64_t first = *(const word *)from, last = *(const word *)(from + count - 8);
        *(word *)to = first;
        *(word *)(to + count - 8) = last;
    } else {
        while (count-- > 0) *to++ = *from++;
    }
}

static APART void by_string_instruction(uint8_t *to, const uint8_t *from, size_t count) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
}

static inline __attribute__((always_inline)) uint64_t copies(
    uint64_t rounds, void (*move)(uint8_t *, const uint8_t *, size_t)
) {
    uint64_t state = 1;
    for (; rounds > 0; rounds--)
        for (int i = 0; i < 256; i++) {
            uint64_t value = random_next(&state);
            // Short ones are as frequent as long ones.
            size_t count = (value >> 32 & (LONGEST - 1)) >> (value & 7);
            move(target + (value >> 8) % SIZE, source + (value >> 40) % SIZE, count);
        }
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof target; i += 8) sum = mix(sum, *(const word *)(target + i));
    return sum;
}

static uint64_t run_registers(uint64_t rounds) { return copies(rounds, by_registers); }
static uint64_t run_string_instruction(uint64_t rounds) { return copies(rounds, by_string_instruction); }

const struct kernel copy = {.name = "copy", .run = run_registers, .prepare = prepare, .rounds = 5000};
const struct kernel copy_rep = {.name = "copy-rep", .run = run_string_instruction, .prepare = prepare, .rounds = 5000};

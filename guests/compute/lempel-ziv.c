// Compression after Lempel and Ziv (1977) and back: hashes of three bytes, matches, and copies byte by byte, with branches that
// nobody can predict.

#include "compute.h"

enum { SIZE = 8192, HASHES = 1024, SHORTEST = 3, LONGEST = 130 };
static uint8_t plain[SIZE], packed[SIZE + SIZE / 64], unpacked[SIZE];
static uint16_t last[HASHES];

static void prepare(bool small) {
    (void)small;
    static const char *const words[] = {"the ", "quick ", "translator ", "runs ", "a ", "guest ", "of ", "many ", "blocks, "};
    uint64_t state = 29;
    for (int at = 0; at < SIZE;) {
        uint64_t value = random_next(&state);
        const char *word = words[value % 9];
        while (*word && at < SIZE) plain[at++] = (uint8_t)*word++;
        if ((value >> 32) % 5 == 0 && at < SIZE) plain[at++] = (uint8_t)(value >> 40);
    }
}

static uint32_t hash(const uint8_t *p) { return ((uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2]) * 2654435761u >> 22; }

// Runs of literals: their number less 1 (below 64), then the bytes. Matches: 128 and the length less 3, then the distance.
static APART int pack(void) {
    for (int i = 0; i < HASHES; i++) last[i] = 0;
    int out = 0, literals = 0;
    for (int at = 0; at < SIZE;) {
        int length = 0, from = 0;
        if (at + SHORTEST <= SIZE) {
            uint32_t slot = hash(plain + at);
            from = last[slot] - 1;
            last[slot] = (uint16_t)(at + 1);
            if (from >= 0)
                while (length < LONGEST && at + length < SIZE && plain[from + length] == plain[at + length]) length++;
        }
        if (length >= SHORTEST) {
            packed[out++] = (uint8_t)(128 + length - SHORTEST);
            packed[out++] = (uint8_t)(at - from);
            packed[out++] = (uint8_t)((at - from) >> 8);
            at += length;
            literals = 0;
        } else {
            if (literals == 0 || literals == 64) {
                packed[out++] = 0;
                literals = 0;
            } else {
                packed[out - literals - 1]++;
            }
            packed[out++] = plain[at++];
            literals++;
        }
    }
    return out;
}

static APART int unpack(int size) {
    int out = 0;
    for (int at = 0; at < size;) {
        int token = packed[at++];
        if (token & 128) {
            int length = token - 128 + SHORTEST, distance = packed[at] | packed[at + 1] << 8;
            at += 2;
            for (; length > 0; length--, out++) unpacked[out] = unpacked[out - distance];
        } else {
            for (; token >= 0; token--) unpacked[out++] = packed[at++];
        }
    }
    return out;
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    for (; rounds > 0; rounds--) {
        int size = pack();
        int length = unpack(size);
        sum = mix(sum, (uint64_t)size << 32 | (uint64_t)length);
        for (int i = 0; i < SIZE; i += 61) sum = mix(sum, (uint64_t)(unpacked[i] ^ plain[i]));
        plain[rounds % SIZE] ^= 1;
    }
    return sum;
}

const struct kernel lempel_ziv = {.name = "lempel-ziv", .run = run, .prepare = prepare, .rounds = 2000};

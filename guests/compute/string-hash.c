// Words of a text, counted in a hash table: FNV-1a byte by byte, then comparisons of strings.

#include "compute.h"

enum { WORDS = 1024, BUCKETS = 512, VOCABULARY = 300 };
static char text[WORDS * 12], vocabulary[VOCABULARY][12];

struct entry {
    const char *word;
    uint32_t length, count;
    struct entry *next;
};
static struct entry entries[VOCABULARY], *buckets[BUCKETS];

static void prepare(bool small) {
    (void)small;
    uint64_t state = 17;
    for (int i = 0; i < VOCABULARY; i++) {
        uint64_t value = random_next(&state);
        int length = 2 + (int)(value % 9);
        for (int j = 0; j < length; j++) vocabulary[i][j] = (char)('a' + (random_next(&state) & 15));
        vocabulary[i][length] = 0;
    }
    char *to = text;
    for (int i = 0; i < WORDS; i++) {
        // Words at the front of the vocabulary are more frequent.
        uint64_t value = random_next(&state);
        const char *word = vocabulary[value % VOCABULARY * (value >> 32 & 0xff) >> 8];
        while (*word) *to++ = *word++;
        *to++ = ' ';
    }
    *to = 0;
}

static APART uint32_t fnv1a(const char *word, uint32_t length) {
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < length; i++) hash = (hash ^ (uint8_t)word[i]) * 16777619u;
    return hash;
}

static APART bool same(const char *a, const char *b, uint32_t length) {
    for (uint32_t i = 0; i < length; i++)
        if (a[i] != b[i]) return false;
    return true;
}

static APART uint64_t count_words(void) {
    uint32_t used = 0;
    for (int i = 0; i < BUCKETS; i++) buckets[i] = NULL;
    for (const char *at = text; *at;) {
        const char *word = at;
        while (*at != ' ') at++;
        uint32_t length = (uint32_t)(at++ - word);
        struct entry **bucket = &buckets[fnv1a(word, length) % BUCKETS], *entry = *bucket;
        while (entry && !(entry->length == length && same(entry->word, word, length))) entry = entry->next;
        if (!entry) {
            entry = &entries[used++];
            *entry = (struct entry){word, length, 0, *bucket};
            *bucket = entry;
        }
        entry->count++;
    }
    uint64_t sum = used;
    for (uint32_t i = 0; i < used; i++) sum = mix(sum, entries[i].count);
    return sum;
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    for (; rounds > 0; rounds--) sum = mix(sum, count_words());
    return sum;
}

const struct kernel string_hash = {.name = "string-hash", .run = run, .prepare = prepare, .rounds = 3000};

// A linked list that is searched, reversed and sorted; a matrix of integers; a state machine that scans numbers. The three
// kinds of work that CoreMark is made of, in our own words.

#include "compute.h"

// The list.

struct node {
    struct node *next;
    int16_t key, place;
};

enum { NODES = 300 };
static struct node nodes[NODES];

static APART struct node *reverse(struct node *list) {
    struct node *reversed = NULL;
    while (list) {
        struct node *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

static APART struct node *find(struct node *list, int16_t key) {
    while (list && list->key != key) list = list->next;
    return list;
}

static int by_key(const struct node *a, const struct node *b) { return a->key - b->key; }
static int by_place(const struct node *a, const struct node *b) { return a->place - b->place; }

// Merges runs of ever twice the length.
static APART struct node *sort(struct node *list, int (*compare)(const struct node *, const struct node *)) {
    for (int length = 1;; length *= 2) {
        struct node *a = list, *tail = NULL;
        int merges = 0;
        list = NULL;
        while (a) {
            merges++;
            struct node *b = a;
            int left = 0, right = length;
            while (left < length && b) left++, b = b->next;
            while (left > 0 || (right > 0 && b)) {
                struct node *least;
                if (left == 0 || (right > 0 && b && compare(b, a) < 0)) {
                    least = b, b = b->next, right--;
                } else {
                    least = a, a = a->next, left--;
                }
                if (tail) tail->next = least;
                else list = least;
                tail = least;
            }
            a = b;
        }
        tail->next = NULL;
        if (merges <= 1) return list;
    }
}

static uint64_t work_on_list(uint64_t seed) {
    struct node *list = NULL;
    for (int i = 0; i < NODES; i++) {
        nodes[i] = (struct node){list, (int16_t)(random_next(&seed) & 0x3ff), (int16_t)i};
        list = &nodes[i];
    }
    uint64_t sum = 0;
    for (int16_t key = 0; key < 40; key++) {
        struct node *found = find(list, key);
        if (found) sum = mix(sum, (uint64_t)found->place);
        list = reverse(list);
    }
    list = sort(list, by_key);
    for (struct node *at = list; at; at = at->next) sum += (uint64_t)at->place * (uint64_t)at->key;
    list = sort(list, by_place);
    return mix(sum, (uint64_t)list->key);
}

// The matrix.

enum { SIDE = 24 };
static int16_t left[SIDE][SIDE], right[SIDE][SIDE];
static int32_t product[SIDE][SIDE];

static APART void multiply(void) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int32_t sum = 0;
            for (int k = 0; k < SIDE; k++) sum += left[i][k] * right[k][j];
            product[i][j] = sum;
        }
}

static APART uint64_t sum_of_bits(void) {
    uint64_t sum = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int32_t value = product[i][j];
            sum += (uint64_t)(value >> 2 & 15) * (uint64_t)(value >> 5 & 127);
            if (value > 1000) sum += 10;
        }
    return sum;
}

static uint64_t work_on_matrix(uint64_t seed) {
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            uint64_t value = random_next(&seed);
            left[i][j] = (int16_t)(value & 0xff);
            right[i][j] = (int16_t)(value >> 8 & 0xff);
        }
    multiply();
    return sum_of_bits();
}

// The state machine.

enum state { START, SIGN, INTEGER, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };

static const char *const fields[] = {
    "5012", "-874", "+122", "35.54400", ".1234500", "-110.700", "5.500e+3", "-.123e-2", "-87e+832", "T0.3e-1F", "1+1", "0x7",
};

// Whether a state ends at the character, and which follows.
static enum state step(enum state state, char character) {
    bool digit = character >= '0' && character <= '9';
    switch (state) {
    case START:
        if (digit) return INTEGER;
        if (character == '+' || character == '-') return SIGN;
        return character == '.' ? POINT : INVALID;
    case SIGN: return digit ? INTEGER : character == '.' ? POINT : INVALID;
    case INTEGER:
        if (digit) return INTEGER;
        return character == '.' ? FRACTION : character == 'e' ? EXPONENT : INVALID;
    case POINT: return digit ? FRACTION : INVALID;
    case FRACTION: return digit ? FRACTION : character == 'e' ? EXPONENT : INVALID;
    case EXPONENT: return digit ? SCIENTIFIC : character == '+' || character == '-' ? EXPONENT_SIGN : INVALID;
    case EXPONENT_SIGN:
    case SCIENTIFIC: return digit ? SCIENTIFIC : INVALID;
    default: return INVALID;
    }
}

static APART void scan(const char *text, uint32_t *counts) {
    enum state state = START;
    for (; *text; text++) {
        if (*text == ',') {
            counts[state]++;
            state = START;
        } else {
            state = step(state, *text);
        }
    }
    counts[state]++;
}

static uint64_t work_on_text(uint64_t seed) {
    static char text[2048];
    size_t length = 0;
    while (length < sizeof text - 16) {
        const char *field = fields[random_next(&seed) % (sizeof fields / sizeof *fields)];
        while (*field) text[length++] = *field++;
        text[length++] = ',';
    }
    text[length] = 0;
    uint32_t counts[STATES] = {0};
    scan(text, counts);
    uint64_t sum = 0;
    for (int i = 0; i < STATES; i++) sum = mix(sum, counts[i]);
    return sum;
}

// CRC-16 with the polynomial 0xa001, bit by bit.
static APART uint16_t crc16(uint64_t value, uint16_t crc) {
    for (int i = 0; i < 64; i++) {
        bool low = (crc ^ value) & 1;
        crc >>= 1;
        value >>= 1;
        if (low) crc ^= 0xa001;
    }
    return crc;
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    uint16_t crc = 0;
    for (uint64_t round = 1; round <= rounds; round++) {
        uint64_t found = work_on_list(round);
        crc = crc16(found, crc);
        crc = crc16(work_on_matrix(round), crc);
        crc = crc16(work_on_text(round), crc);
        sum = mix(sum, found ^ crc);
    }
    return sum;
}

const struct kernel list_matrix_state = {.name = "list-matrix-state", .run = run, .rounds = 300};

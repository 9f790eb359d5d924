// Quicksort of 32-bit integers (Hoare's partition, insertion sort for what is short).

#include "compute.h"

enum { COUNT = 8192 };
static uint32_t numbers[COUNT];

static APART void sort(uint32_t *first, uint32_t *last) {
    while (last - first > 12) {
        uint32_t a = *first, b = first[(last - first) / 2], c = *last;
        uint32_t pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        uint32_t *low = first, *high = last;
        while (low <= high) {
            while (*low < pivot) low++;
            while (*high > pivot) high--;
            if (low <= high) {
                uint32_t value = *low;
                *low++ = *high;
                *high-- = value;
            }
        }
        // The shorter part by a call, so that the stack stays short.
        if (high - first < last - low) {
            sort(first, high);
            first = low;
        } else {
            sort(low, last);
            last = high;
        }
    }
    for (uint32_t *at = first + 1; at <= last; at++) {
        uint32_t value = *at, *to = at;
        for (; to > first && to[-1] > value; to--) *to = to[-1];
        *to = value;
    }
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0, state = 88172645463325252;
    for (; rounds > 0; rounds--) {
        for (int i = 0; i < COUNT; i++) numbers[i] = (uint32_t)random_next(&state);
        sort(numbers, numbers + COUNT - 1);
        for (int i = 1; i < COUNT; i += 64) sum = mix(sum, numbers[i] - numbers[i - 1]);
    }
    return sum;
}

const struct kernel quicksort = {.name = "quicksort", .run = run, .rounds = 90};

// Pointers that lead through memory in no order: a ring of nodes, each in a cache line of its own. What it costs is the
// latency of memory and, in the larger ring, of address translation.

#include "compute.h"

struct node {
    struct node *next;
    uint64_t value;
    uint64_t padding[6];
};

enum { SMALL = (64 << 10) / sizeof(struct node), LARGE = (8 << 20) / sizeof(struct node) };
static struct node nodes[LARGE] __attribute__((aligned(4096)));

// One cycle through all of them (Sattolo's shuffle).
static void prepare_ring(uint32_t count) {
    uint64_t state = 11;
    for (uint32_t i = 0; i < count; i++) nodes[i] = (struct node){&nodes[i], random_next(&state), {0}};
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t other = (uint32_t)(random_next(&state) % i);
        struct node *next = nodes[i].next;
        nodes[i].next = nodes[other].next;
        nodes[other].next = next;
    }
}

static void prepare_64k(bool small) {
    (void)small;
    prepare_ring(SMALL);
}
static void prepare_8m(bool small) { prepare_ring(small ? 4 * SMALL : LARGE); }

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    const struct node *at = nodes;
    for (uint64_t steps = rounds * 1024; steps > 0; steps--) {
        sum += at->value;
        at = at->next;
    }
    return mix(sum, (uint64_t)(at - nodes));
}

const struct kernel chase_64k = {.name = "chase-64k", .run = run, .prepare = prepare_64k, .rounds = 12000};
const struct kernel chase_8m = {.name = "chase-8m", .run = run, .prepare = prepare_8m, .rounds = 500};

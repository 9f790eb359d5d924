// Calls: Fibonacci numbers by recursion, and methods of objects through tables of functions.

#include "compute.h"

static APART uint64_t fibonacci(unsigned n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t run_fibonacci(uint64_t rounds) {
    uint64_t sum = 0;
    for (; rounds > 0; rounds--) sum = mix(sum, fibonacci(18 + (unsigned)(rounds & 1)));
    return sum;
}

const struct kernel fib = {.name = "fib", .run = run_fibonacci, .rounds = 3500};

struct shape;

struct methods {
    uint32_t (*area)(const struct shape *);
    void (*grow)(struct shape *, uint32_t);
};

struct shape {
    const struct methods *methods;
    uint32_t a, b;
};

static uint32_t area_of_square(const struct shape *s) { return s->a * s->a; }
static void grow_square(struct shape *s, uint32_t by) { s->a = (s->a + by) & 0xff; }
static uint32_t area_of_rectangle(const struct shape *s) { return s->a * s->b; }
static void grow_rectangle(struct shape *s, uint32_t by) { s->a = (s->a + by) & 0xff, s->b ^= by; }
static uint32_t area_of_triangle(const struct shape *s) { return s->a * s->b / 2; }
static void grow_triangle(struct shape *s, uint32_t by) { s->b = (s->b + by) & 0xff; }
static uint32_t area_of_circle(const struct shape *s) { return s->a * s->a * 355 / 113; }
static void grow_circle(struct shape *s, uint32_t by) { s->a = (s->a ^ by) & 0xff; }

static const struct methods classes[] = {
    {area_of_square, grow_square},
    {area_of_rectangle, grow_rectangle},
    {area_of_triangle, grow_triangle},
    {area_of_circle, grow_circle},
};

enum { SHAPES = 256 };
static struct shape shapes[SHAPES];

static void prepare(bool small) {
    (void)small;
    uint64_t state = 5;
    for (int i = 0; i < SHAPES; i++) {
        uint64_t value = random_next(&state);
        shapes[i] = (struct shape){&classes[value & 3], value >> 8 & 0xff, value >> 16 & 0xff};
    }
}

static uint64_t run_virtual(uint64_t rounds) {
    uint64_t sum = 0;
    for (; rounds > 0; rounds--)
        for (int i = 0; i < SHAPES; i++) {
            struct shape *shape = &shapes[i];
            uint32_t area = shape->methods->area(shape);
            shape->methods->grow(shape, area & 7);
            sum += area;
        }
    return mix(sum, shapes[0].a);
}

const struct kernel virtual_calls = {.name = "virtual-calls", .run = run_virtual, .prepare = prepare, .rounds = 20000};

// Five bodies that attract each other, in double precision by SSE2: scalar arithmetic with a square root and a division.

#include "compute.h"

struct body {
    double x[3], v[3], mass;
};

enum { BODIES = 5 };
static struct body bodies[BODIES];

// Positions in units of the distance from the sun to the earth, a sun of 4 pi^2, and four planets, roughly.
static void prepare(bool small) {
    (void)small;
    static const struct body start[BODIES] = {
        {{0, 0, 0}, {0, 0, 0}, 39.478417604357434},
        {{5.2, 0.1, -0.1}, {0.05, 2.75, -0.02}, 0.0377},
        {{-8.1, 4.2, 0.3}, {-1.1, -1.7, 0.04}, 0.0113},
        {{12.5, -14.9, -0.2}, {1.08, 0.86, -0.01}, 0.00172},
        {{15.3, -25.7, 0.18}, {0.97, 0.59, -0.035}, 0.00203},
    };
    for (int i = 0; i < BODIES; i++) bodies[i] = start[i];
}

static APART void advance(double step) {
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            struct body *a = &bodies[i], *b = &bodies[j];
            double d[3], square = 0;
            for (int k = 0; k < 3; k++) {
                d[k] = a->x[k] - b->x[k];
                square += d[k] * d[k];
            }
            double factor = step / (square * __builtin_sqrt(square));
            for (int k = 0; k < 3; k++) {
                a->v[k] -= d[k] * b->mass * factor;
                b->v[k] += d[k] * a->mass * factor;
            }
        }
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++) bodies[i].x[k] += step * bodies[i].v[k];
}

static APART double energy(void) {
    double sum = 0;
    for (int i = 0; i < BODIES; i++) {
        const struct body *a = &bodies[i];
        for (int k = 0; k < 3; k++) sum += 0.5 * a->mass * a->v[k] * a->v[k];
        for (int j = i + 1; j < BODIES; j++) {
            double square = 0;
            for (int k = 0; k < 3; k++) square += (a->x[k] - bodies[j].x[k]) * (a->x[k] - bodies[j].x[k]);
            sum -= a->mass * bodies[j].mass / __builtin_sqrt(square);
        }
    }
    return sum;
}

static uint64_t bits(double value) {
    union {
        double value;
        uint64_t bits;
    } both = {value};
    return both.bits;
}

static uint64_t run(uint64_t rounds) {
    for (; rounds > 0; rounds--)
        for (int i = 0; i < 64; i++) advance(0.001);
    return mix(bits(energy()), bits(bodies[1].x[0]));
}

const struct kernel nbody = {.name = "nbody-sse2", .run = run, .prepare = prepare, .rounds = 7000};

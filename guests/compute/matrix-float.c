// The product of matrices in single precision, in vectors of four as the compiler makes them.

#include "compute.h"

enum { SIDE = 48 };
static float a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];

static void prepare(bool small) {
    (void)small;
    uint64_t state = 3;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            a[i][j] = (float)(random_next(&state) % 2000) / 1000 - 1;
            b[i][j] = (float)(random_next(&state) % 2000) / 1000 - 1;
        }
}

static APART void multiply(void) {
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) c[i][j] = 0;
        for (int k = 0; k < SIDE; k++) {
            float factor = a[i][k];
            for (int j = 0; j < SIDE; j++) c[i][j] += factor * b[k][j];
        }
    }
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    for (; rounds > 0; rounds--) {
        multiply();
        // The next factors are of this product, kept in bounds.
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++) a[i][j] = c[i][j] / (1 + c[i][j] * c[i][j]);
        union {
            float value;
            uint32_t bits;
        } corner = {c[SIDE / 2][SIDE - 1]};
        sum = mix(sum, corner.bits);
    }
    return sum;
}

const struct kernel matrix_float = {.name = "matrix-float", .run = run, .prepare = prepare, .rounds = 4500};

// Long double, which is the x87's: the Mandelbrot set, and square roots by Newton's method.

#include "compute.h"

enum { SIDE = 16, LIMIT = 200 };

static APART int escape(long double cx, long double cy) {
    long double x = 0, y = 0;
    int count = 0;
    for (; count < LIMIT; count++) {
        long double xx = x * x, yy = y * y;
        if (xx + yy > 4) break;
        y = 2 * x * y + cy;
        x = xx - yy + cx;
    }
    return count;
}

static APART long double newton(long double value) {
    long double root = value / 2 + 1;
    for (int i = 0; i < 6; i++) root = (root + value / root) / 2;
    return root - __builtin_sqrtl(value);
}

static uint64_t run(uint64_t rounds) {
    uint64_t sum = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        long double scale = 3.0L / SIDE, shift = (long double)(round & 63) / 64;
        for (int i = 0; i < SIDE; i++)
            for (int j = 0; j < SIDE; j++)
                sum = mix(sum, (uint64_t)escape(-2.0L + ((long double)i + shift) * scale, -1.5L + (long double)j * scale));
        long double error = 0;
        for (int i = 1; i < 32; i++) error += newton((long double)i + shift);
        sum = mix(sum, (uint64_t)(int64_t)(error * 0x1p62L));
    }
    return sum;
}

const struct kernel mandelbrot_x87 = {.name = "mandelbrot-x87", .run = run, .rounds = 350};

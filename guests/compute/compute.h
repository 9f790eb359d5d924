// compute: kernels of the kinds of code that programs are made of, each with a checksum of what it computed and the time
// that it took. The same machine code runs as a guest (main.c) and, loaded by a program of the host, natively (native.c).
//
// Kernels depend on nothing but their code and the number of rounds, so that checksums agree wherever they run.

#ifndef COMPUTE_H
#define COMPUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Work on its own: not folded into its caller, as functions of another file would not be.
#define APART __attribute__((noinline))

struct kernel {
    const char *name;
    // Does its work so many times and returns the checksum.
    uint64_t (*run)(uint64_t rounds);
    // Makes what it works on, untimed. `small` asks for a size that takes no time to speak of. NULL for nothing.
    void (*prepare)(bool small);
    // Whether CPUID offers its instructions; NULL for those of every x86-64.
    bool (*offered)(void);
    // Rounds at a scale of 100: some 50 ms on a CPU of the year 2022.
    uint32_t rounds;
};

// Where kernels run: what differs between a guest and a program of the host.
struct environment {
    // A clock in nanoseconds.
    uint64_t (*now)(void);
    // Takes the outcome of a kernel.
    void (*report)(const char *name, uint64_t checksum, uint64_t nanoseconds);
    // Takes the name of a kernel whose instructions are not offered.
    void (*report_absent)(const char *name);
};

// Runs kernels. `arguments` has words: `scale=PERCENT` (0, the default, is one small round of each), and
// `kernels=NAME,NAME`. Others are passed over: boot loaders add some. False if a kernel is named that does not exist.
bool run_kernels(const char *arguments, const struct environment *environment);

// Kernels, one file each.
extern const struct kernel list_matrix_state, sha256, sieve, quicksort, copy, copy_rep, nbody, mandelbrot_x87,
    matrix_float, chase_64k, chase_8m, interpreter_switch, interpreter_threaded, fib, virtual_calls, string_hash,
    big_integer, lempel_ziv, aes, pixels_sse2, text_ssse3, hash_avx2;

// Takes a value into a checksum.
static inline uint64_t mix(uint64_t sum, uint64_t value) {
    sum = (sum ^ value) * 0x9e3779b97f4a7c15;
    return sum ^ sum >> 29;
}

// The next of a sequence of pseudo-random numbers; the state must not be 0. (Marsaglia, "Xorshift RNGs", 2003.)
static inline uint64_t random_next(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

// Bits of CPUID leaf 1 in ECX.
enum { CPUID_SSSE3 = 1u << 9, CPUID_AES = 1u << 25, CPUID_OSXSAVE = 1u << 27 };

static inline uint32_t cpuid_1_ecx(void) {
    uint32_t eax = 1, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx;
}

#endif

// The list of kernels, and how they are chosen, run and timed.

#include "compute.h"

static const struct kernel *const kernels[] = {
    &list_matrix_state, &sha256, &sieve, &quicksort, &copy, &copy_rep, &string_hash, &big_integer, &lempel_ziv,
    &chase_64k, &chase_8m, &interpreter_switch, &interpreter_threaded, &fib, &virtual_calls, &nbody, &matrix_float,
    &mandelbrot_x87, &aes, &pixels_sse2, &text_ssse3, &hash_avx2,
};
enum { COUNT = sizeof kernels / sizeof *kernels };

// The text behind `key` if `word` begins with it, else NULL.
static const char *value_of(const char *word, const char *key) {
    while (*key)
        if (*word++ != *key++) return NULL;
    return word;
}

// The length of what stands before a blank, a comma or the end.
static size_t name_length(const char *text) {
    size_t length = 0;
    while (text[length] && text[length] != ' ' && text[length] != ',') length++;
    return length;
}

// Marks the kernels of a list of names; false if there is none of a name.
static bool choose(const char *names, bool *chosen) {
    while (*names && *names != ' ') {
        size_t length = name_length(names);
        bool found = false;
        for (int i = 0; i < COUNT; i++) {
            const char *rest = kernels[i]->name;
            size_t same = 0;
            while (same < length && rest[same] == names[same]) same++;
            if (same == length && !rest[same]) chosen[i] = found = true;
        }
        if (!found) return false;
        names += length;
        if (*names == ',') names++;
    }
    return true;
}

static void run(const struct kernel *kernel, uint64_t scale, const struct environment *environment) {
    if (kernel->offered && !kernel->offered()) {
        environment->report_absent(kernel->name);
        return;
    }
    if (kernel->prepare) kernel->prepare(scale == 0);
    uint64_t rounds = kernel->rounds * scale / 100;
    if (rounds == 0) rounds = 1;
    uint64_t start = environment->now();
    uint64_t checksum = kernel->run(rounds);
    environment->report(kernel->name, checksum, environment->now() - start);
}

bool run_kernels(const char *arguments, const struct environment *environment) {
    bool chosen[COUNT] = {false}, all = true;
    uint64_t scale = 0;
    for (const char *word = arguments; *word;) {
        const char *value;
        if ((value = value_of(word, "scale="))) {
            for (scale = 0; *value >= '0' && *value <= '9' && scale < 1000000; value++) scale = scale * 10 + *value - '0';
        } else if ((value = value_of(word, "kernels="))) {
            all = false;
            if (!choose(value, chosen)) return false;
        }
        while (*word && *word != ' ') word++;
        while (*word == ' ') word++;
    }
    for (int i = 0; i < COUNT; i++)
        if (all || chosen[i]) run(kernels[i], scale, environment);
    return true;
}

// native-guest: runs the kernels of the guest `compute` on the host's CPU, as an ordinary program. The guest's own image is
// loaded at the addresses that its Multiboot header names, so that the very same machine code is timed here and there.
//
//     native-guest IMAGE [ARGUMENTS]

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

// As in the guest's compute.h.
struct environment {
    uint64_t (*now)(void);
    void (*report)(const char *name, uint64_t checksum, uint64_t nanoseconds);
    void (*report_absent)(const char *name);
};

// The Multiboot header that the guests have (Multiboot Specification 0.6.96, 3.1), and what follows it in this one.
struct header {
    uint32_t magic, flags, checksum, header, load, load_end, bss_end, entry;
};

#define NATIVE_MAGIC 0x45564954414e5a54  // "TZNATIVE"
struct native_entry {
    uint64_t magic, run;
};

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void report(const char *name, uint64_t checksum, uint64_t nanoseconds) {
    printf("result: %s %016lx\n", name, (unsigned long)checksum);
    printf("measured: %s = %.3f us\n", name, (double)nanoseconds / 1000);
}

static void report_absent(const char *name) { printf("result: %s n/a\n", name); }

static void fail(const char *file, const char *what) {
    fprintf(stderr, "native-guest: %s: %s\n", file, what);
    exit(125);
}

// Puts the image where it belongs and returns the address of its function, or 0.
static uint64_t load(const char *file) {
    int descriptor = open(file, O_RDONLY);
    struct stat status;
    if (descriptor < 0 || fstat(descriptor, &status) != 0) fail(file, "cannot be opened");
    size_t size = (size_t)status.st_size;
    char *image = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (image == MAP_FAILED) fail(file, "cannot be read");
    close(descriptor);

    struct header header;
    if (size < sizeof header) fail(file, "too short for a Multiboot kernel");
    memcpy(&header, image, sizeof header);
    if (header.magic != 0x1badb002 || header.magic + header.flags + header.checksum != 0 || header.header != header.load ||
        header.load_end < header.load || header.load_end - header.load > size || header.bss_end < header.load_end)
        fail(file, "no Multiboot kernel that begins with its header");

    size_t length = header.bss_end - header.load;
    char *target = (char *)(uintptr_t)header.load;
    // SAFETY: MAP_FIXED_NOREPLACE fails rather than replace what is mapped there.
    if (mmap(target, length, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) !=
        target)
        fail(file, "the host gives no memory at the image's addresses");
    // The guest has pages of 4 KiB too.
    madvise(target, length, MADV_NOHUGEPAGE);
    memcpy(target, image, header.load_end - header.load);
    munmap(image, size);

    for (size_t at = 0; at + sizeof(struct native_entry) <= 8192 && at < header.load_end - header.load; at += 8) {
        struct native_entry entry;
        memcpy(&entry, target + at, sizeof entry);
        if (entry.magic == NATIVE_MAGIC && entry.run - header.load < header.load_end - header.load) return entry.run;
    }
    return 0;
}

int main(int count, char **arguments) {
    if (count < 2 || count > 3) {
        fprintf(stderr, "usage: native-guest IMAGE [ARGUMENTS]\n");
        return 125;
    }
    uint64_t run = load(arguments[1]);
    if (!run) fail(arguments[1], "the image has no function for programs of the host");
    static const struct environment environment = {now, report, report_absent};
    bool (*kernels)(const char *, const struct environment *) =
        (bool (*)(const char *, const struct environment *))(uintptr_t)run;
    if (kernels(count == 3 ? arguments[2] : "", &environment)) return 0;
    fail("compute", "there is no kernel of one of these names");
}

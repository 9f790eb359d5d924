// The way into compute for a program of the host that has loaded the image at its addresses: a record behind the Multiboot
// header, found by its first eight bytes, "TZNATIVE".

#include "compute.h"

__attribute__((section(".native_entry"), used)) const struct {
    uint64_t magic;
    bool (*run)(const char *, const struct environment *);
} native_entry = {.magic = 0x45564954414e5a54, .run = run_kernels};

// The host's CPUID, for CPU models that offer what the host can run.
#ifndef TRAPEZE_CPUID_H
#define TRAPEZE_CPUID_H

#include <stdint.h>

typedef struct tz_cpuid_result {
    uint32_t eax, ebx, ecx, edx;
} tz_cpuid_result;

// CPUID with the given EAX and ECX. Leaves beyond the host's maximum give what the vendor chose: check leaf 0 first.
static inline tz_cpuid_result tz_cpuid(uint32_t leaf, uint32_t subleaf) {
    tz_cpuid_result r = {leaf, 0, subleaf, 0};
    __asm__ volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

// The host's time-stamp counter.
static inline uint64_t tz_read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

#endif

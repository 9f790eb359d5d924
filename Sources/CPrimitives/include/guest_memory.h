// Access to guest RAM as hardware gives it: relaxed atomics of natural size, so that vCPU and device threads that race
// on guest memory see one of the values written and never undefined behaviour. Pointers may be unaligned: an x86 host
// performs the access whole within a cache line, as it would for the guest itself.
#ifndef TRAPEZE_GUEST_MEMORY_H
#define TRAPEZE_GUEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#define TZ_DEFINE_ACCESS(bits)                                                                                        \
    typedef struct __attribute__((packed)) {                                                                          \
        uint##bits##_t value;                                                                                         \
    } tz_unaligned##bits;                                                                                             \
    static inline uint##bits##_t tz_load##bits(const void *_Nonnull p) {                                              \
        uint##bits##_t value;                                                                                         \
        __asm__ volatile("mov %1, %0" : "=r"(value) : "m"(((const tz_unaligned##bits *)p)->value));   \
        return value;                                                                                                 \
    }                                                                                                                 \
    static inline void tz_store##bits(void *_Nonnull p, uint##bits##_t value) {                                       \
        __asm__ volatile("mov %1, %0"                                                                                 \
                         : "=m"(((tz_unaligned##bits *)p)->value)                                     \
                         : "r"(value)                                                                                 \
                         : "memory");                                                                                 \
    }                                                                                                                 \
    /* LOCK CMPXCHG. Returns whether the exchange took place; `*expected` receives the value found. */                \
    static inline bool tz_compare_exchange##bits(void *_Nonnull p, uint##bits##_t *_Nonnull expected,                 \
                                                 uint##bits##_t desired) {                                            \
        bool done;                                                                                                    \
        uint##bits##_t found = *expected;                                                                             \
        __asm__ volatile("lock cmpxchg %3, %1"                                                                        \
                         : "=@ccz"(done), "+m"(((tz_unaligned##bits *)p)->value), "+a"(found)         \
                         : "r"(desired)                                                                               \
                         : "memory");                                                                                 \
        *expected = found;                                                                                            \
        return done;                                                                                                  \
    }

TZ_DEFINE_ACCESS(8)
TZ_DEFINE_ACCESS(16)
TZ_DEFINE_ACCESS(32)
TZ_DEFINE_ACCESS(64)

// LOCK CMPXCHG16B on a 16-byte aligned pointer. `expected_low` and `expected_high` receive the value found.
static inline bool tz_compare_exchange128(void *_Nonnull p, uint64_t *_Nonnull expected_low,
                                          uint64_t *_Nonnull expected_high, uint64_t low, uint64_t high) {
    bool done;
    uint64_t a = *expected_low, d = *expected_high;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(done), "+m"(*(unsigned __int128 *)p), "+a"(a), "+d"(d)
                     : "b"(low), "c"(high)
                     : "memory");
    *expected_low = a;
    *expected_high = d;
    return done;
}

// Flags shared between threads outside guest RAM (kicks, posted interrupts).
static inline uint64_t tz_atomic_load(const uint64_t *_Nonnull p) { return __atomic_load_n(p, __ATOMIC_ACQUIRE); }
static inline void tz_atomic_store(uint64_t *_Nonnull p, uint64_t v) { __atomic_store_n(p, v, __ATOMIC_SEQ_CST); }
static inline uint64_t tz_atomic_exchange(uint64_t *_Nonnull p, uint64_t v) {
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t tz_atomic_or(uint64_t *_Nonnull p, uint64_t v) {
    return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t tz_atomic_and(uint64_t *_Nonnull p, uint64_t v) {
    return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
}
static inline uint64_t tz_atomic_add(uint64_t *_Nonnull p, uint64_t v) {
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}

// Orders every access before it against every one after it.
static inline void tz_fence(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

// Maps the shared memory of the pages at `first` and `second` once more, one behind the other at `window`, where two
// pages of address space are reserved. 0, or a negative errno: private memory cannot be mapped twice.
int tz_join_pages(void *_Nonnull window, void *_Nonnull first, void *_Nonnull second);

// A new anonymous memory file, closed on exec; a negative errno on failure.
int tz_memfd_create(const char *_Nonnull name);

// Maps shared memory that is mapped already a second time (mremap(2), an old size of 0). Null and errno if that fails.
void *_Nullable tz_second_mapping(void *_Nonnull mapping, size_t size);

// Has the host map pages now that will be touched soon (madvise(2), MADV_POPULATE_*). 0, or an errno.
int tz_populate(void *_Nonnull memory, size_t size, int writes);

#endif

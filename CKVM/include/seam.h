// The one way to the kernel, and the one place where tests can stand in it.
//
// Every function of this module returns what the call gave, or -errno; nobody outside looks at errno.
#ifndef TRAPEZE_CKVM_SEAM_H
#define TRAPEZE_CKVM_SEAM_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>

/// Stands before a call to the kernel. True if the call is not to be made and `*result` is its answer.
typedef bool (*ckvm_seam)(int descriptor, unsigned long request, int *_Nonnull result);

/// Puts a function before every call of the process, or takes it away. For tests.
void ckvm_set_seam(ckvm_seam _Nullable seam);

extern ckvm_seam _Nullable ckvm_current_seam;

/// Whether the seam answers a call in the kernel's place.
static inline bool ckvm_intercepted(int descriptor, unsigned long request, int *_Nonnull result) {
    ckvm_seam seam = __atomic_load_n(&ckvm_current_seam, __ATOMIC_ACQUIRE);
    return __builtin_expect(seam != 0, 0) && seam(descriptor, request, result);
}

/// ioctl, with a pointer or a plain number as its argument.
static inline int ckvm_call(int descriptor, unsigned long request, uintptr_t argument) {
    int result = 0;
    if (ckvm_intercepted(descriptor, request, &result)) return result;
    result = ioctl(descriptor, request, argument);
    return result < 0 ? -errno : result;
}

#endif

// What native stubs (short pieces of host code made at run time, each around one guest instruction) need from C: the
// offsets they address, and the SIGFPE handler that ends a stub whose instruction raised an unmasked exception.
#ifndef TRAPEZE_NATIVE_STUB_H
#define TRAPEZE_NATIVE_STUB_H

#include "cpu_state.h"

// Executes an instruction's data part. The third argument is the host address of the memory operand; stubs without one
// ignore it, so that they serve as handlers too.
typedef void (*tz_native_stub)(struct tz_cpu *_Nonnull, const struct tz_instruction *_Nonnull, void *_Nullable);

enum {
    TZ_OFFSET_ARITHMETIC = offsetof(tz_cpu, arithmetic),
    TZ_OFFSET_FXSAVE = offsetof(tz_cpu, fxsave),
    TZ_OFFSET_VECTOR = offsetof(tz_cpu, vector),
    TZ_OFFSET_MXCSR = offsetof(tz_cpu, mxcsr),
    TZ_OFFSET_FPU_GATES = offsetof(tz_cpu, fpu_gates),
    TZ_OFFSET_INSN_REG = offsetof(tz_instruction, reg),
    TZ_OFFSET_INSN_RM = offsetof(tz_instruction, rm),
    TZ_OFFSET_INSN_VVVV = offsetof(tz_instruction, vvvv),
};

// From now on a SIGFPE at an instruction pointer in [begin, end) continues at `simd_exit` (a SIMD exception) or at
// `x87_exit`; any other goes to whoever handled the signal before. Called once. Returns 0 or a negative errno.
int tz_native_catch_exceptions(const void *_Nonnull begin, const void *_Nonnull end, const void *_Nonnull simd_exit,
                               const void *_Nonnull x87_exit);

#endif

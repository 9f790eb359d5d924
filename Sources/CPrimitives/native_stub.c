// The SIGFPE handler behind native stubs. It only changes where the interrupted thread goes on, which is
// async-signal-safe; the stub's exit finds MXCSR as the exception left it, its destination unwritten.
#define _GNU_SOURCE
#include "native_stub.h"
#include "host_signals.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

enum { SIMD_EXCEPTION = 19 };

// Written once, before the handler is installed.
static uintptr_t code_begin, code_end, simd_exit_address, x87_exit_address;
static struct sigaction previous;

static void handle(int signal_number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t address = (uintptr_t)registers[REG_RIP];
    if (address < code_begin || address >= code_end) {
        tz_chain_signal(&previous, signal_number, info, context);
        return;
    }
    registers[REG_RIP] = (greg_t)(registers[REG_TRAPNO] == SIMD_EXCEPTION ? simd_exit_address : x87_exit_address);
}

int tz_native_catch_exceptions(const void *begin, const void *end, const void *simd_exit, const void *x87_exit) {
    code_begin = (uintptr_t)begin;
    code_end = (uintptr_t)end;
    simd_exit_address = (uintptr_t)simd_exit;
    x87_exit_address = (uintptr_t)x87_exit;
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGFPE, &action, &previous) == 0 ? 0 : -errno;
}

// host-executor: runs single user-mode instructions on the host CPU for the differential tests. It reads batches of
// cases from standard input (a 64-bit count, then the cases) and writes their outcomes to standard output. It is a
// process of its own since what it runs is random: an instruction ends by INT3 or by its own exception, as a signal.
#define _GNU_SOURCE
#include "host_cases.h"

#include <asm/prctl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/ucontext.h>
#include <unistd.h>

static uint8_t *code;  // a writable view of the code area, which itself is not writable
static uint8_t *const data = (uint8_t *)(uintptr_t)TZ_HOST_DATA;
static uint8_t clean[TZ_HOST_DATA_SIZE];
static tz_host_outcome *current;

// Used by the assembly below.
uint64_t host_stack __attribute__((visibility("hidden")));
struct {
    uint32_t offset;
    uint16_t selector;
} __attribute__((packed)) host_target __attribute__((aligned(8), visibility("hidden")));

uint8_t host_xsave[TZ_HOST_XSAVE] __attribute__((aligned(64), visibility("hidden")));

void host_enter(const tz_host_case *c);
void host_leave(void);
void host_ended(int signal, siginfo_t *info, void *context);

// Loads flags and general registers from the case and jumps to it through a far pointer, which also chooses between
// 64-bit and compatibility mode. The signal handler comes back to host_leave with the stack pointer of host_enter.
// Linux leaves AC as the case had it when it calls a signal handler: host_ended clears it before any C code.
__asm__(
    ".text\n"
    "host_enter:\n"
    "  push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
    "  mov %rsp, host_stack(%rip)\n"
    "  mov $7, %eax; xor %edx, %edx; xrstor64 host_xsave(%rip)\n"
    "  push 136(%rdi); popfq\n"
    "  mov 0(%rdi), %rax; mov 8(%rdi), %rcx; mov 16(%rdi), %rdx; mov 24(%rdi), %rbx\n"
    "  mov 32(%rdi), %rsp; mov 40(%rdi), %rbp; mov 48(%rdi), %rsi\n"
    "  mov 64(%rdi), %r8; mov 72(%rdi), %r9; mov 80(%rdi), %r10; mov 88(%rdi), %r11\n"
    "  mov 96(%rdi), %r12; mov 104(%rdi), %r13; mov 112(%rdi), %r14; mov 120(%rdi), %r15\n"
    "  mov 56(%rdi), %rdi\n"
    "  ljmp *host_target(%rip)\n"
    "host_leave:\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
    "  ret\n"
    "host_ended:\n"
    "  pushfq; andq $-0x40001, (%rsp); popfq\n"
    "  jmp ended\n");

enum { USER_CS = 0x33, USER32_CS = 0x23, USER_DS = 0x2b };

// A system call that touches no thread-local storage: FS is the case's.
static void set_base(int which, uint64_t base) {
    long result = SYS_arch_prctl;
    __asm__ volatile("syscall" : "+a"(result) : "D"((long)which), "S"(base) : "rcx", "r11", "memory");
}

static uint64_t get_base(int which) {
    uint64_t base = 0;
    set_base(which, (uint64_t)(uintptr_t)&base);
    return base;
}

static uint64_t own_fs_base;

// Segment registers as the case left them, then as C code needs them.
static void take_segments(tz_host_outcome *outcome) {
    uint16_t es, ds, fs, gs;
    __asm__ volatile("mov %%es, %0; mov %%ds, %1; mov %%fs, %2; mov %%gs, %3" : "=r"(es), "=r"(ds), "=r"(fs), "=r"(gs));
    uint64_t fs_base = get_base(ARCH_GET_FS), gs_base = get_base(ARCH_GET_GS);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%fs; mov %1, %%gs" : : "r"(0x2b), "r"(0));
    set_base(ARCH_SET_FS, own_fs_base);
    outcome->selectors[TZ_HOST_ES] = es;
    outcome->selectors[TZ_HOST_DS] = ds;
    outcome->selectors[TZ_HOST_FS] = fs;
    outcome->selectors[TZ_HOST_GS] = gs;
    outcome->fs_base = fs_base;
    outcome->gs_base = gs_base;
}

// The state that the kernel saved with the signal, an XSAVE area, and that it will load again.
static void take_vectors(tz_host_outcome *outcome, uint8_t *image) {
    memcpy(outcome->xsave, image, TZ_HOST_XSAVE);
    uint64_t in_use;
    memcpy(&in_use, image + 512, 8);
    if (!(in_use & 2)) memset(outcome->xsave + 160, 0, 256);
    if (!(in_use & 4)) memset(outcome->xsave + 576, 0, 256);
    static const uint8_t initial[] = {0x7f, 3, 0, 0, 0, 0, 0, 0};
    static const uint32_t mxcsr = 0x1f80;
    memcpy(image, initial, sizeof initial);
    memcpy(image + 24, &mxcsr, 4);
}

__attribute__((used, visibility("hidden"))) void ended(int signal, siginfo_t *info, void *context);

void ended(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    greg_t *r = ((ucontext_t *)context)->uc_mcontext.gregs;
    static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    if (!current) _exit(3);  // not an instruction under test
    take_segments(current);
    take_vectors(current, (uint8_t *)((ucontext_t *)context)->uc_mcontext.fpregs);
    current->selectors[TZ_HOST_CS] = (uint16_t)r[REG_CSGSFS];
    current->selectors[TZ_HOST_SS] = (uint16_t)((uint64_t)r[REG_CSGSFS] >> 48);
    for (int i = 0; i < 16; i++) current->gpr[i] = (uint64_t)r[order[i]];
    current->rip = (uint64_t)r[REG_RIP];
    current->flags = (uint64_t)r[REG_EFL];
    current->vector = (uint64_t)r[REG_TRAPNO];
    current->error = (uint64_t)r[REG_ERR];
    current->address = (uint64_t)r[REG_CR2];
    current = NULL;
    r[REG_RIP] = (greg_t)(uintptr_t)host_leave;
    r[REG_RSP] = (greg_t)host_stack;
    r[REG_EFL] = 0x202;
    r[REG_CSGSFS] = (greg_t)((uint64_t)USER_DS << 48 | USER_CS);
}

static bool transfer(bool reading, void *buffer, size_t size) {
    char *p = buffer;
    while (size > 0) {
        ssize_t done = reading ? read(0, p, size) : write(1, p, size);
        if (done <= 0) return false;
        p += done;
        size -= (size_t)done;
    }
    return true;
}

static void prepare(void) {
    int file = memfd_create("code", MFD_CLOEXEC);
    void *executable = (void *)(uintptr_t)TZ_HOST_CODE;
    if (file < 0 || ftruncate(file, TZ_HOST_CODE_SIZE)) _exit(4);
    code = mmap(NULL, TZ_HOST_CODE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    int fixed = MAP_FIXED_NOREPLACE;
    if (code == MAP_FAILED) _exit(4);
    if (mmap(executable, TZ_HOST_CODE_SIZE, PROT_READ | PROT_EXEC, MAP_SHARED | fixed, file, 0) != executable) _exit(4);
    fixed |= MAP_PRIVATE | MAP_ANONYMOUS;
    if (mmap(data, TZ_HOST_DATA_SIZE, PROT_READ | PROT_WRITE, fixed, -1, 0) != data) _exit(4);
    memset(code, 0xcc, TZ_HOST_CODE_SIZE);
    tz_host_fill(data);
    tz_host_fill(clean);
    if (mprotect(data + TZ_HOST_DATA_WRITABLE, TZ_HOST_DATA_SIZE - TZ_HOST_DATA_WRITABLE, PROT_READ)) _exit(4);
    own_fs_base = get_base(ARCH_GET_FS);
    // Compatibility mode needs usable data segments.
    __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(USER_DS));
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct sigaction action = {.sa_sigaction = host_ended, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++) sigaction(signals[i], &action, NULL);
}

static void run(const tz_host_case *c, tz_host_outcome *outcome) {
    memset(outcome, 0, sizeof *outcome);
    memcpy(code + (c->rip - TZ_HOST_CODE), c->code, c->code_length);
    tz_host_poke_all(data, c);
    host_target.offset = (uint32_t)c->rip;
    host_target.selector = c->compatibility ? USER32_CS : USER_CS;
    memcpy(host_xsave, c->xsave, TZ_HOST_XSAVE);
    current = outcome;
    set_base(ARCH_SET_GS, TZ_HOST_GS_BASE);
    set_base(ARCH_SET_FS, TZ_HOST_FS_BASE);
    host_enter(c);
    memset(code + (c->rip - TZ_HOST_CODE), 0xcc, c->code_length);
    tz_host_compare(data, clean, c, outcome);
    tz_host_restore(data, clean, c, outcome);
}

int main(void) {
    prepare();
    uint64_t count;
    while (transfer(true, &count, sizeof count)) {
        tz_host_case *cases = calloc(count, sizeof *cases);
        tz_host_outcome *outcomes = calloc(count, sizeof *outcomes);
        if (!cases || !outcomes || !transfer(true, cases, count * sizeof *cases)) return 1;
        for (uint64_t i = 0; i < count; i++) run(&cases[i], &outcomes[i]);
        if (!transfer(false, outcomes, count * sizeof *outcomes)) return 1;
        free(cases);
        free(outcomes);
    }
    return 0;
}

// Raw mode and the signals that may end, stop or continue the process while it lasts.
#define _GNU_SOURCE
#include "CTerminal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

// Written by `tz_terminal_enter_raw` before `wanted` is set, constant after.
static int terminal = -1;
static struct termios original, raw;
// Raw mode is asked for; it holds whenever the process is in the foreground.
static atomic_int wanted;
// The terminal is in raw mode.
static atomic_int entered;

static atomic_int report_to = -1;
static atomic_int ending;

static const int end_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS};
static struct sigaction before_crash[NSIG];

// tcsetattr in a background process would stop it (SIGTTOU), and change another's terminal.
// A terminal that isn't the process's controlling one knows no background, and does neither.
static int in_foreground(void) {
    pid_t group = tcgetpgrp(terminal);
    return group == getpgrp() || (group < 0 && errno == ENOTTY);
}

static void go_raw(void) {
    if (!atomic_load(&wanted) || !in_foreground()) return;
    // Noted first: a signal may end the process as soon as the mode is changed.
    atomic_store(&entered, 1);
    if (tcsetattr(terminal, TCSANOW, &raw) != 0) atomic_store(&entered, 0);
}

static void leave_raw(void) {
    if (!atomic_exchange(&entered, 0)) return;
    if (in_foreground()) tcsetattr(terminal, TCSANOW, &original);
}

int tz_terminal_enter_raw(int descriptor) {
    terminal = descriptor;
    if (tcgetattr(terminal, &original) != 0) return errno;
    raw = original;
    cfmakeraw(&raw);
    atomic_store(&wanted, 1);
    go_raw();
    return 0;
}

int tz_terminal_is_raw(void) { return atomic_load(&entered); }

void tz_terminal_restore(void) {
    atomic_store(&wanted, 0);
    leave_raw();
}

static void set_handler(int number, void (*handler)(int, siginfo_t *, void *), struct sigaction *before) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK | SA_NODEFER;
    sigaction(number, &action, before);
}

static void set_default(int number) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, NULL);
}

_Noreturn void tz_signals_end_by(int number) {
    tz_terminal_restore();
    set_default(number);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(number);
    _exit(128 + number);  // the default action of every signal used here ends the process
}

static void on_end(int number, siginfo_t *info, void *context) {
    (void)info, (void)context;
    int saved = errno;
    int pipe = atomic_load(&report_to);
    if (pipe < 0 || atomic_exchange(&ending, 1)) tz_signals_end_by(number);
    unsigned char byte = (unsigned char)number;
    if (write(pipe, &byte, 1) != 1) tz_signals_end_by(number);
    errno = saved;
}

static void on_crash(int number, siginfo_t *info, void *context) {
    (void)context;
    tz_terminal_restore();
    sigaction(number, &before_crash[number], NULL);
    // A fault comes again when its instruction does, with all its particulars; a signal that was sent does not.
    if (info->si_code <= 0) raise(number);
}

static void on_stop(int number, siginfo_t *info, void *context) {
    (void)info, (void)context;
    int saved = errno;
    leave_raw();
    set_default(number);
    raise(number);  // the process stops here, and goes on here when it is continued
    set_handler(number, on_stop, NULL);
    go_raw();
    errno = saved;
}

static void on_continue(int number, siginfo_t *info, void *context) {
    (void)number, (void)info, (void)context;
    int saved = errno;
    go_raw();
    errno = saved;
}

void tz_signals_report_to(int descriptor) { atomic_store(&report_to, descriptor); }

void tz_signals_install(void) {
    // A signal that the parent had ignored (nohup) stays ignored.
    for (size_t i = 0; i < sizeof end_signals / sizeof *end_signals; i++) {
        struct sigaction before;
        sigaction(end_signals[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) set_handler(end_signals[i], on_end, NULL);
    }
    // Swift's runtime has handlers that hold a crashed process on a terminal until a key is pressed. They get the
    // signal only if someone asked for them.
    int backtraces = getenv("SWIFT_BACKTRACE") != NULL;
    for (size_t i = 0; i < sizeof crash_signals / sizeof *crash_signals; i++) {
        if (!backtraces) set_default(crash_signals[i]);
        set_handler(crash_signals[i], on_crash, &before_crash[crash_signals[i]]);
    }
    struct sigaction before;
    sigaction(SIGTSTP, NULL, &before);
    if (before.sa_handler != SIG_IGN) set_handler(SIGTSTP, on_stop, NULL);
    set_handler(SIGCONT, on_continue, NULL);
    // A closed pipe is reported where it is written to.
    signal(SIGPIPE, SIG_IGN);
    atexit(tz_terminal_restore);
}

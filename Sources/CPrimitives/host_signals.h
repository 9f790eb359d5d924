// Handing a signal on to whoever handled it before.
#ifndef TRAPEZE_HOST_SIGNALS_H
#define TRAPEZE_HOST_SIGNALS_H

#include <signal.h>

static inline void tz_chain_signal(const struct sigaction *previous, int number, siginfo_t *info, void *context) {
    if (previous->sa_flags & SA_SIGINFO) {
        previous->sa_sigaction(number, info, context);
    } else if (previous->sa_handler == SIG_DFL || previous->sa_handler == SIG_IGN) {
        // A hardware exception can't be ignored: with the default action back, the instruction repeats and ends the
        // process as if there were no handler.
        signal(number, SIG_DFL);
    } else {
        previous->sa_handler(number);
    }
}

#endif

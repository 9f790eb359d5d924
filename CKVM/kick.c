// The kick signal.
#define _GNU_SOURCE
#include "CKVM.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int claimed;

static void nothing(int signal) { (void)signal; }

// A signal that is neither handled nor ignored by anybody.
static int claim(void) {
    for (int signal = SIGRTMIN + 4; signal <= SIGRTMAX; signal++) {
        struct sigaction old;
        if (sigaction(signal, NULL, &old) != 0) return -errno;
        if ((old.sa_flags & SA_SIGINFO) != 0 || old.sa_handler != SIG_DFL) continue;
        // Without SA_RESTART: KVM_RUN has to come back.
        struct sigaction action = {.sa_handler = nothing};
        sigemptyset(&action.sa_mask);
        return sigaction(signal, &action, NULL) != 0 ? -errno : signal;
    }
    return -EBUSY;
}

int ckvm_prepare_kicks(void) {
    pthread_mutex_lock(&lock);
    if (claimed <= 0) claimed = claim();
    int signal = claimed;
    pthread_mutex_unlock(&lock);
    if (signal <= 0) return signal;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    int error = pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return error != 0 ? -error : signal;
}

int ckvm_thread(void) { return (int)syscall(SYS_gettid); }

void ckvm_kick_thread(int thread, int signal) { syscall(SYS_tgkill, getpid(), thread, signal); }

// The signal that takes a thread out of KVM_RUN. Its handler does nothing: that it comes is enough.
#ifndef TRAPEZE_CKVM_KICK_H
#define TRAPEZE_CKVM_KICK_H

/// Claims a real-time signal that nobody uses, once for the process; its number, or -errno. The calling thread takes it from
/// then on.
int ckvm_prepare_kicks(void);
/// The calling thread's number.
int ckvm_thread(void);
/// Sends that signal to a thread of this process. One that is gone is no error.
void ckvm_kick_thread(int thread, int signal);

#endif

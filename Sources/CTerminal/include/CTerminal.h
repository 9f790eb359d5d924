// The user's terminal in raw mode, given back on every way out of the process.
//
// In C because it works inside signal handlers, where Swift may not run: only async-signal-safe functions are called
// (signal-safety(7)), on state that was set up before the handlers were installed. One terminal for the process.
#ifndef CTERMINAL_H
#define CTERMINAL_H

// Installs the handlers. Call once, first thing in `main`, before anything else handles signals: whoever handles a
// synchronous signal (SIGSEGV, SIGFPE, ...) for its own ends installs its handler later and chains to these.
void tz_signals_install(void);

// From now on SIGINT, SIGTERM, SIGHUP and SIGQUIT put their number, one byte, into `descriptor` (a pipe's write end)
// for an orderly end; a second one ends the process at once. -1 goes back to ending the process at once.
void tz_signals_report_to(int descriptor);

// Ends the process by signal `number` with its default action, as the process's parent expects to see it.
_Noreturn void tz_signals_end_by(int number);

// Puts the terminal `descriptor` into raw mode: every key goes to the reader as it is, output is left as it is. In a
// background process the terminal is left alone until the process is continued in the foreground. 0, or an errno.
int tz_terminal_enter_raw(int descriptor);

// Whether the terminal is in raw mode now.
int tz_terminal_is_raw(void);

// Gives the terminal back as it was found. Any thread, any number of times, in signal handlers too.
void tz_terminal_restore(void);

#endif

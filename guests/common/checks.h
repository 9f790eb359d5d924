// Self-checking guests: a line for each check, and a count at the end.

#ifndef CHECKS_H
#define CHECKS_H

#include "cpu.h"

// Prints `ok` or `FAILED` and the check's name.
void check(const char *name, bool passed);

// The same for a value; if it is wrong, both are printed.
void check_value(const char *name, uint64_t value, uint64_t expected);

// For what cannot be checked because CPUID does not offer it.
void not_offered(const char *name);

// Whether this is QEMU's TCG. For the few checks that it does not survive.
bool is_tcg(void);

// Prints how many checks failed. Returns the status for the exit port: 0 if none did, else 1.
int report_checks(void);

#endif

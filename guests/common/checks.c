// Self-checking guests: see checks.h.

#include "checks.h"

#include "console.h"

static unsigned failed;

void check(const char *name, bool passed) {
    say("%-6s  %s\n", passed ? "ok" : "FAILED", name);
    failed += !passed;
}

void check_value(const char *name, uint64_t value, uint64_t expected) {
    check(name, value == expected);
    if (value != expected) say("        %llx instead of %llx\n", (unsigned long long)value, (unsigned long long)expected);
}

void not_offered(const char *name) { say("n/a     %s\n", name); }

bool is_tcg(void) {
    struct cpuid signature = cpuid(0x40000000, 0);
    return signature.ebx == 0x54474354;     // "TCGT", of "TCGTCGTCGTCG"
}

int report_checks(void) {
    say("%u failed\n", failed);
    return failed != 0;
}

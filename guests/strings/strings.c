// strings: MOVS, STOS, LODS, CMPS, SCAS, INS and OUTS, alone and repeated (Intel SDM volume 2, REP).

#include "strings.h"

#include "console.h"
#include "traps.h"

void check_registers(const char *name, const struct registers *r, uint64_t cx, uint64_t si, uint64_t di) {
    bool passed = r->cx == cx && r->si == si && r->di == di;
    check(name, passed);
    if (!passed) {
        say("        RCX %llx, RSI %llx, RDI %llx\n", (unsigned long long)r->cx, (unsigned long long)r->si,
            (unsigned long long)r->di);
        say("        instead of %llx, %llx, %llx\n", (unsigned long long)cx, (unsigned long long)si,
            (unsigned long long)di);
    }
}

int main(void) {
    open_console();
    install_traps();
    check_results();
    check_faults();
    return report_checks();
}

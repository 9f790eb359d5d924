// exceptions: every exception of 64-bit mode, with its vector, error code, saved RIP, RF and CR2.
//
// The expected values are those of the Intel SDM, volume 3, chapter 6. QEMU's TCG 7.2 differs in what the comments of
// the single checks say.

#include "exceptions.h"

#include "checks.h"
#include "console.h"
#include "probe.h"

int main(void) {
    open_console();
    install_traps();
    check_instructions();
    check_debug();
    check_segments();
    check_pages();
    check_ring3();
    check_resume_flags();
    return report_checks();
}

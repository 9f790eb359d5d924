// hostile: does what no guest should, and shows that it can harm only itself. That a line is printed means that the
// machine went on; what the accesses of a machine that is not there return is looked at only where a manual says it.
//
// What would end the run is left out on purpose: see `is_spared` in ports.c and what memory.c says of the APICs.

#include "hostile.h"

#include "console.h"

extern const uint8_t image_start[];

uint32_t draw(void) {
    static uint64_t state = 0x2545f4914f6cdd1d;
    state = state * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(state >> 32);
}

// A checksum of this guest's code, which nothing may change.
static uint32_t sum_code(void) {
    uint32_t sum = 0;
    for (const uint8_t *byte = image_start; byte < (const uint8_t *)draw; byte++) sum = sum * 31 + *byte;
    return sum;
}

int main(void) {
    open_console();
    install_traps();
    uint32_t before = sum_code();
    attack_ports();
    open_console();
    check("every port was read and written, in three widths", true);
    attack_memory();
    attack_tables();
    attack_registers();
    attack_decoder();
    check_value("the guest's own code is unchanged", sum_code(), before);
    return report_checks();
}

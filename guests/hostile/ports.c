// hostile: every I/O port, with random values.

#include "hostile.h"

// Ports whose very purpose is to end or stop the run, or to change where RAM is, or to print.
static bool is_spared(unsigned port) {
    switch (port) {
    case 0x60:              // 8042 data: the output port holds the reset line and A20
    case PORT_KEYBOARD:     // 8042 command: reset
    case 0x92:              // system control port A: reset, A20
    case 0xb2:              // APM: a system management interrupt, where there is such a thing
    case PORT_COM1:         // its data: what is printed is compared
    case PORT_DEBUG:
    case PORT_EXIT:
    case PORT_EXIT + 1:     // isa-debug-exit has four ports
    case PORT_EXIT + 2:
    case PORT_EXIT + 3:
    case PORT_PVPANIC:
    case PORT_PM1A_CNT:
    case PORT_PM1A_CNT + 1:
    case PORT_RESET:
        return true;
    default:
        return false;
    }
}

static bool is_any_spared(unsigned port, unsigned width) {
    for (unsigned i = 0; i < width; i++) {
        if (is_spared((port + i) & 0xffff)) return true;
    }
    return false;
}

void attack_ports(void) {
    for (unsigned port = 0; port < 0x10000; port++) {
        uint16_t at = (uint16_t)port;
        uint32_t value = draw();
        if (is_any_spared(port, 1)) continue;
        (void)in8(at);
        out8(at, (uint8_t)value);
        if (is_any_spared(port, 2)) continue;
        if (is_tcg() && (port & 0xfff8) == PORT_COM1) continue;     // QEMU stops itself there
        __asm__ volatile("inw %w0, %%ax" : : "d"(port) : "eax");
        out16(at, (uint16_t)value);
        if (is_any_spared(port, 4)) continue;
        __asm__ volatile("inl %w0, %%eax" : : "d"(port) : "eax");
        out32(at, value);
    }
}

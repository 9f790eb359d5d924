// panic: tells the host, as a kernel's panic handler does that knows pvpanic (QEMU, docs/specs/pvpanic).

#include "machine.h"

        .section .text32, "ax"
        .code32
        .globl  start32
start32:
        mov     $PORT_PVPANIC, %edx
        mov     $1, %al                 // bit 0: panicked
        out     %al, %dx
1:      hlt
        jmp     1b

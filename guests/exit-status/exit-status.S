// exit-status: the shortest guest that ends by itself.

#include "machine.h"

        .section .text32, "ax"
        .code32
        .globl  start32
start32:
        mov     $42, %eax
        out     %al, $PORT_EXIT
1:      hlt
        jmp     1b

// reset: pulses line 0 of the keyboard controller's output port, which is wired to the CPU's reset.

#include "machine.h"

        .section .text32, "ax"
        .code32
        .globl  start32
start32:
1:      in      $PORT_KEYBOARD, %al
        test    $2, %al                 // the controller is still busy with its input buffer
        jnz     1b
        mov     $0xfe, %al
        out     %al, $PORT_KEYBOARD
2:      hlt
        jmp     2b

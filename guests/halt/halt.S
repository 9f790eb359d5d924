// halt: nothing can wake this CPU but NMI, INIT or RESET (Intel SDM volume 2, HLT).
//
// A flat binary of four bytes that mean the same in every mode. An NMI returns behind the HLT, so it halts again.

        .code16
        .section .text.entry, "ax"
        .globl  entry
entry:
        cli
1:      hlt
        jmp     1b

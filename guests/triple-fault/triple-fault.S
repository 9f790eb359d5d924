// triple-fault: no gate for #BP, so #GP; no gate for that, so #DF; no gate for that, so shutdown
// (Intel SDM volume 3, 6.15 "Interrupt 8").

        .section .text32, "ax"
        .code32
        .globl  start32
start32:
        lidt    no_idt
        int3
1:      hlt
        jmp     1b

        .section .rodata, "a"
no_idt: .word   0
        .long   0

// segments: 32-bit protected mode without paging: the GDT, the vectors, and `main`.

#include "machine.h"
#include "selectors.h"

        .section .text32, "ax"
        .code32
        .globl  start32
start32:
        mov     $stack_top, %esp
        lgdt    gdt_register
        ljmp    $CODE, $1f
1:      mov     $DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        lldt    %ax
        mov     $idt, %edi              // 256 interrupt gates
        mov     $stubs, %eax
        mov     $256, %ecx
2:      mov     %ax, (%edi)
        movw    $CODE, 2(%edi)
        movw    $0x8e00, 4(%edi)
        mov     %eax, %edx
        shr     $16, %edx
        mov     %dx, 6(%edi)
        add     $16, %eax
        add     $8, %edi
        loop    2b
        movb    $0xee, idt + 0x80 * 8 + 5       // DPL 3
        lidt    idt_register
        call    main
        out     %al, $PORT_EXIT
3:      hlt
        jmp     3b

        .balign 16
stubs:  .set    vector, 0
        .rept   256
        .balign 16
        .if     !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
        push    $0
        .endif
        push    $vector
        jmp     enter_handler
        .set    vector, vector + 1
        .endr

        // The trap is noted in C and then left where the probe wants: there is no return to what was interrupted.
enter_handler:
        pushal
        push    %gs
        push    %fs
        push    %es
        push    %ds
        cld
        mov     $DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %esp, %eax
        push    %eax
        call    note_trap
        push    $2
        popf
        mov     $DATA, %eax
        mov     %eax, %ss
        mov     probe_stack, %esp
        jmp     *%cs:probe_resume

        .data
        .balign 8
        .globl  gdt, gdt_register, idt
gdt:    .quad   0
        .quad   0x00cf9b000000ffff
        .quad   0x00cf93000000ffff
        .quad   0x00cffb000000ffff
        .quad   0x00cff3000000ffff
        .fill   16, 8, 0
gdt_end:
gdt_register:
        .word   gdt_end - gdt - 1
        .long   gdt
idt_register:
        .word   256 * 8 - 1
        .long   idt

        .bss
        .balign 16
idt:    .skip   256 * 8
        .skip   16384
        .globl  stack_top
stack_top:
        .globl  probe_stack, probe_resume
probe_stack:
        .skip   4
probe_resume:
        .skip   4

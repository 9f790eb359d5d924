// segments: the procedures that checks call or jump to.

#include "selectors.h"

        .text
        .code32

        // Runs in a segment whose limit ends behind the fourth byte.
        .globl  short_code
short_code:
        nop
        nop
        nop
        nop
        nop

        .globl  conforming_code
conforming_code:
        int     $0x80

        // Behind a call gate with two parameters: notes what it finds, and makes ES a segment of the kernel's.
        .globl  gate_target
gate_target:
        push    %ds
        push    %eax
        push    %ecx
        push    %esi
        push    %edi
        mov     $DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        lea     20(%esp), %esi
        mov     $gate_record, %edi
        mov     %esi, 32(%edi)
        mov     %cs, %eax
        mov     %eax, 24(%edi)
        mov     %ss, %eax
        mov     %eax, 28(%edi)
        mov     $6, %ecx
        cld
        rep movsl
        pop     %edi
        pop     %esi
        pop     %ecx
        pop     %eax
        pop     %ds
        lret    $8

        .globl  gate_target_same_ring
gate_target_same_ring:
        lret

        // 16-bit code: the same bytes mean other operand sizes. Called far, from 32-bit code.
        .globl  code16, code16_end
        .code16
code16: mov     $0x1234, %ax
        movl    $0x56789abc, %ecx
        push    %ax
        pop     %bx
        lretl
code16_end:

        // Virtual-8086 mode: a store by DS, then HLT, which traps.
        .globl  v86_code, v86_trap
v86_code:
        mov     $0x8642, %ax
        mov     %ax, (0x10)
        movw    %cs, %bx
v86_trap:
        hlt

        // A task of its own: changes its registers, and returns by IRET each time.
        .globl  task_entry
        .code32
task_entry:
        mov     %cr0, %ebx
        pushf
        pop     %ecx
        str     %edx
        add     $1, %eax
        iretl
        add     $0x10, %eax
        iretl
        jmp     task_entry

        .bss
        .balign 4
        .globl  gate_record
gate_record:
        .skip   36

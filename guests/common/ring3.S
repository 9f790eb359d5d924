// Going to ring 3 by IRETQ, and coming back by leaving a trap on the stack of the TSS behind: see ring3.h.

#include "machine.h"

        .text
        .globl  call_user
call_user:
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     %rsp, kernel_rsp
        push    $(SEL_USER | 3)
        push    %rsi
        push    %rcx
        push    $(SEL_USER64 | 3)
        push    %rdi
        mov     %rdx, %rdi
        iretq

        .globl  leave_user
leave_user:
        mov     kernel_rsp, %rsp
        mov     %rdi, %rax
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

        .bss
        .balign 8
kernel_rsp:
        .skip   8

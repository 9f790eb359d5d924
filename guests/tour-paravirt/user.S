// tour-paravirt: a hypercall with either vendor's instruction, and one from ring 3.

        // int64_t vmcall(uint64_t number, uint64_t arguments[4]), and vmmcall.
        .macro  hypercall name instruction
        .globl  \name
\name:  push    %rbx
        mov     %rdi, %rax
        mov     %rsi, %r8
        mov     (%r8), %rbx
        mov     8(%r8), %rcx
        mov     16(%r8), %rdx
        mov     24(%r8), %rsi
        \instruction
        pop     %rbx
        ret
        .endm

        .text
        hypercall call_intel vmcall
        hypercall call_amd vmmcall

        // The argument in RDI says which; the answer is handed over in RDI.
        .section .user, "ax"
        .balign 4096
        .globl  user_program
user_program:
        mov     $5, %eax                // KICK_CPU
        xor     %ebx, %ebx
        xor     %ecx, %ecx
        test    %edi, %edi
        jz      1f
        vmmcall
        jmp     2f
1:      vmcall
2:      mov     %rax, %rdi
        int     $0x80

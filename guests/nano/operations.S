// nano: the loops that are timed, and the handlers that they enter. In each round, eight operations: see nano.h.
//
// The handlers of faults count in R15, which nothing else in a loop touches.

#include "machine.h"

        .macro  routine name
        .globl  \name
        .balign 64
\name:
        .endm

        .text
        // The sum of what was read.
        routine read_scratch
        mov     %esi, %edx
        xor     %r8d, %r8d
        xor     %eax, %eax
1:      .rept   8
        in      %dx, %al
        add     %rax, %r8
        .endr
        dec     %rdi
        jnz     1b
        mov     %r8, %rax
        ret

        // The last value that is written is 1.
        routine write_scratch
        mov     %esi, %edx
1:      mov     $8, %eax
        .rept   8
        out     %al, %dx
        dec     %eax
        .endr
        dec     %rdi
        jnz     1b
        ret

        // The last value that is written is 8.
        routine write_cr8_values
1:      .set    value, 1
        .rept   8
        mov     $value, %eax
        mov     %rax, %cr8
        .set    value, value + 1
        .endr
        dec     %rdi
        jnz     1b
        ret

        // How often the function was called.
        routine call_and_return
        xor     %eax, %eax
1:      .rept   8
        call    2f
        .endr
        dec     %rdi
        jnz     1b
        ret
        .balign 16
2:      inc     %rax
        ret

        // The sum of the answers' EAX for leaf 0.
        routine ask_cpuid
        push    %rbx
        xor     %r8d, %r8d
1:      .rept   8
        xor     %eax, %eax
        xor     %ecx, %ecx
        cpuid
        add     %rax, %r8
        .endr
        dec     %rdi
        jnz     1b
        mov     %r8, %rax
        pop     %rbx
        ret

        // The sum of what was read.
        routine read_device
        xor     %eax, %eax
1:      .rept   8
        mov     (%rsi), %ecx
        add     %rcx, %rax
        .endr
        dec     %rdi
        jnz     1b
        ret

        // How many #DE were taken.
        routine divide_by_zero
        push    %r15
        xor     %r15d, %r15d
        xor     %ecx, %ecx
        mov     $1, %eax
        xor     %edx, %edx
1:      .rept   8
        div     %ecx                    // 2 bytes
        .endr
        dec     %rdi
        jnz     1b
        mov     %r15, %rax
        pop     %r15
        ret

        routine count_division
        inc     %r15
        addq    $2, (%rsp)
        iretq

        // How many #PF were taken.
        routine touch_absent
        push    %r14
        push    %r15
        xor     %r14d, %r14d
        xor     %r15d, %r15d
1:      .rept   8
        mov     (%rsi), %eax            // 2 bytes
        .endr
        dec     %rdi
        jnz     1b
        mov     %r14, page_fault_errors
        mov     %r15, %rax
        pop     %r15
        pop     %r14
        ret

        routine count_page_fault
        or      (%rsp), %r14            // error codes
        add     $8, %rsp
        inc     %r15
        addq    $2, (%rsp)
        iretq

        routine write_same_cr3
        mov     %cr3, %rax
1:      .rept   8
        mov     %rax, %cr3
        .endr
        dec     %rdi
        jnz     1b
        ret

        // Eight switches between two address spaces, each of which is looked at. The sum of what was seen.
        routine switch_spaces
        xor     %eax, %eax
1:      .rept   4
        mov     %rdx, %cr3
        add     (%rcx), %rax
        mov     %rsi, %cr3
        add     (%rcx), %rax
        .endr
        dec     %rdi
        jnz     1b
        ret

        // Eight changes of a page table entry, each with INVLPG and a look through it. The sum of what was seen.
        routine modify_entry
        xor     %eax, %eax
1:      .rept   8
        xor     %rdx, (%rsi)
        invlpg  (%rcx)
        add     (%rcx), %rax
        .endr
        dec     %rdi
        jnz     1b
        ret

        routine count_interrupt
        incq    interrupts_taken
        push    %rax
        mov     $(LAPIC_BASE + 0xb0), %eax
        movl    $0, (%rax)              // EOI
        pop     %rax
        iretq

        // SYSCALL leaves RIP in RCX, RFLAGS in R11, and RSP alone. The page is the supervisor's, so this is executed at
        // CPL 0 or not at all.
        routine syscall_entry
        inc     %r15
        sysretq

        // bool attempt(bool (*run)(uint64_t), uint64_t rounds)
        routine attempt
        push    %rbx
        push    %rbp
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        sub     $8, %rsp
        mov     %rsp, attempt_stack
        mov     %rdi, %rax
        mov     %rsi, %rdi
        call    *%rax
1:      add     $8, %rsp
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %rbp
        pop     %rbx
        ret

        routine abandon
        mov     attempt_stack, %rsp
        xor     %eax, %eax
        jmp     1b

        // Ring 3: the argument in RDI is the number of rounds; the count is left in R15.
        .section .user, "ax"
        .balign 4096
        .globl  user_syscalls
user_syscalls:
        xor     %r15d, %r15d
1:      .rept   8
        syscall
        .endr
        dec     %rdi
        jnz     1b
        int     $0x80

        .bss
        .balign 8
        .globl  interrupts_taken, page_fault_errors
interrupts_taken:       .skip 8
page_fault_errors:      .skip 8
attempt_stack:          .skip 8

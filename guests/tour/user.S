// tour: the program that runs in ring 3, and the kernel's SYSCALL entry.

        // Mapped for the user at an address of its own, so it is position-independent.
        .section .user, "ax"
        .balign 4096
        .globl  user_program
user_program:
        hlt                             // #GP; the kernel steps over it

        mov     %rdi, %rbx              // argument: whether SYSCALL is offered
        pushf
        orq     $0x200, (%rsp)
        popf                            // IF is not changed: CPL > IOPL
        pushf
        pop     %rdi
        mov     $1, %eax                // CALL_FLAGS
        int     $0x80

        xor     %edi, %edi
        test    %ebx, %ebx
        jz      1f
        mov     $42, %edi
        syscall
        mov     %rax, %rdi
1:      mov     $2, %eax                // CALL_EXIT
        int     $0x80

        // SYSCALL leaves RIP in RCX, RFLAGS in R11, and RSP alone (Intel SDM volume 2, SYSCALL).
        .text
        .globl  syscall_entry
syscall_entry:
        mov     %rsp, user_rsp
        mov     $syscall_stack_top, %rsp
        push    %rcx
        push    %r11
        call    answer_syscall
        pop     %r11
        pop     %rcx
        mov     user_rsp, %rsp
        sysretq

        .bss
        .balign 16
        .skip   1024
syscall_stack_top:
user_rsp:
        .skip   8

// exceptions: code for ring 3, one entry point for each probe. Mapped at another address: position-independent.

        .section .user, "ax"
        .balign 4096

        // `user_NAME` is the entry, `user_NAME_traps` the instruction that is under test.
        .macro  probe name
        .globl  user_\name, user_\name\()_traps
user_\name:
        .endm

        .macro  one name, text:vararg
        probe   \name
user_\name\()_traps:
        \text
        ud2
        .endm

        .macro  two name, setup, text:vararg
        probe   \name
        \setup
user_\name\()_traps:
        \text
        ud2
        .endm

        one     cli, cli
        one     hlt, hlt
        one     in, in $0x80, %al
        one     invlpg, invlpg (%rdi)
        one     mov_cr0, mov %cr0, %rax
        one     mov_dr7, mov %dr7, %rax
        one     clts, clts
        one     wbinvd, wbinvd
        one     lidt, lidt (%rsp)
        one     sgdt, sgdt -16(%rsp)
        one     rdmsr, rdmsr
        one     rdtsc, rdtsc
        one     int70, int $0x70
        one     int3, int3
        one     int80, int $0x80
        one     syscall, syscall
        one     read, mov (%rdi), %al
        one     write, movb $1, (%rdi)
        one     jump, jmp *%rdi
        two     ss_null, "xor %eax, %eax", mov %eax, %ss
        two     ds_kernel, "mov $0x10, %eax", mov %eax, %ds
        .macro  enable_ac
        pushf
        orl     $0x40000, (%rsp)
        popf
        .endm
        two     misaligned, enable_ac, mov 1(%rdi), %eax
        two     misaligned_store, enable_ac, mov %rax, 4(%rdi)

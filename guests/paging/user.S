// paging: code for ring 3, mapped at another address.

        .section .user, "ax"
        .balign 4096
        .globl  user_load, user_store, user_jump, user_fetch
user_load:
        mov     (%rdi), %al
        int     $0x80
user_store:
        movb    $1, (%rdi)
        int     $0x80
user_jump:
        jmp     *%rdi
user_fetch:
        int     $0x80

// integer-loop: 20 million rounds of five instructions, of which one loads and one stores.

        .text
        .globl  main
main:
        mov     $20000000, %ecx
        xor     %eax, %eax
1:      add     cell(%rip), %eax
        lea     (%rax, %rcx, 2), %edx
        mov     %edx, cell(%rip)
        dec     %ecx
        jnz     1b
        xor     %eax, %eax
        ret

        .bss
        .balign 8
cell:   .skip   8

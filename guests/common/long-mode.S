// From 32-bit protected mode to long mode (long-mode.h), then to `main`.
//
// `start32` is entered with paging off and flat segments. The first 4 GiB are mapped to themselves by 2 MiB pages,
// for the supervisor only. What `main` returns is written to the exit port.

#include "long-mode.h"

        .section .text32, "ax"
        .code32
        .globl  start32
start32:
        mov     $stack_top, %esp
        mov     %esp, %ebp

        // Four page directories of 512 pages of 2 MiB each map 0..4 GiB.
        mov     $page_directories, %edi
        mov     $(PTE_P | PTE_W | PTE_PS), %eax
        mov     $2048, %ecx
1:      mov     %eax, (%edi)
        movl    $0, 4(%edi)
        add     $0x200000, %eax
        add     $8, %edi
        loop    1b

        mov     $page_directory_pointers, %edi
        mov     $page_directories + (PTE_P | PTE_W | PTE_U), %eax
        mov     $4, %ecx
1:      mov     %eax, (%edi)
        movl    $0, 4(%edi)
        add     $0x1000, %eax
        add     $8, %edi
        loop    1b
        movl    $page_directory_pointers + (PTE_P | PTE_W | PTE_U), pml4

        activate_long_mode              // steps 1 to 3

        // 4. A code segment with its L bit set: only now is the code 64-bit.
        lgdt    gdt_register
        ljmp    $SEL_CODE64, $1f

        .code64
1:      mov     $SEL_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        lldt    %ax
        fninit
        call    main
        out     %al, $PORT_EXIT
        cli
2:      hlt
        jmp     2b

        // The order of the selectors is the one that SYSCALL and SYSRET compute with.
        .data
        .balign 8
        .globl  gdt
gdt:    .quad   0
        .quad   0x00af9b000000ffff      // 0x08 SEL_CODE64   64-bit code, DPL 0
        .quad   0x00cf93000000ffff      // 0x10 SEL_DATA     data, DPL 0
        .quad   0x00cffb000000ffff      // 0x18 SEL_USER32   32-bit code, DPL 3
        .quad   0x00cff3000000ffff      // 0x20 SEL_USER     data, DPL 3
        .quad   0x00affb000000ffff      // 0x28 SEL_USER64   64-bit code, DPL 3
        .quad   0, 0                    // 0x30 SEL_TSS      filled in by `install_traps`
        .quad   0x00cf9b000000ffff      // 0x40 SEL_CODE32   32-bit code, DPL 0
        .fill   16, 8, 0                // 0x48 and up       for a guest's own descriptors
gdt_end:
        .globl  gdt_register
gdt_register:
        .word   gdt_end - gdt - 1
        .quad   gdt

        .bss
        .balign 4096
        .globl  pml4, page_directory_pointers, page_directories
pml4:                           .skip 4096
page_directory_pointers:        .skip 4096
page_directories:               .skip 4 * 4096
        .skip   16384
        .globl  stack_top
stack_top:

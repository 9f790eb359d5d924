// tour, the first two steps: the reset vector, real mode, protected mode.
//
// A CPU out of reset is in real mode with CS.base = 0xffff0000 and IP = 0xfff0, although CS itself is 0xf000: until CS
// is loaded, it runs at the top of 4 GiB (Intel SDM volume 3, 10.1.4). The far jump loads it, and lands in the copy
// of this ROM below 1 MiB; from there the ROM copies itself to RAM, for which it is linked.

#include "machine.h"

#define ROM 0xf0000
#define RAM 0x10000

// Prints the string at (E)SI. The same text makes a 16-bit and a 32-bit routine.
        .macro  console_routine name
\name:  lodsb
        test    %al, %al
        jz      3f
        mov     %al, %bl
        mov     $(PORT_COM1 + 5), %dx
2:      in      %dx, %al
        test    $0x20, %al              // LSR.THRE: the transmitter takes another byte
        jz      2b
        mov     %bl, %al
        mov     $PORT_COM1, %dx
        out     %al, %dx
        jmp     \name
3:      ret
        .endm

        .section .reset, "ax"
        .code16
        .globl  reset_vector
reset_vector:
        ljmp    $(ROM >> 4), $(copy_to_ram - RAM)
        .org    reset_vector + 16       // to the end of the ROM

        .section .text16, "ax"
copy_to_ram:
        cli
        cld
        mov     $(ROM >> 4), %ax
        mov     %ax, %ds
        mov     $(RAM >> 4), %ax
        mov     %ax, %es
        xor     %si, %si
        xor     %di, %di
        mov     $0x4000, %cx
        rep     movsl
        ljmp    $(RAM >> 4), $(real_mode - RAM)

real_mode:
        mov     %ax, %ds
        xor     %ax, %ax
        mov     %ax, %ss
        mov     $0x1000, %sp

        // A UART out of reset has no baud rate. Pairs of register and value: 115200 baud, 8N1, FIFOs on.
        mov     $(uart_setup - RAM), %si
        mov     $((uart_setup_end - uart_setup) / 2), %cx
1:      lodsw
        mov     $(PORT_COM1 >> 8), %dh
        mov     %al, %dl
        mov     %ah, %al
        out     %al, %dx
        loop    1b

        mov     $(title - RAM), %si
        call    print16

        // A vector is four bytes at 4 * n in memory: offset, then segment. No gates, no privileges.
        xor     %ax, %ax
        mov     %ax, %es
        movw    $(on_int40 - RAM), %es:0x40 * 4
        movw    $(RAM >> 4), %es:0x40 * 4 + 2
        int     $0x40

        // CR0.PE switches protection on; the far jump loads CS from the GDT, and from then on code is 32-bit.
        lgdtl   first_gdt_register - RAM
        mov     %cr0, %eax
        or      $CR0_PE, %al
        mov     %eax, %cr0
        ljmpl   $0x08, $protected_mode

on_int40:
        mov     $(real_mode_line - RAM), %si
        call    print16
        iret

        console_routine print16

        .section .text32, "ax"
        .code32
protected_mode:
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $0x1000, %esp
        mov     $bss_start, %edi
        mov     $bss_end, %ecx
        sub     %edi, %ecx
        xor     %eax, %eax
        rep     stosb

        mov     $protected_mode_line, %esi
        call    print32
        jmp     start32                 // long-mode.S, which calls `main` in tour.c

        console_routine print32

        .section .rodata, "a"
uart_setup:
        .byte   0xfb, 0x83, 0xf8, 1, 0xf9, 0, 0xfb, 0x03, 0xfa, 0x07, 0xfc, 0x03
uart_setup_end:
title:  .ascii  "A tour of virtualization: one vCPU, from its reset vector to power-off\r\n\r\n\0"
real_mode_line:
        .ascii  " 1  real mode       reset at F000:FFF0; INT 40h goes by the table at 0\r\n\0"
protected_mode_line:
        .ascii  " 2  protected mode  CR0.PE = 1; segments come from a GDT: 32-bit code\r\n\0"

        .balign 8
first_gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      // 0x08: 32-bit code, base 0, limit 4 GiB
        .quad   0x00cf93000000ffff      // 0x10: data, base 0, limit 4 GiB
first_gdt_register:
        .word   . - first_gdt - 1
        .long   first_gdt

// A CPU from its startup IPI to C: see processors.h.
//
// It begins in real mode at the page that the IPI named (Intel SDM volume 3, 9.4.4), where `place_trampoline` has copied
// the first part; the rest is where it was linked. Tables and control registers become those of the first CPU.

#include "long-mode.h"

#define PROCESSOR_STACK 8192
#define PROCESSORS 4

        .section .text16, "ax"
        .code16
        .globl  trampoline, trampoline_end
trampoline:
        cli
        cld
        xor     %ax, %ax
        mov     %ax, %ds
        mov     %cs, %ax
        mov     %ax, 0x7ff0             // TRAMPOLINE_CS
        mov     %cr0, %eax
        mov     %eax, 0x7ff4            // TRAMPOLINE_CR0
        lgdtl   %cs:(trampoline_gdt - trampoline)
        or      $CR0_PE, %eax
        and     $~(CR0_CD | CR0_NW), %eax
        mov     %eax, %cr0
        ljmpl   $SEL_CODE32, $processor32
trampoline_gdt:
        .word   0x7f
        .long   gdt
trampoline_end:

        .section .text32, "ax"
        .code32
processor32:
        mov     $SEL_DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        xor     %eax, %eax
        mov     %eax, %fs
        mov     %eax, %gs
        activate_long_mode
        ljmp    $SEL_CODE64, $1f

        .code64
1:      mov     $1, %eax
        cpuid
        shr     $24, %ebx               // the local APIC's ID
        mov     %ebx, %edi
        inc     %ebx
        imul    $PROCESSOR_STACK, %ebx, %eax
        lea     processor_stacks(%rax), %rsp
        fninit
        call    processor_loop

        .bss
        .balign 16
processor_stacks:
        .skip   PROCESSORS * PROCESSOR_STACK

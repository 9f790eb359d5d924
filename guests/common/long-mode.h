// How a CPU gets from 32-bit protected mode to long mode (Intel SDM volume 3, 10.8.5 "Initializing IA-32e Mode"): for the
// first one in long-mode.S, for those that it starts in processors.S. Assembly, with paging off and tables at `pml4`.

#ifndef LONG_MODE_H
#define LONG_MODE_H

#include "machine.h"

        .macro  activate_long_mode
        // 1. CR4.PAE, and CR3 to the tables. OSFXSR and OSXMMEXCPT allow SSE.
        mov     %cr4, %eax
        or      $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
        mov     %eax, %cr4
        mov     $pml4, %eax
        mov     %eax, %cr3

        // 2. EFER.LME; with it NXE, if CPUID offers the execute-disable bit.
        mov     $0x80000001, %eax
        cpuid
        mov     $EFER_LME, %ebx
        bt      $20, %edx
        jnc     1f
        or      $EFER_NXE, %ebx
1:      mov     $MSR_EFER, %ecx
        rdmsr
        or      %ebx, %eax
        wrmsr

        // 3. CR0.PG activates long mode: EFER.LMA is set by the CPU. CR0.WP makes the supervisor obey R/W.
        mov     %cr0, %eax
        and     $~(CR0_EM | CR0_TS | CR0_NW | CR0_CD), %eax
        or      $(CR0_PG | CR0_PE | CR0_WP | CR0_NE | CR0_MP), %eax
        mov     %eax, %cr0
        .endm

#endif

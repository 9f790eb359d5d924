// smc: functions that change themselves. They are copied to where they run, so they are position-independent.
// They may use the registers that a C function may, and return in EAX.

        .macro  begin name
        .balign 16
        .globl  \name
\name:
        .endm
        .macro  end name
        .globl  \name\()_end
\name\()_end:
        .endm

        .section .rodata, "a"

        begin   patch_next
        movb    $2, 1f + 1(%rip)
1:      mov     $1, %eax
        ret
        end     patch_next

        // INC becomes ADD of the next byte: another length, another instruction behind it.
        begin   patch_opcode
        mov     $1, %eax
        movl    $0x900ac083, 1f(%rip)   // add $10, %eax; nop
1:      inc     %eax
        inc     %eax
        ret
        end     patch_opcode

        // Adds 1 to 100, each the immediate of one and the same instruction.
        begin   patch_loop
        xor     %eax, %eax
        mov     $100, %ecx
1:      add     $1, %eax
        incb    1b + 2(%rip)
        loop    1b
        ret
        end     patch_loop

        // In its tenth round, the loop replaces its jump by NOPs.
        begin   patch_jump
        xor     %eax, %eax
1:      inc     %eax
        cmp     $10, %eax
        jne     2f
        movw    $0x9090, 2f(%rip)
2:      jmp     1b
        ret
        end     patch_jump

        begin   patch_by_rep
        lea     1f(%rip), %rdi
        mov     $14, %ecx
        mov     $0x90, %al
        rep stosb
        mov     $7, %eax
1:      mov     $1, %eax
        mov     $2, %eax
        add     $3, %eax
        nop
        ret
        end     patch_by_rep

        // With its only element, REP STOSB overwrites its own first byte: it is finished by then.
        begin   patch_rep_itself
        lea     1f(%rip), %rdi
        mov     $0x90, %al
        mov     $1, %ecx
1:      rep stosb
        mov     %ecx, %eax
        ret
        end     patch_rep_itself

        // The instruction's eight bytes are exchanged as one.
        begin   patch_atomically
        push    %rbx
        lea     1f(%rip), %rdi
        mov     (%rdi), %eax
        mov     4(%rdi), %edx
        mov     %eax, %ebx
        mov     %edx, %ecx
        mov     $0x22, %bh              // the immediate's lowest byte
        lock cmpxchg8b (%rdi)
        jmp     1f
        .balign 8
1:      mov     $0x11, %eax
        nop
        nop
        nop
        pop     %rbx
        ret
        end     patch_atomically

        // The stack lies over the code: PUSH writes the immediate of the instruction behind it.
        begin   patch_by_push
        mov     %rsp, %rdx
        lea     1f + 9(%rip), %rsp
        mov     $0x9090909000000005, %rcx
        push    %rcx
1:      .byte   0xb8                    // mov $imm32, %eax
        .long   1
        nop
        nop
        nop
        nop
        mov     %rdx, %rsp
        ret
        end     patch_by_push

        begin   jump_to_next_page
        jmp     . + 0x1000
        end     jump_to_next_page

        // RDI is the alias of this code that is writable.
        begin   patch_in_user_mode
        movb    $2, 2f - patch_in_user_mode + 1(%rdi)
        cpuid
2:      mov     $1, %eax
        int     $0x80
        end     patch_in_user_mode

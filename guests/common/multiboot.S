// The Multiboot 1 header (Multiboot Specification 0.6.96, 3.1), and the way from there to `start32`.
//
// Bit 16 of the flags says that the addresses stand in the header, so the image needs no ELF around it.
// The loader hands over in flat 32-bit protected mode, interrupts disabled, EAX = 0x2badb002; nothing else is relied
// upon, its GDT least of all. Where its information is (EBX), a guest finds in `multiboot_information`.

#define MAGIC 0x1badb002
#define FLAGS 0x00010000

        .section .multiboot, "ax"
        .code32
        .balign 4
multiboot_header:
        .long   MAGIC
        .long   FLAGS
        .long   -(MAGIC + FLAGS)
        .long   multiboot_header
        .long   image_start             // load_addr
        .long   image_end               // load_end_addr
        .long   bss_end                 // bss_end_addr: the loader clears .bss
        .long   multiboot_entry

        .globl  multiboot_entry
multiboot_entry:
        cli
        cld
        mov     %ebx, multiboot_information
        jmp     start32

        .bss
        .balign 4
        .globl  multiboot_information
multiboot_information:
        .skip   4

// The machine that guests run on, by number: ports, registers' bits, selectors. For assembly and C alike.
//
// Names of bits are those of the Intel SDM; ports are those of the PC, and of QEMU where the PC has none.

#ifndef MACHINE_H
#define MACHINE_H

// Ports.
#define PORT_PIC1 0x20          // 8259A, first: command; +1 data
#define PORT_PIT 0x40           // 8254: channels 0 to 2; +3 mode
#define PORT_KEYBOARD 0x64      // 8042 command: 0xfe pulses the reset line
#define PORT_PIC2 0xa0          // 8259A, second
#define PORT_DEBUG 0xe9         // debug console
#define PORT_EXIT 0xf4          // ends the run; the low 8 bits are its status
#define PORT_COM1 0x3f8         // 16550A
#define PORT_PVPANIC 0x505      // bit 0: the guest has panicked
#define PORT_PM1A_CNT 0x604     // ACPI: SLP_TYP in bits 12:10, SLP_EN is bit 13
#define PORT_RESET 0xcf9        // reset control: 6 resets the machine
#define PM1A_S5 0x3400          // SLP_TYP = 5 and SLP_EN: soft off

// Guest-physical addresses.
#define IOAPIC_BASE 0xfec00000
#define LAPIC_BASE 0xfee00000

// Control registers (Intel SDM volume 3, 2.5).
#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_EM 0x00000004
#define CR0_TS 0x00000008
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_AM 0x00040000
#define CR0_NW 0x20000000
#define CR0_CD 0x40000000
#define CR0_PG 0x80000000
#define CR4_DE 0x00000008
#define CR4_PSE 0x00000010
#define CR4_PAE 0x00000020
#define CR4_PGE 0x00000080
#define CR4_OSFXSR 0x00000200
#define CR4_OSXMMEXCPT 0x00000400
#define CR4_UMIP 0x00000800
#define CR4_PCIDE 0x00020000
#define CR4_OSXSAVE 0x00040000
#define CR4_SMEP 0x00100000
#define CR4_SMAP 0x00200000

#define RFLAGS_CF 0x00001
#define RFLAGS_ZF 0x00040
#define RFLAGS_TF 0x00100
#define RFLAGS_IF 0x00200
#define RFLAGS_DF 0x00400
#define RFLAGS_OF 0x00800
#define RFLAGS_NT 0x04000
#define RFLAGS_RF 0x10000
#define RFLAGS_AC 0x40000

#define MSR_APIC_BASE 0x1b
#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FMASK 0xc0000084
#define EFER_SCE 0x001
#define EFER_LME 0x100
#define EFER_LMA 0x400
#define EFER_NXE 0x800

// Page table entries (Intel SDM volume 3, 4.5).
#define PTE_P 0x001
#define PTE_W 0x002
#define PTE_U 0x004
#define PTE_A 0x020
#define PTE_D 0x040
#define PTE_PS 0x080
#define PTE_G 0x100

// Selectors of the GDT in long-mode.S.
#define SEL_CODE64 0x08
#define SEL_DATA 0x10
#define SEL_USER32 0x18
#define SEL_USER 0x20
#define SEL_USER64 0x28
#define SEL_TSS 0x30
#define SEL_CODE32 0x40
#define SEL_FREE 0x48           // the first of 16 empty descriptors

// Exceptions (Intel SDM volume 3, table 6-1).
#define VECTOR_DE 0
#define VECTOR_DB 1
#define VECTOR_NMI 2
#define VECTOR_BP 3
#define VECTOR_OF 4
#define VECTOR_BR 5
#define VECTOR_UD 6
#define VECTOR_NM 7
#define VECTOR_DF 8
#define VECTOR_TS 10
#define VECTOR_NP 11
#define VECTOR_SS 12
#define VECTOR_GP 13
#define VECTOR_PF 14
#define VECTOR_MF 16
#define VECTOR_AC 17
#define VECTOR_XM 19

#endif

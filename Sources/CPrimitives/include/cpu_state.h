// The hot state of one software vCPU: one C struct with asserted offsets behind one stable pointer, used by the
// interpreter, by generated code and by assembly alike. The engine-neutral `CPUState` is made from it on export only.
#ifndef TRAPEZE_CPU_STATE_H
#define TRAPEZE_CPU_STATE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tz_cpu;
struct tz_instruction;

// Executes one decoded instruction. On entry `rip` already points behind it. A handler that raises an exception stores
// it in `fault_*` and ends the block; the run loop then restores `rip`.
typedef void (*tz_handler)(struct tz_cpu *_Nonnull, const struct tz_instruction *_Nonnull);

// tz_instruction.flags
enum {
    TZ_INSN_MEMORY = 1 << 0,   // the r/m operand is in memory
    TZ_INSN_LOCK = 1 << 1,     // LOCK prefix
    TZ_INSN_REP = 1 << 2,      // F3 used as REP/REPE
    TZ_INSN_REPNE = 1 << 3,    // F2 used as REPNE
    TZ_INSN_CHECKED = 1 << 4,  // decoded outside 64-bit mode: segment limits and types are checked, linear is 32 bits
    TZ_INSN_ENDS_BLOCK = 1 << 5,
    TZ_INSN_HIGH_BYTE = 1 << 6, // an operand is AH, CH, DH or BH
};

// tz_instruction.prefixes: as encoded, whether mandatory or not
enum {
    TZ_PREFIX_66 = 1 << 0,
    TZ_PREFIX_67 = 1 << 1,
    TZ_PREFIX_F2 = 1 << 2,
    TZ_PREFIX_F3 = 1 << 3,
    TZ_PREFIX_REX = 1 << 4,
    TZ_PREFIX_VEX = 1 << 5,
    TZ_PREFIX_VEX_L = 1 << 6,
    TZ_PREFIX_SEGMENT = 1 << 7,
};

// One decoded instruction, as the decoder produces it and the interpreter caches it. Integer register operands are byte
// offsets into `tz_cpu` (8 × number; AH, CH, DH, BH are 8 × number + 1); vector, x87, segment and control registers
// are numbers.
typedef struct tz_instruction {
    tz_handler _Nullable handler;
    int64_t immediate;       // sign-extended; the offset of moffs and far pointers; handlers may own it after decoding
    int32_t displacement;    // sign-extended
    uint16_t mnemonic;       // raw value of `Mnemonic`
    uint16_t row;            // native instructions: index of their table row. Far pointers: selector. ENTER: level
    uint8_t length;          // bytes, 1...15
    uint8_t width;           // operand width in bytes (1, 2, 4, 8; 16 and 32 for vectors)
    uint8_t flags;           // TZ_INSN_*
    uint8_t reg;             // ModRM.reg (or opcode) register operand, REX.R applied
    uint8_t rm;              // ModRM.rm register operand if not TZ_INSN_MEMORY, REX.B applied
    uint8_t base;            // byte offset of the base register; TZ_RIP_OFFSET or TZ_ZERO_OFFSET too
    uint8_t index;           // byte offset of the index register or TZ_ZERO_OFFSET
    uint8_t scale;           // shift count 0...3
    uint8_t segment;         // number of the segment that the memory operand uses (TZ_ES...TZ_GS)
    uint8_t form;            // raw value of `OperandForm`
    uint8_t opcode;          // last opcode byte
    uint8_t map;             // 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A
    uint8_t prefixes;        // TZ_PREFIX_*
    uint8_t modrm;
    uint8_t vvvv;            // VEX.vvvv, inverted back
    uint8_t rex;             // W R X B as bits 3..0, from REX or VEX
    uint64_t address_mask;   // 0xffff, 0xffffffff or all ones
} tz_instruction;

static_assert(sizeof(tz_instruction) == 48, "instructions are cached in arrays of 48-byte elements");

enum { TZ_ES, TZ_CS, TZ_SS, TZ_DS, TZ_FS, TZ_GS, TZ_LDTR, TZ_TR, TZ_SEGMENT_COUNT };

// A segment register with its hidden part. `attributes` are in the layout of the VMX access rights (SDM volume 3,
// table 25-2): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. `limit` is in bytes, expanded.
typedef struct tz_segment {
    uint64_t base;
    uint32_t limit;
    uint32_t attributes;
    uint16_t selector;
    uint16_t reserved[3];
} tz_segment;

typedef struct tz_table_register {
    uint64_t base;
    uint64_t limit;
} tz_table_register;

// Software TLB. An entry hits when (linear ^ tag) <= 4096 - size, so an access that crosses the page misses; the host
// address is then (linear ^ tag) + addend: `addend` is the page's host address. Tags are page-aligned linear addresses; TZ_TLB_INVALID hits nothing.
typedef struct tz_tlb_entry {
    uint64_t tag;
    uint64_t addend;
} tz_tlb_entry;

enum { TZ_TLB_ENTRIES = 4096 };
static const uint64_t TZ_TLB_INVALID = UINT64_C(0x0000800000000000); // non-canonical: no valid access equals it

// The contexts that permissions depend on, so that a change of privilege needs no flush. Implicit supervisor accesses
// (descriptor tables, TSS, at any CPL) use TZ_TLB_SUPERVISOR.
enum { TZ_TLB_SUPERVISOR, TZ_TLB_USER, TZ_TLB_SUPERVISOR_AC, TZ_TLB_CONTEXTS };

// The tables of a vCPU lie one after another: for each kind the contexts, TZ_TLB_ENTRIES entries each.
enum { TZ_TLB_READ, TZ_TLB_WRITE, TZ_TLB_FETCH, TZ_TLB_KINDS };
enum { TZ_TLB_TOTAL = TZ_TLB_KINDS * TZ_TLB_CONTEXTS * TZ_TLB_ENTRIES };
// Behind them a table that is never filled, and then the guest-physical pages of the fetch entries, context by context.
enum { TZ_TLB_PHYSICAL_OFFSET = (TZ_TLB_TOTAL + TZ_TLB_ENTRIES) * 16 };

// tz_cpu.attention: why the run loop must look up between blocks. Set from any thread by tz_atomic_or.
enum {
    TZ_ATTENTION_KICK = 1 << 0,       // leave run() as soon as possible
    TZ_ATTENTION_INTERRUPT = 1 << 1,  // something was posted to the local APIC, or an unmasked interrupt may be pending
    TZ_ATTENTION_NMI = 1 << 2,
    TZ_ATTENTION_SMI = 1 << 3,
    TZ_ATTENTION_INIT = 1 << 4,
    TZ_ATTENTION_INVALIDATE = 1 << 5, // memory slots changed or pages with decoded code were written from outside
    TZ_ATTENTION_STOP = 1 << 6,       // activity, `stop_reason` or pending_debug need the run loop (set by the vCPU itself)
};

// tz_cpu.activity
enum { TZ_ACTIVE, TZ_HALTED, TZ_SHUTDOWN, TZ_WAIT_FOR_SIPI };

// tz_cpu.breakpoints: what RFLAGS and DR7 ask of the next instruction. DR7 enables any breakpoint or RFLAGS.TF is set, so that
// each goes the slow way; or nothing but RFLAGS.RF is set, which its beginning clears.
enum { TZ_STEPS = 1, TZ_RESUMES = 2, TZ_RFLAGS_RF = 1 << 16 };

// tz_cpu.shadow: interruptibility, as VMX encodes it (SDM volume 3, table 25-3)
enum { TZ_SHADOW_STI = 1 << 0, TZ_SHADOW_MOV_SS = 1 << 1, TZ_SHADOW_NMI = 1 << 3 };

// tz_cpu.code_mode, and the mode of a block, which has the TLB context in bits 5:4
enum {
    TZ_MODE_REAL = 1 << 0,    // real-address or virtual-8086 mode
    TZ_MODE_CONTEXT = 3 << 4,
    TZ_MODE_FLAT = 1 << 6,    // outside 64-bit mode: linear addresses are offsets in ES, CS, SS and DS, all 4 GiB of them
};

// tz_cpu.debugging
enum {
    TZ_DEBUG_STEP = 1 << 0, // stop after one instruction
    TZ_DEBUG_STOP = 1 << 1, // a watchpoint was hit: stop after this instruction
};

// Counted by the vCPU's own thread; the names are those of `Counters`.
typedef struct tz_counters {
    uint64_t port_accesses, mmio_accesses, halts, exceptions, page_faults, interrupts, interrupt_windows;
    uint64_t control_register_accesses, msr_accesses, cpuid_instructions, hypercalls;
    uint64_t tlb_misses, tlb_flushes, blocks_decoded, code_invalidations, kicks;
} tz_counters;

// Where generated code finds the block for a linear address: the landing of a translation, if the key is the address mixed
// with the salt of the block's mode and generation (`JumpTable`). Salts are random: a guest chooses all 64 bits of its targets,
// and must not be able to make up for the difference between two of them. Empty: all 0.
typedef struct tz_jump_entry {
    uint64_t key;
    const void *_Nullable landing;
    uint64_t code_base;       // of the translation at that address
    uint32_t head_registers;  // what it changes while it may show flags that follow from registers
    uint32_t reserved;
} tz_jump_entry;
_Static_assert(sizeof(tz_jump_entry) == 32 && offsetof(tz_jump_entry, landing) == 8 &&
                   offsetof(tz_jump_entry, code_base) == 16 && offsetof(tz_jump_entry, head_registers) == 24,
               "generated code knows this layout");

enum { TZ_JUMP_ENTRIES = 1 << 14 };

// Where a page of code was last found, as `code_base` plus `code_salt`, and in which epoch (`Mobility`).
typedef struct tz_code_page {
    uint64_t place;
    uint64_t epoch;
} tz_code_page;

// The translation of the code at a guest-physical address, for lookups that the jump table does not answer. Empty: all 0.
typedef struct tz_index_entry {
    uint64_t key;  // the address, and the block's mode in bits 59:52
    const void *_Nullable landing;
    const tz_code_page *_Nullable page;
    uint32_t head_registers;
    uint32_t reserved;
} tz_index_entry;

enum { TZ_INDEX_ENTRIES = 1 << 14, TZ_INDEX_MODE_SHIFT = 52 };
// No mode and generation: generations count from 1.
static const uint64_t TZ_NO_MODE = 0;

// The micro-TLB: copies of entries of the TLB that generated code tries before the TLB. An access's slot is given by where its
// address comes from, not by the address: the base register's number, or one of these; a loop's are from TZ_MICRO_LOOPS on. It is
// emptied when a translation of which it may have a copy leaves the TLB, but for another page's that needs its place. Unlike an
// empty entry of the TLB, whose tag belongs to another slot, an empty one here would hit the addresses of its tag's page, which a
// guest may choose without their being canonical: so that page is a secret.
enum { TZ_MICRO_FS = 16, TZ_MICRO_GS, TZ_MICRO_FIXED, TZ_MICRO_FRAME, TZ_MICRO_LOOPS = 24, TZ_MICRO_SLOTS = 48 };

// What generated code and its gates use beside the architectural state (`translated_code.h`).
typedef struct tz_translated {
    uint64_t code_base;       // RIP of the running block minus the offset in its page at which it begins
    uint64_t jump_salts[TZ_TLB_CONTEXTS];  // mixed into the keys of the jump table: the salt of the running code's mode in each
                                           // context, or `no_salt` to find nothing
    uint64_t mode_salts[TZ_TLB_CONTEXTS];  // the salts of these modes
    uint64_t salted_modes[TZ_TLB_CONTEXTS];
    uint64_t no_salt;
    uint64_t salt_secret;
    uint64_t jump_generations[2];     // the part of the salt that is supervisor code's, and user code's
    uint64_t code_salt;       // the part of the salt that is the code segment's: bits 47:32 are bits 19:4 of its base
    tz_jump_entry *_Nonnull jump_table;
    tz_index_entry *_Nonnull index;
    uint64_t code_epochs[2];  // of supervisor code and of user code: how often it may have moved
    uint8_t *_Nonnull follows;  // how often each link was looked up since it was cut
    const void *_Nullable poll;       // what polls load from: `poll_calm`, or `poll_trap` to stop them
    const void *_Nullable poll_calm;
    const void *_Nullable poll_trap;  // a page that can't be read
    const void *_Nullable vector_gates[2];  // called by blocks that use SSE or AVX registers
    const void *_Nullable x87_gate;         // called by blocks that use x87 or MMX registers
    void (*_Nullable deliver_fault)(struct tz_cpu *_Nonnull);  // called by a gate whose instruction has faulted
    // Called by a gate whose probe has failed: the host address of so many bytes; null if they can't be reached in one piece.
    void *_Nullable (*_Nullable reach)(struct tz_cpu *_Nonnull, uint64_t linear, uint64_t size, bool writes);
    void *_Nullable translator;  // unmanaged reference to the Swift owner, for these
    uint64_t host_stack;      // RSP between entry and exit
    uint64_t exit_value;      // number of a link, or the decoded instruction at which a gate was left
    uint64_t exit_address;    // host address at which generated code was left
    uint64_t exit_arithmetic; // flags in host registers when a signal stopped generated code
    int64_t counted;          // where instructions are counted: retired once the running block is done, minus `limit`
    uint64_t limit;           // the number of instructions at which `counted` is 0: the budget's end
    uint64_t behind;          // at a gate: the block's instructions that have not retired
    uint64_t split[16];       // room for the bytes of an access to two pages, as far aligned as there
    const uint8_t *_Nullable split_bytes;  // where a store's are in it, and where they belong
    uint8_t *_Nullable split_parts[2];
    uint64_t split_sizes[2];
    uint64_t gather_indices[4];  // the operands and the results of a gather while its elements are loaded
    uint64_t gathered[4];
    uint64_t scratch[4];
    tz_tlb_entry micro_tlb[TZ_TLB_CONTEXTS][2][TZ_MICRO_SLOTS];  // for reading, for writing
    tz_tlb_entry micro_empty[2][TZ_MICRO_SLOTS];                 // what each context's are when they are empty
    uint64_t micro_pages;                                        // bit n: one may be of a page whose number modulo 64 is n
    uint64_t shared_probes[8];        // host addresses that several accesses of a block use
    // Outside 64-bit mode, for each segment, how many bytes from its beginning may be read, and written; 0 where only the
    // handlers know, as for an expand-down segment.
    uint64_t segment_tops[6][2];
    uint32_t host_mxcsr;
    uint32_t flag_source;     // where a block's flags came from while it inherits them: 0, they are in the state; otherwise the
                              // number + 1 of the link that led to it, from whose block they follow
    uint8_t flag_carry;       // CF at that link, where the others follow from registers and it does not
    uint8_t vectors_loaded;   // vector registers and MXCSR are in the host's registers
    uint8_t flags_lost;       // a gate was called while the flags were nowhere
    uint8_t x87_loaded;       // x87 registers were in the host's; still set when generated code has been left
    uint8_t keeps_ss_on_sysret;  // the CPU model leaves the hidden part of SS alone, as AMD's do
    uint64_t call_code, call_data;      // limit and attributes of CS and SS after SYSCALL in 64-bit mode, as in `tz_segment`
    uint64_t return_code, return_data;  // the same after SYSRET to 64-bit mode
} tz_translated;

typedef struct tz_cpu {
    uint64_t gpr[16];            // RAX RCX RDX RBX RSP RBP RSI RDI R8...R15
    uint64_t rip;                // offset in CS; while a handler runs: of the next instruction
    uint64_t zero;               // always 0: stands for "no base" and "no index"
    uint64_t arithmetic;         // SF ZF AF PF CF as LAHF leaves them in bits 15:8, OF in bit 0 (SETO AL)
    uint64_t system_flags;       // RFLAGS without the six arithmetic flags; bit 1 set
    const tz_instruction *_Nullable block_end;  // the run loop stops before it; null: stop after this instruction
    const tz_instruction *_Nullable block_start; // the block that executes; null between two
    uint64_t block_rip;          // RIP at its first instruction
    uint64_t attention;          // TZ_ATTENTION_*
    uint64_t instructions;       // retired before the current block began
    uint64_t effective_base[TZ_SEGMENT_COUNT]; // what address generation adds: 0 for ES, CS, SS, DS in 64-bit mode
    tz_tlb_entry *_Nonnull tlb_read;   // the tables of the current context
    tz_tlb_entry *_Nonnull tlb_write;
    tz_tlb_entry *_Nonnull tlb_fetch;
    uint64_t stack_mask;         // 0xffff, 0xffffffff or all ones, by SS.B and mode

    uint8_t cpl;
    uint8_t code_width;          // 2, 4 or 8: default code size of CS
    uint8_t code_mode;           // what blocks depend on besides their bytes: `code_width`, TZ_MODE_*
    uint8_t plain_code;          // generated code may run in this mode: see `CPU.refreshCodeMode`
    uint8_t long_mode;           // EFER.LMA
    uint8_t activity;
    uint8_t tlb_context;         // TZ_TLB_*
    uint8_t fault_pending;       // a fault_* is to be delivered
    uint8_t fault_vector;
    uint8_t fault_has_error;
    uint16_t fault_error;
    // Four that are looked at in one.
    uint8_t shadow;              // TZ_SHADOW_*
    uint8_t alignment_checks;    // CR0.AM and RFLAGS.AC and CPL 3
    uint8_t breakpoints;         // TZ_STEPS or TZ_RESUMES
    uint8_t trap_after;          // a #DB trap is pending after this instruction (I/O or data breakpoint, TF)
    uint8_t flat_segments;       // bit n: segment n is usable, flat (base 0, limit 4 GiB), readable, and writable if data
    uint8_t debugging;           // TZ_DEBUG_*: a debugger outside of the guest wants the slow path
    uint8_t tracing;             // every instruction is traced: one at a time

    tz_segment segments[TZ_SEGMENT_COUNT];
    tz_table_register gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, xcr0, efer;
    uint64_t dr[4], dr6, dr7;
    uint64_t pdpte[4];           // PAE paging: loaded with CR3
    uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
    uint64_t pat, tsc_aux, tsc_offset, tsc_adjust, apic_base, misc_enable, debugctl, spec_ctrl, xss;

    uint64_t pkru, pkrs;         // protection-key rights for user-mode and for supervisor-mode addresses

    uint64_t reserved_alignment[1];
    // x87 and MMX state in the layout of FXSAVE64 (its XMM and MXCSR parts are unused), and the vector registers whole.
    // The state is allocated on a 64-byte boundary; both begin on one too (Swift imports no over-aligned types).
    uint64_t fxsave[64];
    uint64_t xsave_header[8];    // behind it, for XSAVE and XRSTOR of the x87 state alone
    uint64_t vector[16][4];
    uint64_t bounce[8];          // memory operands that no host pointer reaches: devices, page crossings
    uint32_t mxcsr;
    uint16_t fcs, fds;           // selectors of the last x87 instruction and its operand, beside FIP and FDP
    uint8_t fpu_gates;           // what x87, MMX, SSE and AVX instructions raise before they run: `NativeGate`
    uint8_t yields_on_pause;     // there are other vCPUs, which a PAUSE may be waiting for
    uint8_t pauses;              // PAUSE instructions, modulo 256
    uint8_t interrupt_waits;     // an interrupt was pending while RFLAGS.IF was 0: whoever sets IF asks for attention
    uint8_t reserved[4];

    tz_counters counters;
    tz_tlb_entry *_Nonnull tlb;  // TZ_TLB_TOTAL entries
    void *_Nullable context;     // unmanaged reference to the Swift owner, for slow paths
    tz_translated translated;
} tz_cpu;

enum { TZ_RIP_OFFSET = 128, TZ_ZERO_OFFSET = 136 };
static_assert(offsetof(tz_cpu, rip) == TZ_RIP_OFFSET, "RIP is addressed like a base register");
static_assert(offsetof(tz_cpu, zero) == TZ_ZERO_OFFSET, "zero is addressed like a base register");
static_assert(offsetof(tz_cpu, arithmetic) == 144, "offset used by assembly");
static_assert(offsetof(tz_cpu, shadow) % 4 == 0 && offsetof(tz_cpu, alignment_checks) == offsetof(tz_cpu, shadow) + 1 &&
                  offsetof(tz_cpu, breakpoints) == offsetof(tz_cpu, shadow) + 2 &&
                  offsetof(tz_cpu, trap_after) == offsetof(tz_cpu, shadow) + 3,
              "assembly looks at four in one");
static_assert(offsetof(tz_cpu, fxsave) % 64 == 0, "FXRSTOR needs alignment");
static_assert(offsetof(tz_cpu, xsave_header) == offsetof(tz_cpu, fxsave) + 512, "one XSAVE area");
static_assert(offsetof(tz_cpu, vector) % 64 == 0, "vector registers lie on cache lines");
static_assert(offsetof(tz_cpu, bounce) % 64 == 0, "aligned operands stay aligned when bounced");

#endif

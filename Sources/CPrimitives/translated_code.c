// Entry, exit and gates of generated code, and the signals that end it. Everything here knows the register convention
// of `translated_code.h`; what runs inside a gate after the state is stored is ordinary C ABI.
#define _GNU_SOURCE
#include "translated_code.h"
#include "gates.h"
#include "host_signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <ucontext.h>

// Offsets as assembly operands.
#define AT(name, field) [name] "i"(offsetof(tz_cpu, field))
#define OFFSETS                                                                                                       \
    AT(arithmetic, arithmetic), AT(system_flags, system_flags), AT(rip, rip), AT(block_end, block_end), AT(block_start, block_start),                 \
        AT(block_rip, block_rip), AT(instructions, instructions), AT(counted, translated.counted),                    \
        AT(limit, translated.limit), AT(behind, translated.behind), AT(fault, fault_pending), AT(mxcsr, mxcsr),       \
        AT(vector, vector), AT(gates, fpu_gates), AT(code_base, translated.code_base),                                \
        AT(host_stack, translated.host_stack), AT(exit_value, translated.exit_value),                                 \
        AT(exit_address, translated.exit_address), AT(exit_arithmetic, translated.exit_arithmetic),                   \
        AT(host_mxcsr, translated.host_mxcsr), AT(loaded, translated.vectors_loaded),                                 \
        AT(lost, translated.flags_lost), AT(x87, translated.x87_loaded), AT(gate_x87, translated.x87_gate),           \
        AT(fxsave, fxsave), AT(header, xsave_header),                                                                 \
        AT(gate_sse, translated.vector_gates[0]), AT(gate_avx, translated.vector_gates[1]),                           \
        AT(jump_table, translated.jump_table), [landing] "i"(offsetof(tz_jump_entry, landing)),                       \
        [handler] "i"(offsetof(tz_instruction, handler)), [length] "i"(offsetof(tz_instruction, length)),             \
        AT(micro, translated.micro_tlb), AT(micro_pages, translated.micro_pages), AT(tlb_read, tlb_read), AT(tlb_write, tlb_write),                            \
        AT(reach, translated.reach),                                                                                  \
        [mask] "i"((TZ_TLB_ENTRIES - 1) << 4),                                                                        \
        [by_step] "i"(TZ_LEFT_BY_STEP), [by_fault] "i"(TZ_LEFT_BY_FAULT),                                             \
        [offset] "i"(TZ_LEFT_OFFSET_SHIFT), [by_signal] "i"(TZ_LEFT_BY_SIGNAL), [by_vectors] "i"(TZ_LEFT_BY_VECTORS)
#define CODE(text) __asm__ volatile(text : : OFFSETS)
#define GATE __attribute__((naked, used))

// All but RAX and R8, and all but flags.
#define STORE_OTHERS                                                                                                  \
    "mov %%rcx, 8(%%r8)\n mov %%rdx, 16(%%r8)\n mov %%rbx, 24(%%r8)\n mov %%r11, 32(%%r8)\n mov %%rbp, 40(%%r8)\n"    \
    "mov %%rsi, 48(%%r8)\n mov %%rdi, 56(%%r8)\n mov %%r9, 72(%%r8)\n mov %%r10, 80(%%r8)\n"                          \
    "mov %%r12, 96(%%r8)\n mov %%r14, 112(%%r8)\n"
#define STORE_RAX "mov %%rax, (%%r8)\n"
#define STORE_FLAGS(field) "lahf\n seto %%al\n movzwl %%ax, %%eax\n mov %%rax, %c[" field "](%%r8)\n"
#define LOAD_ALL                                                                                                      \
    "mov %c[arithmetic](%%r8), %%rax\n add $127, %%al\n sahf\n" LOAD_REGISTERS
#define LOAD_REGISTERS                                                                                                \
    "mov (%%r8), %%rax\n mov 8(%%r8), %%rcx\n mov 16(%%r8), %%rdx\n mov 24(%%r8), %%rbx\n mov 32(%%r8), %%r11\n"      \
    "mov 40(%%r8), %%rbp\n mov 48(%%r8), %%rsi\n mov 56(%%r8), %%rdi\n mov 72(%%r8), %%r9\n mov 80(%%r8), %%r10\n"   \
    "mov 96(%%r8), %%r12\n mov 112(%%r8), %%r14\n"

#define EACH_VECTOR(m)                                                                                                \
    m(0) m(1) m(2) m(3) m(4) m(5) m(6) m(7) m(8) m(9) m(10) m(11) m(12) m(13) m(14) m(15)
#define STORE_VECTOR(n) "vmovups %%ymm" #n ", %c[vector]+" #n "*32(%%r8)\n"
#define LOAD_VECTOR(n) "vmovups %c[vector]+" #n "*32(%%r8), %%ymm" #n "\n"
#define LOAD_HALF(n) "vmovups %c[vector]+" #n "*32(%%r8), %%xmm" #n "\n"
#define ADD_UPPER(n) "vorps %c[vector]+" #n "*32+16(%%r8), %%xmm0, %%xmm0\n"
#define STORE_VECTORS                                                                                                 \
    EACH_VECTOR(STORE_VECTOR) "stmxcsr %c[mxcsr](%%r8)\n ldmxcsr %c[host_mxcsr](%%r8)\n vzeroupper\n"
// Once an upper half was loaded, the host keeps all of them with each SSE instruction, which then waits for what its destination
// was before. So they are not loaded if they are 0, as they are unless the guest is amid AVX code.
#define LOAD_VECTORS                                                                                                  \
    "vxorps %%xmm0, %%xmm0, %%xmm0\n" EACH_VECTOR(ADD_UPPER) "vptest %%xmm0, %%xmm0\n jne 11f\n"                       \
    EACH_VECTOR(LOAD_HALF) "jmp 12f\n 11:\n" EACH_VECTOR(LOAD_VECTOR) "12: ldmxcsr %c[mxcsr](%%r8)\n"

// The x87 registers, in the image that FXSAVE would store. Its pointers to the last instruction and operand are the guest's
// already, and what XSAVE would put there the host's. Uses RAX, RCX, RDX, RSI and RDI.
#define STORE_X87                                                                                                     \
    "mov %c[fxsave]+8(%%r8), %%rcx\n mov %c[fxsave]+16(%%r8), %%rsi\n movzwl %c[fxsave]+6(%%r8), %%edi\n"             \
    "mov $1, %%eax\n xor %%edx, %%edx\n xsave64 %c[fxsave](%%r8)\n fninit\n"                                          \
    "mov %%rcx, %c[fxsave]+8(%%r8)\n mov %%rsi, %c[fxsave]+16(%%r8)\n mov %%di, %c[fxsave]+6(%%r8)\n"
#define LOAD_X87 "movq $1, %c[header](%%r8)\n mov $1, %%eax\n xor %%edx, %%edx\n xrstor64 %c[fxsave](%%r8)\n"

// The way out: state stored, reason in R13D.
#define LEAVE                                                                                                         \
    "cmpb $0, %c[loaded](%%r8)\n je 1f\n" STORE_VECTORS "1: cmpb $0, %c[x87](%%r8)\n je 8f\n" STORE_X87 "8:\n"        \
    LEAVE_WITHOUT_VECTORS
#define CLOSE_GATES                                                                                                   \
    "movb $0, %c[loaded](%%r8)\n"                                                                                     \
    "lea tz_translated_load_sse(%%rip), %%rax\n mov %%rax, %c[gate_sse](%%r8)\n"                                      \
    "lea tz_translated_load_avx(%%rip), %%rax\n mov %%rax, %c[gate_avx](%%r8)\n"                                      \
    "lea tz_translated_load_x87(%%rip), %%rax\n mov %%rax, %c[gate_x87](%%r8)\n"
#define LEAVE_WITHOUT_VECTORS                                                                                         \
    CLOSE_GATES                                                                                                       \
    "mov %%r13d, %%eax\n" USE_HOST_STACK                                                                              \
    "add $8, %%rsp\n pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbx\n pop %%rbp\n ret\n"

GATE uint32_t tz_translated_enter(tz_cpu *state, const void *code) {
    CODE("push %%rbp\n push %%rbx\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n sub $8, %%rsp\n"
         "mov %%rdi, %%r8\n mov %%rsi, %%r13\n mov %%rsp, %c[host_stack](%%r8)\n"
         "stmxcsr %c[host_mxcsr](%%r8)\n" LOAD_ALL GO_TO_R13);
}

GATE void tz_translated_exit(void) {
    CODE(STATE_OF_JUMP STORE_RAX STORE_FLAGS("arithmetic") STORE_OTHERS "mov %%r15, %c[exit_value](%%r8)\n" LEAVE);
}

GATE void tz_translated_exit_saved(void) {
    CODE(STATE_OF_JUMP STORE_RAX STORE_OTHERS "mov %%r15, %c[exit_value](%%r8)\n" LEAVE);
}

static GATE void left_by_signal(void) {
    CODE(STATE_OF_JUMP STORE_RAX STORE_FLAGS("exit_arithmetic") STORE_OTHERS "mov $%c[by_signal], %%r13d\n" LEAVE);
}

GATE void tz_translated_leave_here(void) {
    CODE(STATE_OF_CALL STORE_RAX STORE_OTHERS
         "mov -8(%%r8), %%rax\n mov %%rax, %c[exit_address](%%r8)\n mov $%c[by_signal], %%r13d\n" LEAVE);
}

// Where the handler is, for whoever looks (`ExactPlace`): a block of one instruction, and the instructions before it.
#define PLACE                                                                                                         \
    "mov %%r15, %c[block_start](%%r8)\n movzbl %c[length](%%r15), %%eax\n sub %%rax, %%r13\n"                           \
    "mov %%r13, %c[block_rip](%%r8)\n mov %c[counted](%%r8), %%rax\n add %c[limit](%%r8), %%rax\n"                    \
    "sub %c[behind](%%r8), %%rax\n mov %%rax, %c[instructions](%%r8)\n"

// Whoever walks the stack from the handler finds its end here: a return address of 0.
#define STEP                                                                                                          \
    STORE_OTHERS "add %c[code_base](%%r8), %%r13\n mov %%r13, %c[rip](%%r8)\n mov %%r15, %c[exit_value](%%r8)\n"       \
    "mov %%r15, %c[block_end](%%r8)\n mov (%%rsp), %%rax\n mov %%rax, %c[exit_address](%%r8)\n" USE_HOST_STACK         \
    PLACE                                                                                                             \
    "mov %%r8, %%rbx\n movzbl %c[loaded](%%r8), %%r12d\n test %%r12d, %%r12d\n je 2f\n" STORE_VECTORS "2:\n"          \
    "movzbl %c[x87](%%r8), %%r13d\n test %%r13d, %%r13d\n je 8f\n" STORE_X87 "8:\n"                                   \
    "mov %%r8, %%rdi\n mov %c[exit_value](%%r8), %%r15\n mov %%r15, %%rsi\n"                                            \
    "push $0\n push $0\n call *%c[handler](%%r15)\n add $16, %%rsp\n mov %%rbx, %%r8\n"                                \
    "cmpb $0, %c[fault](%%r8)\n jne 7f\n cmpq $0, %c[block_end](%%r8)\n je 5f\n"                                      \
    "test %%r12d, %%r12d\n je 3f\n" LOAD_VECTORS "3: test %%r13d, %%r13d\n je 9f\n" LOAD_X87 "9:\n" LOAD_ALL RETURN   \
    "5: test %%r13d, %%r13d\n jne 4f\n mov %%r8, %%rdi\n call tz_translated_next\n mov %%rbx, %%r8\n"                 \
    "test %%rax, %%rax\n je 4f\n"                                                                                     \
    "6: mov %%rax, %%r13\n" CLOSE_GATES "mov %%r13, %%rax\n" GO_TO_ENTRY(LOAD_REGISTERS)                               \
    "7: test %%r13d, %%r13d\n jne 4f\n mov %%r8, %%rdi\n push $0\n push $0\n call tz_translated_faulted\n"            \
    "add $16, %%rsp\n mov %%rbx, %%r8\n test %%rax, %%rax\n jne 6b\n mov $%c[by_fault], %%r13d\n jmp 10f\n"          \
    "4: mov $%c[by_step], %%r13d\n 10:\n" LEAVE_WITHOUT_VECTORS

GATE void tz_translated_step(void) {
    CODE(STATE_OF_CALL STORE_RAX STORE_FLAGS("arithmetic") "movb $0, %c[lost](%%r8)\n" STEP);
}

GATE void tz_translated_step_saved(void) { CODE(STATE_OF_CALL STORE_RAX "movb $0, %c[lost](%%r8)\n" STEP); }

GATE void tz_translated_step_lost(void) { CODE(STATE_OF_CALL STORE_RAX "movb $1, %c[lost](%%r8)\n" STEP); }

// Called by assembly alone, while vector registers may be the guest's. Copies by the C library would use them.
#define BY_ASSEMBLY __attribute__((used, no_builtin("memcpy", "memmove"))) TZ_WITHOUT_VECTORS

// The translation at RIP, where nothing asks for the dispatcher. Of the block's instructions at the gate those behind the one
// there have not retired, and it has or has not.
BY_ASSEMBLY static const tz_jump_entry *entry_behind_gate(tz_cpu *state, int64_t retired) {
    bool is_plain = ((state->shadow & (TZ_SHADOW_STI | TZ_SHADOW_MOV_SS)) | (state->breakpoints & TZ_STEPS) | state->alignment_checks |
                     state->trap_after) == 0 &&
                    state->plain_code && (state->cpl & 1) == state->cpl >> 1;
    if (!is_plain) return NULL;
    const tz_jump_entry *entry = tz_find_entry(state, state->rip, state->tlb_context);
    if (!entry) return NULL;
    if (state->breakpoints == TZ_RESUMES) {
        state->system_flags &= ~(uint64_t)TZ_RFLAGS_RF;
        state->breakpoints = 0;
    }
    state->translated.counted += retired - (int64_t)state->translated.behind;
    return entry;
}

static const tz_jump_entry *next_entry(tz_cpu *state) __asm__("tz_translated_next");
BY_ASSEMBLY static const tz_jump_entry *next_entry(tz_cpu *state) {
    // Flags that were nowhere at the gate are worked out first.
    return state->translated.flags_lost ? NULL : entry_behind_gate(state, 1);
}

static const tz_jump_entry *faulted(tz_cpu *state) __asm__("tz_translated_faulted");
BY_ASSEMBLY static const tz_jump_entry *faulted(tz_cpu *state) {
    state->block_start = NULL;
    state->translated.deliver_fault(state);
    return entry_behind_gate(state, 0);
}

GATE void tz_translated_proceed(void) {
    CODE(STATE_OF_JUMP STORE_RAX STORE_OTHERS USE_HOST_STACK
         "mov %%r8, %%rbx\n mov %%r8, %%rdi\n call tz_translated_next\n mov %%rbx, %%r8\n"
         "test %%rax, %%rax\n je 4f\n" GO_TO_ENTRY(LOAD_REGISTERS)
         "4: mov $%c[by_step], %%r13d\n" LEAVE);
}

static const tz_jump_entry *follow(tz_cpu *state, uint32_t link, uint32_t offset) __asm__("tz_translated_followed");
BY_ASSEMBLY static const tz_jump_entry *follow(tz_cpu *state, uint32_t link, uint32_t offset) {
    uint8_t *follows = &state->translated.follows[link];
    if (*follows == TZ_FOLLOWED_OFTEN) return NULL;
    ++*follows;
    return tz_find_entry(state, state->translated.code_base + offset, state->tlb_context);
}

#define FOLLOW                                                                                                        \
    STORE_OTHERS "mov %%r15, %c[exit_value](%%r8)\n" USE_HOST_STACK                                                   \
    "mov %%r8, %%rbx\n mov %%r8, %%rdi\n mov %%r15d, %%esi\n mov %%r13d, %%edx\n shr $%c[offset], %%edx\n"            \
    "call tz_translated_followed\n mov %%rbx, %%r8\n test %%rax, %%rax\n je 4f\n" GO_TO_ENTRY(LOAD_REGISTERS)         \
    "4:\n" LEAVE

GATE void tz_translated_follow(void) { CODE(STATE_OF_JUMP STORE_RAX STORE_FLAGS("arithmetic") FOLLOW); }

GATE void tz_translated_follow_saved(void) { CODE(STATE_OF_JUMP STORE_RAX FOLLOW); }

// Where the TLB's fetch entries say that the address leads, if the translation there was last found at this place.
BY_ASSEMBLY const tz_jump_entry *tz_look_further(tz_cpu *state, uint64_t rip, uint64_t context) {
    tz_translated *t = &state->translated;
    if (state->code_width != 8) return NULL;
    bool is_user = context == TZ_TLB_USER;
    uint64_t slot = (is_user ? TZ_TLB_USER : TZ_TLB_SUPERVISOR) * (uint64_t)TZ_TLB_ENTRIES + (rip >> 12 & (TZ_TLB_ENTRIES - 1));
    const tz_tlb_entry *fetches = state->tlb + TZ_TLB_FETCH * TZ_TLB_CONTEXTS * TZ_TLB_ENTRIES;
    if ((rip ^ fetches[slot].tag) > 0xfff) return NULL;
    const uint64_t *pages = (const uint64_t *)((const char *)state->tlb + TZ_TLB_PHYSICAL_OFFSET);
    uint64_t physical = pages[slot] | (rip & 0xfff);
    const tz_index_entry *known = &t->index[tz_index_slot(physical)];
    if (known->key != (physical | (state->code_mode | context << 4) << TZ_INDEX_MODE_SHIFT)) return NULL;
    uint64_t code_base = rip & ~(uint64_t)0xfff;
    if (known->page->epoch != t->code_epochs[is_user] || known->page->place != code_base + t->code_salt) return NULL;
    tz_jump_entry *entry = &t->jump_table[rip & (TZ_JUMP_ENTRIES - 1)];
    *entry = (tz_jump_entry){.key = rip ^ t->mode_salts[context], .landing = known->landing, .code_base = code_base,
                             .head_registers = known->head_registers};
    return entry;
}

// C that needs no more than the stack below the state: the state in RDI.
#define CALL_C(function)                                                                                              \
    "push %%rax\n push %%rcx\n push %%rdx\n push %%rsi\n push %%rdi\n push %%r8\n push %%r9\n push %%r10\n push %%r11\n" \
    "lea 80(%%rsp), %%rdi\n mov %%r15, %%rsi\n mov %%r13, %%rdx\n" function                                           \
    "pop %%r11\n pop %%r10\n pop %%r9\n pop %%r8\n pop %%rdi\n pop %%rsi\n pop %%rdx\n pop %%rcx\n pop %%rax\n"

// The RIP is mixed with the salt of its context; what that gives if attention was asked for since is not in the index. Returns the
// entry's number in eighths of its size, plus 1; 0 if there is none.
static uint64_t look_up(tz_cpu *state, uint64_t mixed) __asm__("tz_translated_looked_up");
BY_ASSEMBLY static uint64_t look_up(tz_cpu *state, uint64_t mixed) {
    uint64_t context = state->tlb_context;
    uint64_t rip = mixed ^ __atomic_load_n(&state->translated.jump_salts[context], __ATOMIC_RELAXED);
    if (!tz_open_lookups(state)) return 0;
    const tz_jump_entry *entry = tz_look_further(state, rip, context);
    return entry ? (uint64_t)(entry - state->translated.jump_table) * (sizeof *entry / 8) + 1 : 0;
}

GATE void tz_translated_look_up(void) {
    CODE(CALL_C("call tz_translated_looked_up\n mov %%rax, %%r13\n") "sub $1, %%r13\n ret\n");
}

// RFLAGS without RF and VM. Of the arithmetic flags as LAHF and SETO leave them, OF is bit 0 and the others are the second byte.
GATE void tz_translated_flags(void) {
    CODE("push %%rax\n movzwl 16+%c[arithmetic](%%rsp), %%eax\n mov %%eax, %%r13d\n shr $8, %%eax\n and $0xd5, %%eax\n"
         "and $1, %%r13d\n shl $11, %%r13d\n or %%rax, %%r13\n or 16+%c[system_flags](%%rsp), %%r13\n"
         "and $~0x30000, %%r13\n pop %%rax\n ret\n");
}

GATE void tz_translated_nothing_to_load(void) { CODE("ret\n"); }

#define GATE_IS_CLOSED                                                                                                \
    "6: add $127, %%al\n sahf\n mov %%r15, %%rax\n pop %%r15\n mov %%r15, %c[exit_address](%%r8)\n"                      \
    "mov 64(%%r8), %%r8\n mov $%c[by_vectors], %%r13d\n jmp tz_translated_exit\n"

// The bits of `fpu_gates` are those of `NativeGate`: 2 is SSE, 3 is AVX.
#define LOAD_FOR(bit, open_avx)                                                                                       \
    STATE_OF_CALL "mov %%rax, %%r15\n lahf\n seto %%al\n testb $" bit ", %c[gates](%%r8)\n jne 6f\n"                   \
    "cmpb $0, %c[loaded](%%r8)\n jne 5f\n" LOAD_VECTORS "movb $1, %c[loaded](%%r8)\n5:\n"                             \
    "lea tz_translated_nothing_to_load(%%rip), %%r13\n mov %%r13, %c[gate_sse](%%r8)\n" open_avx                      \
    "add $127, %%al\n sahf\n mov %%r15, %%rax\n mov 64(%%r8), %%r8\n ret\n"                                            \
    GATE_IS_CLOSED

GATE void tz_translated_load_sse(void) {
    CODE(LOAD_FOR("4", "testb $8, %c[gates](%%r8)\n jne 7f\n mov %%r13, %c[gate_avx](%%r8)\n7:\n"));
}

// Bits 0 and 1 of `fpu_gates` are x87 and MMX.
GATE void tz_translated_load_x87(void) {
    CODE(STATE_OF_CALL "mov %%rax, %%r15\n lahf\n seto %%al\n testb $3, %c[gates](%%r8)\n jne 6f\n"
         "cmpb $0, %c[x87](%%r8)\n jne 5f\n mov %%rdx, %%r13\n push %%rax\n" LOAD_X87
         "pop %%rax\n mov %%r13, %%rdx\n movb $1, %c[x87](%%r8)\n"
         "5: lea tz_translated_nothing_to_load(%%rip), %%r13\n mov %%r13, %c[gate_x87](%%r8)\n"
         "add $127, %%al\n sahf\n mov %%r15, %%rax\n mov 64(%%r8), %%r8\n ret\n" GATE_IS_CLOSED);
}

GATE void tz_translated_load_avx(void) { CODE(LOAD_FOR("8", "mov %%r13, %c[gate_avx](%%r8)\n")); }

// The probe of the TLB that generated code has in line elsewhere, for the table that is in force.
#define MICRO(table)                                                                                                  \
    "push %%rax\n push %%rcx\n push %%rdx\n movzwl %%r13w, %%edx\n shr $16, %%r13d\n"                                 \
    "xor 32+%c[micro](%%rsp,%%rdx), %%r15\n mov 32+%c[" table "](%%rsp), %%rax\n"                                     \
    "mov %%r15d, %%ecx\n shr $8, %%ecx\n and $%c[mask], %%ecx\n add %%rcx, %%rax\n"                                   \
    "xor (%%rax), %%r15\n cmp %%r13, %%r15\n mov %%ecx, %%r13d\n ja 1f\n"                                             \
    "mov (%%rax), %%rcx\n mov %%rcx, 32+%c[micro](%%rsp,%%rdx)\n mov 8(%%rax), %%rax\n"                               \
    "mov %%rax, 40+%c[micro](%%rsp,%%rdx)\n add %%rax, %%r15\n"                                                       \
    "shr $12, %%rcx\n mov $1, %%eax\n shl %%cl, %%rax\n or %%rax, 32+%c[micro_pages](%%rsp)\n clc\n"                  \
    "2: pop %%rdx\n pop %%rcx\n pop %%rax\n ret\n 1: stc\n jmp 2b\n"

GATE void tz_translated_micro_read(void) { CODE(MICRO("tlb_read")); }

GATE void tz_translated_micro_write(void) { CODE(MICRO("tlb_write")); }

// Walks the page tables for what the TLB does not have.
#define REACH(writes)                                                                                                 \
    STATE_OF_CALL STORE_RAX STORE_OTHERS USE_HOST_STACK                                                               \
    "mov %%r8, %%rbx\n movzbl %c[loaded](%%r8), %%r12d\n test %%r12d, %%r12d\n je 2f\n" STORE_VECTORS                   \
    "2: mov %%r8, %%rdi\n mov %%r15, %%rsi\n mov %%r13, %%rdx\n mov $" writes ", %%ecx\n call *%c[reach](%%rdi)\n"      \
    "mov %%rbx, %%r8\n mov %%rax, %%r15\n test %%r12d, %%r12d\n je 3f\n" LOAD_VECTORS                                 \
    "3:\n" LOAD_REGISTERS "cmp $1, %%r15\n" RETURN

static void reach_read(void) __asm__("tz_translated_reach_read");
static GATE void reach_read(void) { CODE(REACH("0")); }

static void reach_write(void) __asm__("tz_translated_reach_write");
static GATE void reach_write(void) { CODE(REACH("1")); }

// The pages of the first and of the last byte, as probes find them; they have to be neighbours in the host's memory too.
#define SPAN(table, reach)                                                                                            \
    "push %%rax\n push %%rcx\n push %%rdx\n push %%r15\n push %%r13\n mov 48+%c[" table "](%%rsp), %%rax\n"            \
    "lea -1(%%r15,%%r13), %%r13\n mov %%r15d, %%edx\n shr $8, %%edx\n and $%c[mask], %%edx\n"                           \
    "mov %%r13d, %%ecx\n shr $8, %%ecx\n and $%c[mask], %%ecx\n"                                                      \
    "xor (%%rax,%%rdx), %%r15\n cmp $0xfff, %%r15\n ja 1f\n xor (%%rax,%%rcx), %%r13\n cmp $0xfff, %%r13\n ja 1f\n"     \
    "add 8(%%rax,%%rdx), %%r15\n cmp %%edx, %%ecx\n je 2f\n"                                                          \
    "mov 8(%%rax,%%rdx), %%rdx\n add $4096, %%rdx\n cmp %%rdx, 8(%%rax,%%rcx)\n jne 1f\n"                             \
    "2: add $16, %%rsp\n pop %%rdx\n pop %%rcx\n pop %%rax\n clc\n ret\n"                                            \
    "1: pop %%r13\n pop %%r15\n pop %%rdx\n pop %%rcx\n pop %%rax\n jmp " reach "\n"

GATE void tz_translated_span_read(void) { CODE(SPAN("tlb_read", "tz_translated_reach_read")); }

GATE void tz_translated_span_write(void) { CODE(SPAN("tlb_write", "tz_translated_reach_write")); }

BY_ASSEMBLY static void copy(uint8_t *to, const uint8_t *from, uint64_t size) {
    for (uint64_t n = 0; n < size; n++) to[n] = from[n];
}

static uint8_t *split(tz_cpu *state, uint64_t address, uint64_t size, bool writes) __asm__("tz_translated_split");
BY_ASSEMBLY static uint8_t *split(tz_cpu *state, uint64_t address, uint64_t size, bool writes) {
    const tz_tlb_entry *table = writes ? state->tlb_write : state->tlb_read;
    uint64_t last = address + size - 1;
    const tz_tlb_entry *entries[] = {&table[address >> 12 & (TZ_TLB_ENTRIES - 1)], &table[last >> 12 & (TZ_TLB_ENTRIES - 1)]};
    if ((address ^ entries[0]->tag) > 0xfff || (last ^ entries[1]->tag) > 0xfff) return NULL;
    tz_translated *t = &state->translated;
    t->split_parts[0] = (uint8_t *)(entries[0]->addend + (address & 0xfff));
    t->split_parts[1] = (uint8_t *)entries[1]->addend;
    t->split_sizes[0] = 4096 - (address & 0xfff);
    t->split_sizes[1] = size - t->split_sizes[0];
    if (t->split_parts[1] == t->split_parts[0] + t->split_sizes[0]) {
        t->split_sizes[0] = t->split_sizes[1] = 0;
        return t->split_parts[0];
    }
    // Instructions that ask for alignment find that of the guest's address.
    uint8_t *bytes = (uint8_t *)(((uintptr_t)t->split + 31 & ~(uintptr_t)31) + (address & 31));
    t->split_bytes = bytes;
    if (!writes) {
        copy(bytes, t->split_parts[0], t->split_sizes[0]);
        copy(bytes + t->split_sizes[0], t->split_parts[1], t->split_sizes[1]);
    }
    return bytes;
}

static void end_split(const tz_cpu *state) __asm__("tz_translated_end_split");
BY_ASSEMBLY static void end_split(const tz_cpu *state) {
    const tz_translated *t = &state->translated;
    copy(t->split_parts[0], t->split_bytes, t->split_sizes[0]);
    copy(t->split_parts[1], t->split_bytes + t->split_sizes[0], t->split_sizes[1]);
}

#define SPLIT(writes)                                                                                                 \
    CALL_C("mov $" writes ", %%ecx\n call tz_translated_split\n mov %%rax, %%r15\n") "cmp $1, %%r15\n ret\n"

GATE void tz_translated_split_read(void) { CODE(SPLIT("0")); }

GATE void tz_translated_split_write(void) { CODE(SPLIT("1")); }

GATE void tz_translated_split_end(void) { CODE(CALL_C("call tz_translated_end_split\n") "ret\n"); }

// MARK: Signals

enum { RANGES = 256 };
static struct {
    _Atomic(uintptr_t) begin, end;
} ranges[RANGES];
static atomic_flag adding = ATOMIC_FLAG_INIT;
static atomic_bool installed;
static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
static struct sigaction previous[sizeof signals / sizeof signals[0]];

static bool is_generated(uintptr_t address) {
    for (int n = 0; n < RANGES; n++) {
        if (address >= atomic_load(&ranges[n].begin) && address < atomic_load(&ranges[n].end)) return true;
    }
    return false;
}

static void handle(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    if (is_generated((uintptr_t)registers[REG_RIP])) {
        tz_cpu *state = (tz_cpu *)registers[REG_RSP];
        state->translated.exit_address = (uint64_t)registers[REG_RIP];
        registers[REG_RIP] = (greg_t)(uintptr_t)left_by_signal;
        return;
    }
    for (unsigned n = 0; n < sizeof signals / sizeof signals[0]; n++) {
        if (signals[n] == number) tz_chain_signal(&previous[n], number, info, context);
    }
}

static int install(void) {
    if (atomic_load(&installed)) return 0;
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (unsigned n = 0; n < sizeof signals / sizeof signals[0]; n++) {
        if (sigaction(signals[n], &action, &previous[n]) != 0) return -errno;
    }
    atomic_store(&installed, true);
    return 0;
}

int tz_translated_watch(const void *begin, const void *end) {
    while (atomic_flag_test_and_set(&adding)) {}
    int result = install();
    if (result == 0) {
        result = -ENOSPC;
        for (int n = 0; n < RANGES; n++) {
            if (atomic_load(&ranges[n].end) != 0) continue;
            atomic_store(&ranges[n].begin, (uintptr_t)begin);
            atomic_store(&ranges[n].end, (uintptr_t)end);
            result = 0;
            break;
        }
    }
    atomic_flag_clear(&adding);
    return result;
}

void tz_translated_unwatch(const void *begin) {
    while (atomic_flag_test_and_set(&adding)) {}
    for (int n = 0; n < RANGES; n++) {
        if (atomic_load(&ranges[n].begin) == (uintptr_t)begin) atomic_store(&ranges[n].end, 0);
    }
    atomic_flag_clear(&adding);
}

const void *tz_translated_poll_pages(void) {
    void *pages = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return NULL;
    if (mprotect((char *)pages + 4096, 4096, PROT_NONE) != 0) {
        munmap(pages, 8192);
        return NULL;
    }
    return pages;
}

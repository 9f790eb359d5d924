// SYSCALL and SYSRET of 64-bit code without leaving generated code, as `CPU.systemCall` and `systemReturn` do them: where
// the target is translated and nothing is out of the ordinary. Everything else is declined before anything has changed,
// and left to the handler. No vector register may be touched: they may be the guest's.
#include "translated_code.h"
#include "gates.h"

enum {
    RFLAGS_ARITHMETIC = 0x8d5,
    RFLAGS_TF = 1 << 8,
    RFLAGS_IF = 1 << 9,
    RFLAGS_RF = 1 << 16,
    RFLAGS_AC = 1 << 18,
    RFLAGS_SYSRET = 0x3c7fd7, // what SYSRET takes from R11
    EFER_SCE = 1 << 0,
    CR0_AM = 1 << 18,
    CR4_SMAP = 1 << 21,
    DPL_SHIFT = 5,
};

#define WITHOUT_VECTORS TZ_WITHOUT_VECTORS

WITHOUT_VECTORS static uint64_t rflags(const tz_cpu *state) {
    return state->system_flags | (state->arithmetic >> 8 & 0xd5) | (state->arithmetic & 1) << 11;
}

WITHOUT_VECTORS static tz_segment flat(uint64_t selector, uint32_t attributes) {
    return (tz_segment){.selector = (uint16_t)selector, .limit = UINT32_MAX, .attributes = attributes};
}

// Goes to `rip` with new flags and a new privilege level, if the jump table has it.
WITHOUT_VECTORS static const tz_jump_entry *transfer(tz_cpu *state, uint64_t rip, uint64_t flags, uint8_t cpl) {
    bool user = cpl == 3;
    unsigned context = user                                              ? TZ_TLB_USER
                       : (state->cr4 & CR4_SMAP && flags & RFLAGS_AC) ? TZ_TLB_SUPERVISOR_AC
                                                                         : TZ_TLB_SUPERVISOR;
    // Both sides are 64-bit code.
    const tz_jump_entry *entry = tz_find_entry(state, rip, context);
    if (!entry) return NULL;
    tz_tlb_entry *tables = state->tlb;
    state->tlb_read = tables + (TZ_TLB_READ * TZ_TLB_CONTEXTS + context) * TZ_TLB_ENTRIES;
    state->tlb_write = tables + (TZ_TLB_WRITE * TZ_TLB_CONTEXTS + context) * TZ_TLB_ENTRIES;
    // SMAP is nothing to fetches.
    unsigned fetch = user ? TZ_TLB_USER : TZ_TLB_SUPERVISOR;
    state->tlb_fetch = tables + (TZ_TLB_FETCH * TZ_TLB_CONTEXTS + fetch) * TZ_TLB_ENTRIES;
    state->tlb_context = (uint8_t)context;
    state->cpl = cpl;
    state->rip = rip;
    state->system_flags = (flags & ~(uint64_t)RFLAGS_ARITHMETIC) | 2;
    state->arithmetic = (flags & 0xd5) << 8 | (flags >> 11 & 1);
    return entry;
}

WITHOUT_VECTORS static bool is_ordinary(const tz_cpu *state, uint64_t flags) {
    uint8_t special = state->shadow & (TZ_SHADOW_STI | TZ_SHADOW_MOV_SS);
    special |= state->breakpoints | state->alignment_checks | state->trap_after;
    return special == 0 && state->efer & EFER_SCE && (flags & (RFLAGS_TF | RFLAGS_RF)) == 0;
}

WITHOUT_VECTORS const tz_jump_entry *tz_system_call(tz_cpu *state, uint64_t next) {
    uint64_t flags = rflags(state);
    if (!is_ordinary(state, flags)) return NULL;
    const tz_jump_entry *entry = transfer(state, state->lstar, flags & ~(state->sfmask | RFLAGS_RF), 0);
    if (!entry) return NULL;
    state->gpr[1] = next;
    state->gpr[11] = flags;
    uint64_t selector = state->star >> 32 & 0xfffc;
    state->segments[TZ_CS] = flat(selector, state->translated.flat_code);
    state->segments[TZ_SS] = flat(selector + 8, state->translated.flat_data);
    return entry;
}

WITHOUT_VECTORS const tz_jump_entry *tz_system_return(tz_cpu *state) {
    uint64_t target = state->gpr[1];
    uint64_t flags = (state->gpr[11] & RFLAGS_SYSRET) | 2;
    bool is_canonical = (uint64_t)((int64_t)(target << 16) >> 16) == target;
    if (!is_ordinary(state, flags) || state->cpl != 0 || !is_canonical) return NULL;
    if (flags & RFLAGS_AC && state->cr0 & CR0_AM) return NULL;
    if (flags & RFLAGS_IF && state->interrupt_waits) return NULL;
    const tz_jump_entry *entry = transfer(state, target, flags, 3);
    if (!entry) return NULL;
    uint64_t base = state->star >> 48;
    uint32_t level = 3u << DPL_SHIFT;
    state->segments[TZ_CS] = flat((base + 16) | 3, state->translated.flat_code | level);
    if (state->translated.keeps_ss_on_sysret) {
        state->segments[TZ_SS].selector = (uint16_t)((base + 8) | 3);
        state->segments[TZ_SS].attributes |= level;
    } else {
        state->segments[TZ_SS] = flat((base + 8) | 3, state->translated.flat_data | level);
    }
    return entry;
}

// The guest's registers that C may change; RCX and R11 of the guest are in the state afterwards, like the others'.
#define STORE_CHANGED                                                                                                 \
    "mov %%rax, (%%r8)\n mov %%rcx, 8(%%r8)\n mov %%rdx, 16(%%r8)\n mov %%r11, 32(%%r8)\n mov %%rsi, 48(%%r8)\n"      \
    "mov %%rdi, 56(%%r8)\n mov %%r9, 72(%%r8)\n mov %%r10, 80(%%r8)\n"
#define LOAD_CHANGED                                                                                                  \
    "mov (%%r8), %%rax\n mov 8(%%r8), %%rcx\n mov 16(%%r8), %%rdx\n mov 32(%%r8), %%r11\n mov 48(%%r8), %%rsi\n"      \
    "mov 56(%%r8), %%rdi\n mov 72(%%r8), %%r9\n mov 80(%%r8), %%r10\n"
// What declines leaves an address of this file in `exit_address`: nobody asks for it while flags are saved, and x87 instructions
// are stored before.
#define CALL(function)                                                                                                \
    STATE_OF_JUMP STORE_CHANGED USE_HOST_STACK                                                                        \
    "mov %%r8, %%rdi\n mov %c[code_base](%%r8), %%rsi\n add %%r13, %%rsi\n"                                           \
    "push %%r8\n push %%r8\n call " function "\n pop %%r8\n pop %%r8\n"                                               \
    "test %%rax, %%rax\n je 1f\n" GO_TO_ENTRY(LOAD_CHANGED)                                                           \
    "1:\n" LOAD_CHANGED "mov %%r8, %%rsp\n mov 64(%%r8), %%r8\n"                                                      \
    "call tz_translated_step_saved\n jmp tz_translated_proceed\n"
#define OPERANDS                                                                                                      \
    [code_base] "i"(offsetof(tz_cpu, translated.code_base)), [landing] "i"(offsetof(tz_jump_entry, landing)),         \
        [jump_table] "i"(offsetof(tz_cpu, translated.jump_table)),                                                    \
        [exit_value] "i"(offsetof(tz_cpu, translated.exit_value)),                                                    \
        [host_stack] "i"(offsetof(tz_cpu, translated.host_stack))

__attribute__((naked)) void tz_translated_system_call(void) { __asm__ volatile(CALL("tz_system_call") : : OPERANDS); }
__attribute__((naked)) void tz_translated_system_return(void) {
    __asm__ volatile(CALL("tz_system_return") : : OPERANDS);
}

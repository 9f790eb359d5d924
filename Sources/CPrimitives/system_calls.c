// SYSCALL and SYSRET of 64-bit code without leaving generated code, as `CPU.systemCall` and `systemReturn` do them: where
// the target is translated and nothing is out of the ordinary. In assembly first, where the jump table has the target as an
// indirect jump would find it; what that declines is tried in C, which opens lookups and looks further, and knows RFLAGS.AC.
// Everything else is declined before anything has changed, and left to the handler. No vector register may be touched:
// they may be the guest's.
#include "translated_code.h"
#include "gates.h"

enum {
    RFLAGS_ARITHMETIC = 0x8d5,
    RFLAGS_TF = 1 << 8,
    RFLAGS_IF = 1 << 9,
    RFLAGS_RF = 1 << 16,
    RFLAGS_AC = 1 << 18,
    RFLAGS_SYSRET = 0x3c7fd7, // what SYSRET takes from R11
    RFLAGS_DECLINED = RFLAGS_TF | RFLAGS_RF | RFLAGS_AC, // by assembly
    EFER_SCE = 1 << 0,
    CR0_AM = 1 << 18,
    CR4_SMAP = 1 << 21,
    DPL_3 = 3 << 5,
    SHADOWS = TZ_SHADOW_STI | TZ_SHADOW_MOV_SS,
};

#define WITHOUT_VECTORS TZ_WITHOUT_VECTORS

WITHOUT_VECTORS static uint64_t rflags(const tz_cpu *state) {
    return state->system_flags | (state->arithmetic >> 8 & 0xd5) | (state->arithmetic & 1) << 11;
}

WITHOUT_VECTORS static tz_segment flat(uint64_t selector, uint64_t hidden) {
    return (tz_segment){.selector = (uint16_t)selector, .limit = (uint32_t)hidden, .attributes = (uint32_t)(hidden >> 32)};
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
    uint8_t special = state->shadow & SHADOWS;
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
    state->segments[TZ_CS] = flat(selector, state->translated.call_code);
    state->segments[TZ_SS] = flat(selector + 8, state->translated.call_data);
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
    state->segments[TZ_CS] = flat((base + 16) | 3, state->translated.return_code);
    if (state->translated.keeps_ss_on_sysret) {
        state->segments[TZ_SS].selector = (uint16_t)((base + 8) | 3);
        state->segments[TZ_SS].attributes |= DPL_3;
    } else {
        state->segments[TZ_SS] = flat((base + 8) | 3, state->translated.return_data);
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

// The way in assembly, with the state at RSP. Where it declines, at 8 or 9, R8, R13 and R15 are what they were.
#define IS_ORDINARY                                                                                                   \
    "testl $%c[special], %c[shadow](%%rsp)\n jne 9f\n testb $%c[sce], %c[efer](%%rsp)\n je 9f\n"
// The target is in R8, and the table's entry in R15 then. No lookup succeeds while attention is asked for.
#define LOOK_UP(context)                                                                                              \
    "mov %%r15, %c[exit_value](%%rsp)\n lea (,%%r8,4), %%r15d\n and $%c[eighths], %%r15d\n"                           \
    "xor %c[jump_salts]+8*%c[" context "](%%rsp), %%r8\n shl $3, %%r15\n add %c[jump_table](%%rsp), %%r15\n"          \
    "cmp %%r8, (%%r15)\n jne 8f\n"
// From here on nothing declines. R13 names the entry to its landing.
#define TAKE_ENTRY "mov %%r15, %%r13\n sub %c[jump_table](%%rsp), %%r13\n shr $3, %%r13\n"
// New flags are in R8.
#define SET_FLAGS                                                                                                     \
    "mov %%r8, %%r15\n and $~%c[arithmetic_flags], %%r15\n or $2, %%r15\n mov %%r15, %c[system_flags](%%rsp)\n"       \
    "mov %%r8d, %%r15d\n and $0xd5, %%r15d\n shl $8, %%r15d\n shr $11, %%r8d\n and $1, %%r8d\n or %%r8, %%r15\n"      \
    "mov %%r15, %c[arithmetic](%%rsp)\n movl $0, %c[flag_source](%%rsp)\n"
#define SET_LEVEL(level, context)                                                                                     \
    "movb $" level ", %c[cpl](%%rsp)\n movb $%c[" context "], %c[tlb_context](%%rsp)\n mov %c[tlb](%%rsp), %%r15\n"   \
    "lea %c[reads]+%c[" context "]*%c[table](%%r15), %%r8\n mov %%r8, %c[tlb_read](%%rsp)\n"                          \
    "lea %c[writes]+%c[" context "]*%c[table](%%r15), %%r8\n mov %%r8, %c[tlb_write](%%rsp)\n"                        \
    "lea %c[fetches]+%c[" context "]*%c[table](%%r15), %%r8\n mov %%r8, %c[tlb_fetch](%%rsp)\n"
// The selector is in R8, 16 bits of which count.
#define SET_SEGMENT(segment, hidden)                                                                                  \
    "movzwl %%r8w, %%r15d\n mov %%r15, %c[" segment "]+%c[selector](%%rsp)\n movq $0, %c[" segment "](%%rsp)\n"       \
    "mov %c[" hidden "](%%rsp), %%r15\n mov %%r15, %c[" segment "]+%c[limit](%%rsp)\n"
#define GO_TO_LANDING                                                                                                 \
    "mov %c[jump_table](%%rsp), %%r15\n mov %c[landing](%%r15,%%r13,8), %%r15\n mov 64(%%rsp), %%r8\n jmp *%%r15\n"
#define DECLINE "8: mov %c[exit_value](%%rsp), %%r15\n 7: mov 64(%%rsp), %%r8\n 9:\n"

#define SYSTEM_CALL                                                                                                   \
    IS_ORDINARY "testl $%c[declined], %c[system_flags](%%rsp)\n jne 9f\n mov %%r8, 64(%%rsp)\n"                       \
    "mov %c[lstar](%%rsp), %%r8\n" LOOK_UP("supervisor")                                                              \
    "mov %c[code_base](%%rsp), %%rcx\n add %%r13, %%rcx\n" TAKE_ENTRY                                                 \
    "movzbl %c[arithmetic]+1(%%rsp), %%r8d\n and $0xd5, %%r8d\n movzbl %c[arithmetic](%%rsp), %%r15d\n"               \
    "and $1, %%r15d\n shl $11, %%r15d\n or %%r15, %%r8\n or %c[system_flags](%%rsp), %%r8\n mov %%r8, 88(%%rsp)\n"    \
    "mov %c[sfmask](%%rsp), %%r15\n not %%r15\n and %%r15, %%r8\n" SET_FLAGS SET_LEVEL("0", "supervisor")             \
    "mov %c[star]+4(%%rsp), %%r8d\n and $0xfffc, %%r8d\n" SET_SEGMENT("cs", "call_code")                              \
    "add $8, %%r8d\n" SET_SEGMENT("ss", "call_data") GO_TO_LANDING DECLINE

#define SYSTEM_RETURN                                                                                                 \
    IS_ORDINARY "cmpb $0, %c[cpl](%%rsp)\n jne 9f\n cmpb $0, %c[interrupt_waits](%%rsp)\n jne 9f\n"                   \
    "testl $%c[declined], 88(%%rsp)\n jne 9f\n mov %%r8, 64(%%rsp)\n"                                                 \
    "mov %%rcx, %%r8\n shl $16, %%r8\n sar $16, %%r8\n cmp %%rcx, %%r8\n jne 7f\n" LOOK_UP("user") TAKE_ENTRY         \
    "mov 88(%%rsp), %%r8d\n and $%c[sysret_flags], %%r8d\n" SET_FLAGS SET_LEVEL("3", "user")                          \
    "movzwl %c[star]+6(%%rsp), %%r8d\n add $16, %%r8d\n or $3, %%r8d\n" SET_SEGMENT("cs", "return_code")              \
    "movzwl %c[star]+6(%%rsp), %%r8d\n add $8, %%r8d\n or $3, %%r8d\n"                                                \
    "cmpb $0, %c[keeps_ss](%%rsp)\n jne 5f\n" SET_SEGMENT("ss", "return_data") "6:\n" GO_TO_LANDING                   \
    "5: mov %%r8w, %c[ss]+%c[selector](%%rsp)\n orl $%c[dpl_3], %c[ss]+%c[attributes](%%rsp)\n jmp 6b\n" DECLINE

#define AT(name, field) [name] "i"(offsetof(tz_cpu, field))
#define TABLE(kind) "i"(kind * TZ_TLB_CONTEXTS * TZ_TLB_ENTRIES * sizeof(tz_tlb_entry))
#define OPERANDS                                                                                                      \
    AT(code_base, translated.code_base), AT(jump_table, translated.jump_table),                                       \
        AT(jump_salts, translated.jump_salts), AT(exit_value, translated.exit_value),                                 \
        AT(host_stack, translated.host_stack), AT(flag_source, translated.flag_source),                               \
        AT(call_code, translated.call_code), AT(call_data, translated.call_data),                                     \
        AT(return_code, translated.return_code), AT(return_data, translated.return_data),                             \
        AT(keeps_ss, translated.keeps_ss_on_sysret), AT(arithmetic, arithmetic), AT(system_flags, system_flags),      \
        AT(shadow, shadow), AT(interrupt_waits, interrupt_waits), AT(cpl, cpl), AT(efer, efer), AT(star, star),       \
        AT(lstar, lstar), AT(sfmask, sfmask), AT(cs, segments[TZ_CS]), AT(ss, segments[TZ_SS]), AT(tlb, tlb),         \
        AT(tlb_read, tlb_read), AT(tlb_write, tlb_write), AT(tlb_fetch, tlb_fetch), AT(tlb_context, tlb_context),     \
        [selector] "i"(offsetof(tz_segment, selector)), [limit] "i"(offsetof(tz_segment, limit)),                     \
        [attributes] "i"(offsetof(tz_segment, attributes)), [landing] "i"(offsetof(tz_jump_entry, landing)),          \
        [reads] TABLE(TZ_TLB_READ), [writes] TABLE(TZ_TLB_WRITE), [fetches] TABLE(TZ_TLB_FETCH),                      \
        [table] "i"(TZ_TLB_ENTRIES * sizeof(tz_tlb_entry)), [supervisor] "i"(TZ_TLB_SUPERVISOR),                      \
        [user] "i"(TZ_TLB_USER), [eighths] "i"((TZ_JUMP_ENTRIES - 1) * 4), [sce] "i"(EFER_SCE),                       \
        [declined] "i"(RFLAGS_DECLINED), [arithmetic_flags] "i"(RFLAGS_ARITHMETIC),                                   \
        [sysret_flags] "i"(RFLAGS_SYSRET), [special] "i"(0xffffff00u | SHADOWS), [dpl_3] "i"(DPL_3)

_Static_assert(offsetof(tz_jump_entry, key) == 0 && sizeof(tz_jump_entry) == 32, "entries are looked up in assembly");
_Static_assert(offsetof(tz_segment, base) == 0 && offsetof(tz_segment, attributes) == offsetof(tz_segment, limit) + 4 &&
                   sizeof(tz_segment) == offsetof(tz_segment, selector) + 8,
               "segments are stored in three");

__attribute__((naked)) void tz_translated_system_call(void) {
    __asm__ volatile(SYSTEM_CALL CALL("tz_system_call") : : OPERANDS);
}
__attribute__((naked)) void tz_translated_system_return(void) {
    __asm__ volatile(SYSTEM_RETURN CALL("tz_system_return") : : OPERANDS);
}

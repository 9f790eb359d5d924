// The border between generated code and everything else: how translated guest code is entered and left, the gates that
// it calls, and the signals that end it. Generated code keeps guest registers in host registers:
//
//     RAX RCX RDX RBX RBP RSI RDI R8 R9 R10 R12 R14   the guest's register of the same name
//     R11   the guest's RSP         R13 R15   temporary                       RSP   tz_cpu
//     guest R11 R13 R15: in tz_cpu.gpr   host arithmetic flags: the guest's   host DF: clear
//
// Vector registers and MXCSR are the guest's while `vectors_loaded` is set, x87 registers while `x87_loaded` is, but for the
// instruction and data pointers, which are in the state. What is below RSP is a stack for return addresses of gates and for
// the host's signals (`TZ_STACK_BELOW_STATE`); gates go to the thread's own before anything in C runs.
#ifndef TRAPEZE_TRANSLATED_CODE_H
#define TRAPEZE_TRANSLATED_CODE_H

#include "cpu_state.h"
#include "guest_memory.h"

#include <stdbool.h>

// Bytes below a vCPU's `tz_cpu` that generated code has for its stack. Signals of anybody's arrive there.
enum { TZ_STACK_BELOW_STATE = 1 << 17 };

// Why generated code was left: what `tz_translated_enter` returns.
enum {
    TZ_LEFT_BY_LINK,     // a jump that is not linked yet; `exit_value` is its number, `code_base` the target's
    TZ_LEFT_BY_STEP,     // an instruction that a handler executed ended the block; `exit_value` points to it
    TZ_LEFT_BY_FAULT,    // the fault of such an instruction was delivered
    TZ_LEFT_BY_SIGNAL,   // a poll, or an instruction that faulted on the host, at `exit_address`
    TZ_LEFT_BY_LANDING,  // the block that an indirect jump found is gone; `exit_value` and the offset make RIP
    TZ_LEFT_BY_BUDGET,   // the budget ends within the block that `exit_value` points to
    TZ_LEFT_BY_VECTORS,  // the block at `exit_address` needs vector registers, which the guest has switched off
    TZ_LEFT_REASON = 0xff,  // where this is; above it the offset of a block's beginning in its page, or 0
    TZ_LEFT_OFFSET_SHIFT = 8,
};

// Runs generated code until it leaves; registers are loaded from and stored to `state`.
uint32_t tz_translated_enter(tz_cpu *_Nonnull state, const void *_Nonnull code);

// Jumped to by generated code. `exit` and `exit_saved`: R13D is the reason, R15 the value; flags are in the host's, or
// saved in `arithmetic`.
void tz_translated_exit(void);
void tz_translated_exit_saved(void);

// The same by a jump that is not linked, to the offset in its page that R13D has above `TZ_LEFT_OFFSET_SHIFT`: goes on
// there if the target is found and the jump was not taken often yet.
void tz_translated_follow(void);
void tz_translated_follow_saved(void);
enum { TZ_FOLLOWED_OFTEN = 32 };

// Called by generated code, with the host's flags lost: leaves it as a signal would where it is called.
void tz_translated_leave_here(void);

// Jumped to after a handler that has set RIP, with flags saved: goes on with the translation there if the jump table has
// it and nothing asks for attention, and leaves with TZ_LEFT_BY_STEP otherwise.
void tz_translated_proceed(void);

// Called by generated code in 64-bit mode where the jump table does not have the target of an indirect jump: R15 is RIP, XOR the
// salt of its context. With CF clear R13 names the entry that has it now. Other flags are lost.
void tz_translated_look_up(void);

// Called by generated code. R15 points to a decoded instruction, R13 is the offset of the next one from `code_base`: runs
// its handler on the state in memory, and returns unless that faulted, or ended the block: then it proceeds. A fault is delivered
// first.
void tz_translated_step(void);
void tz_translated_step_saved(void);
// The same while the flags are nowhere, since nothing but a fault needs them; `flags_lost` says so.
void tz_translated_step_lost(void);

// Called by PUSHF, with flags saved: R13 is what it pushes. The host's flags are lost.
void tz_translated_flags(void);

// Called by REP MOVS and REP STOS of so many bits in 64-bit mode, with flags saved, R15 and R13 as at `tz_translated_step`: does them,
// or has the handler do it. The host's flags are lost.
void tz_translated_move8(void);
void tz_translated_move16(void);
void tz_translated_move32(void);
void tz_translated_move64(void);
void tz_translated_store8(void);
void tz_translated_store16(void);
void tz_translated_store32(void);
void tz_translated_store64(void);

// Called by generated code where the micro-TLB does not have the page of an access: R15 is the linear address, XOR the tag that it
// was compared with; R13 is the offset of the entry in `micro_tlb`, and above 16 bits 4096 minus the number of bytes. With CF clear
// R15 is the host address, and the micro-TLB has the page now; with CF set the TLB does not have it, or the bytes reach into a
// second page: R15 and R13 are what a failed probe of the TLB leaves. Other flags are lost.
void tz_translated_micro_read(void);
void tz_translated_micro_write(void);

// Called by generated code where a probe fails for bytes that may reach into a second page, or whose page the TLB does not have: R15 is the linear address, R13 their
// number, 1 to 4096. With CF clear R15 is the host address of them all; with CF set they can't be reached without a fault or a
// flag in the page tables, or their pages are not neighbours in the host's memory. R15, R13 and the other flags are lost.
void tz_translated_span_read(void);
void tz_translated_span_write(void);

// The same for at most 64 bytes that one instruction reads, or writes and does not read. Pages that are not neighbours do too: R15
// is the address of a copy then. Behind the instruction that writes, `split_end` is called, which carries the bytes home.
void tz_translated_split_read(void);
void tz_translated_split_write(void);
void tz_translated_split_end(void);

// Jumped to by SYSCALL and by SYSRET to 64-bit code, with flags saved, R15 and R13 as at `tz_translated_step`: goes on with the
// translation of the target, or has the handler do it.
void tz_translated_system_call(void);
void tz_translated_system_return(void);

// What `vector_gates` point to: loads vector registers if the guest may use them and returns.
void tz_translated_load_sse(void);
void tz_translated_load_avx(void);
// What `x87_gate` points to: the same for x87 and MMX registers.
void tz_translated_load_x87(void);
void tz_translated_nothing_to_load(void);

// From now on signals at instruction pointers in [begin, end) leave generated code with TZ_LEFT_BY_SIGNAL. Returns 0, or
// a negative errno; -ENOSPC when there are too many ranges.
int tz_translated_watch(const void *_Nonnull begin, const void *_Nonnull end);
void tz_translated_unwatch(const void *_Nonnull begin);

// Two pages, of which the second can't be read; null if there is no memory.
const void *_Nullable tz_translated_poll_pages(void);

// Sets attention flags from any thread, and stops generated code at its next poll or lookup.
static inline void tz_request_attention(tz_cpu *_Nonnull state, uint64_t bits) {
    (void)__atomic_fetch_or(&state->attention, bits, __ATOMIC_SEQ_CST);
    __atomic_store_n(&state->translated.poll, state->translated.poll_trap, __ATOMIC_SEQ_CST);
    for (int context = 0; context < TZ_TLB_CONTEXTS; context++)
        __atomic_store_n(&state->translated.jump_salts[context], state->translated.no_salt, __ATOMIC_SEQ_CST);
}

// Before the vCPU's own thread looks at its attention flags: what is set from now on stops the next poll.
static inline void tz_calm_polls(tz_cpu *_Nonnull state) {
    __atomic_store_n(&state->translated.poll, state->translated.poll_calm, __ATOMIC_SEQ_CST);
}

// Inlined into gates, where vector registers may be the guest's.
#define TZ_WITHOUT_VECTORS __attribute__((target("general-regs-only")))

// What tells translations of a mode and generation from others at the same address: `code_mode`, and the TLB context in bits 5:4.
// The mode is one that the current code segment has.
TZ_WITHOUT_VECTORS static inline uint64_t tz_jump_mode(const tz_cpu *_Nonnull state, uint64_t mode) {
    bool is_user = (mode & TZ_MODE_CONTEXT) >> 4 == TZ_TLB_USER;
    return state->translated.jump_generations[is_user] | mode << 48 | state->translated.code_salt;
}

// The salt of that: a number that nobody can foretell who does not know the secret (the finalizer of SplitMix64, twice).
TZ_WITHOUT_VECTORS static inline uint64_t tz_jump_salt(const tz_cpu *_Nonnull state, uint64_t jump_mode) {
    uint64_t z = jump_mode;
    for (int round = 0; round < 2; round++) {
        z += state->translated.salt_secret;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        z ^= z >> 31;
    }
    return z;
}

// On the vCPU's own thread, before it enters generated code or goes on in it: lookups in the current code segment's mode
// succeed until attention is asked for. Returns false if it is already.
TZ_WITHOUT_VECTORS static inline bool tz_open_lookups(tz_cpu *_Nonnull state) {
    tz_translated *t = &state->translated;
    bool were_open = true;
    for (uint64_t context = 0; context < TZ_TLB_CONTEXTS; context++) {
        uint64_t mode = tz_jump_mode(state, state->code_mode | context << 4);
        if (t->salted_modes[context] != mode) {
            t->salted_modes[context] = mode;
            t->mode_salts[context] = tz_jump_salt(state, mode);
        }
        if (__atomic_load_n(&t->jump_salts[context], __ATOMIC_RELAXED) == t->mode_salts[context]) continue;
        __atomic_store_n(&t->jump_salts[context], t->mode_salts[context], __ATOMIC_RELAXED);
        were_open = false;
    }
    // Whoever asks for attention closes lookups behind that: either he finds them open, or is found here.
    if (!were_open) __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&state->attention, __ATOMIC_SEQ_CST) == 0;
}

// The slot of `tz_translated.index` for a guest-physical address.
TZ_WITHOUT_VECTORS static inline uint64_t tz_index_slot(uint64_t physical) {
    return (physical ^ physical >> 13) & (TZ_INDEX_ENTRIES - 1);
}

// The table's entry for the translation at `rip` in a context, made anew if the TLB knows the page and the translation is
// known to be for that place; null otherwise.
const tz_jump_entry *_Nullable tz_look_further(tz_cpu *_Nonnull state, uint64_t rip, uint64_t context);

// The same with lookups opened and flags in the state; null also if attention is asked for.
TZ_WITHOUT_VECTORS static inline const tz_jump_entry *_Nullable tz_find_entry(
    tz_cpu *_Nonnull state, uint64_t rip, uint64_t context) {
    tz_translated *t = &state->translated;
    const tz_jump_entry *entry = &t->jump_table[rip & (TZ_JUMP_ENTRIES - 1)];
    if (!tz_open_lookups(state)) return NULL;
    if (entry->key != (rip ^ t->mode_salts[context])) {
        entry = tz_look_further(state, rip, context);
        if (!entry) return NULL;
    }
    t->flag_source = 0;
    return entry;
}

#endif

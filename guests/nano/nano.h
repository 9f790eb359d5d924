// nano: what single operations cost (after Adams and Agesen, "A Comparison of Software and Hardware Techniques for x86
// Virtualization", ASPLOS 2006, section 6.3).
//
// An operation is done eight times in each round of a loop, so that the loop counts for little. It counts itself, or is
// seen by what it leaves behind: an operation that did not take place fails, whatever its time.

#ifndef NANO_H
#define NANO_H

#include "clock.h"
#include "interrupts.h"
#include "traps.h"

enum { UNROLLED = 8 };
enum { VECTOR_SELF = 0x40, VECTOR_IPI = 0x41, VECTOR_SPURIOUS = 0xff, VECTOR_LEAVE = 0x80 };

struct operation {
    const char *name;
    // Whether it can be done here at all; NULL for always.
    bool (*offered)(void);
    // Before the first round, and after the last; NULL for nothing.
    void (*prepare)(void);
    void (*finish)(void);
    // Does it so many times `per_round`, and tells whether all took place.
    bool (*run)(uint64_t rounds);
    unsigned per_round;
};

extern const struct operation system_operations[], memory_operations[], interrupt_operations[];

// Calls `run(rounds)`. False, too, if a trap came that nobody expected: `abandon` then ends it from the handler.
bool attempt(bool (*run)(uint64_t), uint64_t rounds);
_Noreturn void abandon(void);

// True as long as `*value` is `old` and the time since `start` is within what any host may need: 5 * 10^9 cycles.
bool still_waiting(const volatile uint64_t *value, uint64_t old, uint64_t start);

// operations.S. Each does UNROLLED operations in a round.
uint64_t read_scratch(uint64_t rounds, uint16_t port);
void write_scratch(uint64_t rounds, uint16_t port);
void write_cr8_values(uint64_t rounds);
uint64_t call_and_return(uint64_t rounds);
uint64_t ask_cpuid(uint64_t rounds);
uint64_t read_device(uint64_t rounds, uintptr_t address);
uint64_t divide_by_zero(uint64_t rounds);
uint64_t touch_absent(uint64_t rounds, uintptr_t address);
void write_same_cr3(uint64_t rounds);
uint64_t switch_spaces(uint64_t rounds, uintptr_t one, uintptr_t other, uintptr_t address);
uint64_t modify_entry(uint64_t rounds, volatile uint64_t *entry, uint64_t flip, uintptr_t address);
extern const char count_division[], count_page_fault[], count_interrupt[], count_ipi[], syscall_entry[];
extern const char user_syscalls[];
extern volatile uint64_t interrupts_taken, ipis_taken, page_fault_errors;

#endif

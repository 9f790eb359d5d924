// smc: code that changes code (Intel SDM volume 3, 11.6 "Self-Modifying Code"). A write is seen by the very next
// instruction; if it went through another linear address, by what is executed behind a serializing one.
//
// Every case leaves its answer in EAX. Code is copied to a page of its own, and runs there.

#include "checks.h"
#include "console.h"
#include "pages.h"
#include "probe.h"

#define CODE 0x4000000000       // two pages of code, writable; the second's frame comes first
#define ALIAS 0x4000010000      // the same frames once more
#define OTHER 0x4000020000      // where a case remaps

static uint8_t frames[3][4096] __attribute__((aligned(4096)));

typedef uint32_t case_function(uint64_t argument);

#define CASE(name) extern const uint8_t name[], name##_end[];
#include "cases.h"

// Copies a case to `address` and returns it as a function.
static case_function *place(const uint8_t *from, const uint8_t *end, uint64_t address) {
    for (uint8_t *to = (uint8_t *)address; from < end; to++, from++) *to = *from;
    return (case_function *)address;
}

#define PLACE(name, address) place(name, name##_end, address)

// Functions of six bytes, `mov $value, %eax; ret`, written by C.
static void write_constant(uint64_t address, uint32_t value) {
    volatile uint8_t *code = (volatile uint8_t *)address;
    code[0] = 0xb8;
    for (int i = 0; i < 4; i++) code[1 + i] = (uint8_t)(value >> 8 * i);
    code[5] = 0xc3;
}

static void serialize(void) { cpuid(0, 0); }

static uint32_t call(uint64_t address) {
    uint32_t result;
    __asm__ volatile("call *%1" : "=a"(result) : "r"(address) : "memory", "cc", "rcx", "rdx", "rsi", "rdi");
    return result;
}

static void check_local(void) {
    check_value("the next instruction's immediate", PLACE(patch_next, CODE)(0), 2);
    check_value("  once more, patched back", PLACE(patch_next, CODE)(0), 2);
    check_value("the next instruction's opcode", PLACE(patch_opcode, CODE)(0), 11);
    check_value("a loop that counts its own immediate up", PLACE(patch_loop, CODE)(0), 5050);
    check_value("a loop that removes its own jump", PLACE(patch_jump, CODE)(0), 10);
    check_value("REP STOSB over the code behind it", PLACE(patch_by_rep, CODE)(0), 7);
    check_value("REP STOSB over its own first byte", PLACE(patch_rep_itself, CODE)(0), 0);
    check_value("the next instruction, by LOCK CMPXCHG8B", PLACE(patch_atomically, CODE)(0), 0x22);
    check_value("PUSH onto the next instruction", PLACE(patch_by_push, CODE)(0), 5);
}

static void check_many_times(void) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        write_constant(CODE, i);
        sum += call(CODE);
    }
    check_value("a function rewritten 1000 times", sum, 499500);
    // Data that shares the page with code, written often, must not change the code.
    write_constant(CODE, 3);
    sum = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        *(volatile uint32_t *)(CODE + 0x800) = i;
        sum += call(CODE) + *(volatile uint32_t *)(CODE + 0x800);
    }
    check_value("data beside code, written 1000 times", sum, 499500 + 3000);
}

static void check_pages_and_aliases(void) {
    write_constant(CODE + 0xffd, 0x11111111);
    check_value("an instruction across two pages", call(CODE + 0xffd), 0x11111111);
    *(volatile uint8_t *)(CODE + 0x1000) = 0x22;
    check_value("  its second page is patched", call(CODE + 0xffd), 0x11221111);
    *(volatile uint8_t *)(CODE + 0xfff) = 0x33;
    check_value("  its first page is patched", call(CODE + 0xffd), 0x11223311);
    *(volatile uint16_t *)(CODE + 0xfff) = 0x4455;
    check_value("  both, by one write", call(CODE + 0xffd), 0x11445511);

    write_constant(CODE + 0x100, 1);
    check_value("a function", call(CODE + 0x100), 1);
    write_constant(ALIAS + 0x100, 2);
    serialize();
    check_value("  patched through an alias", call(CODE + 0x100), 2);
    check_value("  called through the alias", call(ALIAS + 0x100), 2);
    write_constant(CODE + 0x100, 3);
    serialize();
    check_value("  patched, called through the alias", call(ALIAS + 0x100), 3);
    write_constant((uint64_t)frames[1] + 0x100, 4);
    serialize();
    check_value("  patched through the identity map", call(CODE + 0x100), 4);

    // The same linear address, another frame: no byte was written, yet the code is another.
    map_page(OTHER, (uint64_t)frames[1], PTE_P | PTE_W);
    write_constant(OTHER, 5);
    check_value("a function", call(OTHER), 5);
    write_constant((uint64_t)frames[2], 6);
    check_value("  unchanged", call(OTHER), 5);
    map_page(OTHER, (uint64_t)frames[2], PTE_P | PTE_W);
    check_value("  mapped to another frame", call(OTHER), 6);
    map_page(OTHER, (uint64_t)frames[1], PTE_P | PTE_W);
    check_value("  and back", call(OTHER), 5);

    // A function in each of two pages; the second page of a call chain is remapped.
    write_constant(CODE + 0x1200, 8);
    check_value("a tail jump into the next page", PLACE(jump_to_next_page, CODE + 0x200)(0), 8);
    map_page(CODE + 0x1000, (uint64_t)frames[2], PTE_P | PTE_W);
    write_constant(CODE + 0x1200, 9);
    check_value("  the next page mapped to another frame", call(CODE + 0x200), 9);
    map_page(CODE + 0x1000, (uint64_t)frames[0], PTE_P | PTE_W);
    check_value("  and back", call(CODE + 0x200), 8);
}

// Code in ring 3 patches itself; its page is writable for the user.
static void check_user(void) {
    PLACE(patch_in_user_mode, CODE + 0x300);
    *page_entry(CODE) |= PTE_U;
    invlpg(CODE);
    map_page(PROBE_USER_STACK, (uint64_t)frames[2], PTE_P | PTE_W | PTE_U);
    probe_user((const char *)(uint64_t)frames[1] + 0x300, (const char *)(uint64_t)frames[1] + 0x300, CODE + 0x300);
    check_value("patched in ring 3 through an alias", outcome.trap.rax, 2);
    check_value("  and left by INT 80h", outcome.trap.vector, 0x80);
}

// A write that faults half-way must leave the old code valid.
static void check_faulting_write(void) {
    write_constant(CODE + 0x400, 1);
    check_value("a function", call(CODE + 0x400), 1);
    *page_entry(CODE) &= ~(uint64_t)PTE_W;
    invlpg(CODE);
    PROBE("mov $0x4000000401, %%rax", "movb $2, (%%rax)");
    check_page_fault("  patched when read-only: #PF", 3, CODE + 0x401);
    check_value("  and is what it was", call(CODE + 0x400), 1);
    *page_entry(CODE) |= PTE_W;
    invlpg(CODE);
    *(volatile uint8_t *)(CODE + 0x401) = 2;
    check_value("  patched when writable again", call(CODE + 0x400), 2);
}

int main(void) {
    open_console();
    install_traps();
    for (uint64_t base = CODE; base <= ALIAS; base += ALIAS - CODE) {
        map_page(base, (uint64_t)frames[1], PTE_P | PTE_W);
        map_page(base + 0x1000, (uint64_t)frames[0], PTE_P | PTE_W);
    }
    check_local();
    check_many_times();
    check_pages_and_aliases();
    check_user();
    check_faulting_write();
    return report_checks();
}

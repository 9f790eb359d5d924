// Two interpreters of one byte code, a stack machine with locals: one dispatches by a switch in a loop, the other jumps from
// instruction to instruction through a table ("threaded code").

#include "compute.h"

enum op { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, SHR, LESS, JUMP, JUMP_IF_NOT, DUP, LOAD_ARRAY, STORE_ARRAY, END };

// i = 0; while (i < n) { t = a[i & 63] * 31 ^ i; if (t >> 3 < s) s = s - t; else s = s + t; a[i & 63] = t; i = i + 1; }
// Locals: 0 i, 1 n, 2 s, 3 t.
static const uint8_t program[] = {
    PUSH, 0, STORE, 0,
    /* 4 */ LOAD, 0, LOAD, 1, LESS, JUMP_IF_NOT, 64,
    /* 11 */ LOAD, 0, LOAD_ARRAY, PUSH, 31, MUL, LOAD, 0, XOR, DUP, STORE, 3,
    /* 23 */ PUSH, 3, SHR, LOAD, 2, LESS, JUMP_IF_NOT, 41,
    /* 31 */ LOAD, 2, LOAD, 3, SUB, STORE, 2, JUMP, 48, END,
    /* 41 */ LOAD, 2, LOAD, 3, ADD, STORE, 2,
    /* 48 */ LOAD, 3, LOAD, 0, STORE_ARRAY, LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 4, END, END,
    /* 64 */ LOAD, 2, END,
};

struct machine {
    uint32_t locals[4], array[64], stack[16];
};

static APART uint32_t interpret_by_switch(struct machine *machine, const uint8_t *pc) {
    uint32_t *top = machine->stack;
    for (;;) {
        switch ((enum op)*pc++) {
        case PUSH: *++top = *pc++; break;
        case LOAD: *++top = machine->locals[*pc++]; break;
        case STORE: machine->locals[*pc++] = *top--; break;
        case ADD: top--; *top += top[1]; break;
        case SUB: top--; *top -= top[1]; break;
        case MUL: top--; *top *= top[1]; break;
        case XOR: top--; *top ^= top[1]; break;
        case SHR: top--; *top >>= top[1] & 31; break;
        case LESS: top--; *top = *top < top[1]; break;
        case JUMP: pc = program + *pc; break;
        case JUMP_IF_NOT: pc = *top-- ? pc + 1 : program + *pc; break;
        case DUP: top++; *top = top[-1]; break;
        case LOAD_ARRAY: *top = machine->array[*top & 63]; break;
        case STORE_ARRAY: machine->array[*top & 63] = top[-1]; top -= 2; break;
        case END: return *top;
        }
    }
}

static APART uint32_t interpret_threaded(struct machine *machine, const uint8_t *pc) {
    static const void *const targets[] = {
        &&push, &&load, &&store, &&add, &&sub, &&mul, &&xor, &&shr, &&less, &&jump, &&jump_if_not, &&dup, &&load_array,
        &&store_array, &&end,
    };
    uint32_t *top = machine->stack;
#define NEXT goto *targets[*pc++]
    NEXT;
push: *++top = *pc++; NEXT;
load: *++top = machine->locals[*pc++]; NEXT;
store: machine->locals[*pc++] = *top--; NEXT;
add: top--; *top += top[1]; NEXT;
sub: top--; *top -= top[1]; NEXT;
mul: top--; *top *= top[1]; NEXT;
xor: top--; *top ^= top[1]; NEXT;
shr: top--; *top >>= top[1] & 31; NEXT;
less: top--; *top = *top < top[1]; NEXT;
jump: pc = program + *pc; NEXT;
jump_if_not: pc = *top-- ? pc + 1 : program + *pc; NEXT;
dup: top++; *top = top[-1]; NEXT;
load_array: *top = machine->array[*top & 63]; NEXT;
store_array: machine->array[*top & 63] = top[-1]; top -= 2; NEXT;
end: return *top;
#undef NEXT
}

static inline __attribute__((always_inline)) uint64_t run(
    uint64_t rounds, uint32_t (*interpret)(struct machine *, const uint8_t *)
) {
    struct machine machine = {.locals = {0, 500, 1, 0}};
    for (uint32_t i = 0; i < 64; i++) machine.array[i] = i * 2654435761u;
    uint64_t sum = 0;
    for (; rounds > 0; rounds--) sum = mix(sum, interpret(&machine, program));
    return sum;
}

static uint64_t run_switch(uint64_t rounds) { return run(rounds, interpret_by_switch); }
static uint64_t run_threaded(uint64_t rounds) { return run(rounds, interpret_threaded); }

const struct kernel interpreter_switch = {.name = "interpreter-switch", .run = run_switch, .rounds = 1600};
const struct kernel interpreter_threaded = {.name = "interpreter-threaded", .run = run_threaded, .rounds = 2500};

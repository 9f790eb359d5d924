// What gates of generated code begin and end with. Generated code has the state at RSP, and the guest's R8 in R8; a gate has the
// state in R8.
#ifndef TRAPEZE_GATES_H
#define TRAPEZE_GATES_H

// For what is jumped to; and for what is called, whose return address lies just below the state.
#define STATE_OF_JUMP "mov %%r8, 64(%%rsp)\n mov %%rsp, %%r8\n"
#define STATE_OF_CALL "mov %%r8, 72(%%rsp)\n lea 8(%%rsp), %%r8\n"
// Before anything in C runs.
#define USE_HOST_STACK "mov %c[host_stack](%%r8), %%rsp\n"
// Back to generated code: by the return address, or to what R13 has.
#define RETURN "lea -8(%%r8), %%rsp\n mov 64(%%r8), %%r8\n ret\n"
#define GO_TO_R13 "mov %%r8, %%rsp\n mov 64(%%r8), %%r8\n jmp *%%r13\n"
// Or to the landing of the jump table's entry in RAX, as an indirect jump goes there, with registers loaded by `load`.
#define GO_TO_ENTRY(load)                                                                                             \
    "mov %c[landing](%%rax), %%r13\n mov %%r13, %c[exit_value](%%r8)\n"                                               \
    "sub %c[jump_table](%%r8), %%rax\n shr $3, %%rax\n mov %%rax, %%r13\n" load                                       \
    "mov %%r8, %%rsp\n mov 64(%%r8), %%r8\n jmp *%c[exit_value](%%rsp)\n"

#endif

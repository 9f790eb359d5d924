// Capstone behind `disassemblers.h`. Its header gives the layouts, dlopen the functions.
#include "disassemblers.h"

#if __has_include(<capstone/capstone.h>)
#include <capstone/capstone.h>

#include <dlfcn.h>
#include <string.h>

static struct {
    __typeof__(&cs_open) open;
    __typeof__(&cs_option) option;
    __typeof__(&cs_malloc) allocate;
    __typeof__(&cs_disasm_iter) decode;
} capstone;

static csh handles[4];
static cs_insn *instruction;

const char *tz_capstone_open(void) {
    if (instruction) return NULL;
    void *library = dlopen("libcapstone.so.4", RTLD_NOW);
    if (!library) return "libcapstone.so.4 is not installed (Debian package libcapstone-dev)";
    capstone.open = dlsym(library, "cs_open");
    capstone.option = dlsym(library, "cs_option");
    capstone.allocate = dlsym(library, "cs_malloc");
    capstone.decode = dlsym(library, "cs_disasm_iter");
    if (!capstone.open || !capstone.option || !capstone.allocate || !capstone.decode) {
        return "libcapstone lacks functions of its header";
    }
    static const cs_mode modes[4] = {CS_MODE_16, CS_MODE_32, CS_MODE_64, CS_MODE_16};
    for (int mode = 0; mode < 4; mode++) {
        if (capstone.open(CS_ARCH_X86, modes[mode], &handles[mode])) return "Capstone refuses a mode";
        capstone.option(handles[mode], CS_OPT_DETAIL, CS_OPT_ON);
    }
    instruction = capstone.allocate(handles[0]);
    return instruction ? NULL : "Capstone has no memory";
}

static uint8_t address_register(x86_reg name) {
    static const uint16_t names[16][3] = {
        {X86_REG_AX, X86_REG_EAX, X86_REG_RAX},    {X86_REG_CX, X86_REG_ECX, X86_REG_RCX},
        {X86_REG_DX, X86_REG_EDX, X86_REG_RDX},    {X86_REG_BX, X86_REG_EBX, X86_REG_RBX},
        {X86_REG_SP, X86_REG_ESP, X86_REG_RSP},    {X86_REG_BP, X86_REG_EBP, X86_REG_RBP},
        {X86_REG_SI, X86_REG_ESI, X86_REG_RSI},    {X86_REG_DI, X86_REG_EDI, X86_REG_RDI},
        {X86_REG_R8W, X86_REG_R8D, X86_REG_R8},    {X86_REG_R9W, X86_REG_R9D, X86_REG_R9},
        {X86_REG_R10W, X86_REG_R10D, X86_REG_R10}, {X86_REG_R11W, X86_REG_R11D, X86_REG_R11},
        {X86_REG_R12W, X86_REG_R12D, X86_REG_R12}, {X86_REG_R13W, X86_REG_R13D, X86_REG_R13},
        {X86_REG_R14W, X86_REG_R14D, X86_REG_R14}, {X86_REG_R15W, X86_REG_R15D, X86_REG_R15},
    };
    if (name == X86_REG_RIP || name == X86_REG_EIP || name == X86_REG_IP) return TZ_IP_REGISTER;
    for (uint8_t i = 0; i < 16; i++) {
        if (names[i][0] == name || names[i][1] == name || names[i][2] == name) return i;
    }
    if (name >= X86_REG_XMM0 && name <= X86_REG_XMM15) return (uint8_t)(name - X86_REG_XMM0);
    if (name >= X86_REG_YMM0 && name <= X86_REG_YMM15) return (uint8_t)(name - X86_REG_YMM0);
    return TZ_NO_REGISTER;
}

void tz_capstone_decode(tz_code_mode mode, const uint8_t *bytes, size_t count, tz_disassembly *out) {
    memset(out, 0, sizeof *out);
    uint64_t address = 0;
    if (!capstone.decode(handles[mode], &bytes, &count, &address, instruction)) return;
    out->length = (uint8_t)instruction->size;
    out->mnemonic = instruction->mnemonic;
    const cs_x86 *x86 = &instruction->detail->x86;
    out->locked = x86->prefix[0] == X86_PREFIX_LOCK;
    for (int i = 0; i < x86->op_count && out->operand_count < TZ_MOST_OPERANDS; i++) {
        const cs_x86_op *in = &x86->operands[i];
        tz_operand *operand = &out->operands[out->operand_count++];
        operand->bits = (uint16_t)(in->size * 8);
        if (in->type == X86_OP_IMM) {
            operand->kind = TZ_KIND_IMMEDIATE;
            operand->value = in->imm;
        } else if (in->type == X86_OP_MEM) {
            operand->kind = TZ_KIND_MEMORY;
            operand->base = address_register(in->mem.base);
            operand->index = address_register(in->mem.index);
            operand->scale = (uint8_t)in->mem.scale;
            operand->value = in->mem.disp;
        } else {
            operand->kind = TZ_KIND_OTHER;
        }
    }
}

#else

const char *tz_capstone_open(void) { return "built without Capstone's headers (Debian package libcapstone-dev)"; }

void tz_capstone_decode(tz_code_mode mode, const uint8_t *bytes, size_t count, tz_disassembly *out) {
    (void)mode, (void)bytes, (void)count;
    *out = (tz_disassembly){0};
}

#endif

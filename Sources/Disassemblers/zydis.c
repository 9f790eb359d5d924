// Zydis behind `disassemblers.h`. Its header gives the layouts, dlopen the functions.
#include "disassemblers.h"

#if __has_include(<Zydis/Zydis.h>)
#include <Zydis/Zydis.h>

#include <dlfcn.h>
#include <string.h>

static struct {
    __typeof__(&ZydisDecoderInit) init;
    __typeof__(&ZydisDecoderEnableMode) enable;
    __typeof__(&ZydisDecoderDecodeFull) decode;
    __typeof__(&ZydisMnemonicGetString) mnemonic;
    __typeof__(&ZydisISAExtGetString) extension;
    __typeof__(&ZydisISASetGetString) set;
    __typeof__(&ZydisRegisterGetId) number;
    __typeof__(&ZydisRegisterGetClass) class;
    __typeof__(&ZydisGetVersion) version;
} zydis;

static ZydisDecoder decoders[4][2];

const char *tz_zydis_open(void) {
    if (zydis.init) return NULL;
    void *library = dlopen("libZydis.so.4.0", RTLD_NOW);
    if (!library) library = dlopen("libZydis.so", RTLD_NOW);
    if (!library) return "libZydis is not installed (Debian package libzydis-dev)";
    zydis.enable = dlsym(library, "ZydisDecoderEnableMode");
    zydis.decode = dlsym(library, "ZydisDecoderDecodeFull");
    zydis.mnemonic = dlsym(library, "ZydisMnemonicGetString");
    zydis.extension = dlsym(library, "ZydisISAExtGetString");
    zydis.set = dlsym(library, "ZydisISASetGetString");
    zydis.number = dlsym(library, "ZydisRegisterGetId");
    zydis.class = dlsym(library, "ZydisRegisterGetClass");
    zydis.version = dlsym(library, "ZydisGetVersion");
    __typeof__(&ZydisDecoderInit) init = dlsym(library, "ZydisDecoderInit");
    if (!init || !zydis.enable || !zydis.decode || !zydis.mnemonic || !zydis.extension || !zydis.set || !zydis.number ||
        !zydis.class || !zydis.version) {
        return "libZydis lacks functions of its header";
    }
    if (ZYDIS_VERSION_MAJOR(zydis.version()) != ZYDIS_VERSION_MAJOR(ZYDIS_VERSION) ||
        ZYDIS_VERSION_MINOR(zydis.version()) != ZYDIS_VERSION_MINOR(ZYDIS_VERSION)) {
        return "libZydis is not of its header's version";
    }
    static const ZydisMachineMode modes[4] = {ZYDIS_MACHINE_MODE_LONG_COMPAT_16, ZYDIS_MACHINE_MODE_LONG_COMPAT_32,
                                              ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_MACHINE_MODE_REAL_16};
    static const ZydisStackWidth stacks[4] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32, ZYDIS_STACK_WIDTH_64,
                                              ZYDIS_STACK_WIDTH_16};
    for (int mode = 0; mode < 4; mode++) {
        for (int amd = 0; amd < 2; amd++) {
            ZydisDecoder *decoder = &decoders[mode][amd];
            if (!ZYAN_SUCCESS(init(decoder, modes[mode], stacks[mode]))) return "Zydis refuses a machine mode";
            zydis.enable(decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, (ZyanBool)amd);
            // What the software CPU does not offer executes as what it was before.
            static const ZydisDecoderMode off[] = {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET,
                                                   ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE};
            for (size_t i = 0; i < sizeof off / sizeof *off; i++) zydis.enable(decoder, off[i], ZYAN_FALSE);
        }
    }
    zydis.init = init;
    return NULL;
}

static uint8_t role(ZydisOperandEncoding encoding) {
    switch (encoding) {
    case ZYDIS_OPERAND_ENCODING_MODRM_REG: return TZ_ROLE_REG;
    case ZYDIS_OPERAND_ENCODING_MODRM_RM: return TZ_ROLE_RM;
    case ZYDIS_OPERAND_ENCODING_NDSNDD: return TZ_ROLE_VVVV;
    case ZYDIS_OPERAND_ENCODING_OPCODE: return TZ_ROLE_OPCODE;
    case ZYDIS_OPERAND_ENCODING_IS4: return TZ_ROLE_IS4;
    default: break;
    }
    if (encoding >= ZYDIS_OPERAND_ENCODING_UIMM8) return TZ_ROLE_IMMEDIATE;
    if (encoding >= ZYDIS_OPERAND_ENCODING_DISP8 && encoding < ZYDIS_OPERAND_ENCODING_UIMM8) return TZ_ROLE_MOFFS;
    return TZ_ROLE_OTHER;
}

static void fill_register(ZydisRegister name, tz_operand *out) {
    out->number = (uint8_t)zydis.number(name);
    switch (zydis.class(name)) {
    case ZYDIS_REGCLASS_GPR8:
        out->bits = 8;
        if (name >= ZYDIS_REGISTER_AH && name <= ZYDIS_REGISTER_BH) {
            out->kind = TZ_KIND_HIGH;
            out->number = (uint8_t)(name - ZYDIS_REGISTER_AH + 4);
        } else {
            out->kind = TZ_KIND_GPR;
            if (name >= ZYDIS_REGISTER_SPL) out->number = (uint8_t)(name - ZYDIS_REGISTER_SPL + 4);
            else out->number = (uint8_t)(name - ZYDIS_REGISTER_AL);
        }
        break;
    case ZYDIS_REGCLASS_GPR16: out->kind = TZ_KIND_GPR, out->bits = 16; break;
    case ZYDIS_REGCLASS_GPR32: out->kind = TZ_KIND_GPR, out->bits = 32; break;
    case ZYDIS_REGCLASS_GPR64: out->kind = TZ_KIND_GPR, out->bits = 64; break;
    case ZYDIS_REGCLASS_X87: out->kind = TZ_KIND_X87; break;
    case ZYDIS_REGCLASS_MMX: out->kind = TZ_KIND_MMX; break;
    case ZYDIS_REGCLASS_XMM: out->kind = TZ_KIND_XMM; break;
    case ZYDIS_REGCLASS_YMM: out->kind = TZ_KIND_YMM; break;
    case ZYDIS_REGCLASS_SEGMENT: out->kind = TZ_KIND_SEGMENT; break;
    case ZYDIS_REGCLASS_CONTROL: out->kind = TZ_KIND_CONTROL; break;
    case ZYDIS_REGCLASS_DEBUG: out->kind = TZ_KIND_DEBUG; break;
    default: out->kind = TZ_KIND_OTHER; break;
    }
}

static uint8_t address_register(ZydisRegister name) {
    if (name == ZYDIS_REGISTER_NONE) return TZ_NO_REGISTER;
    if (zydis.class(name) == ZYDIS_REGCLASS_IP) return TZ_IP_REGISTER;
    return (uint8_t)zydis.number(name);
}

static void fill_operand(const ZydisDecodedOperand *in, tz_operand *out) {
    out->role = role(in->encoding);
    out->bits = in->size;
    switch (in->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER: fill_register(in->reg.value, out); break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        out->kind = TZ_KIND_MEMORY;
        out->base = address_register(in->mem.base);
        out->index = address_register(in->mem.index);
        out->scale = in->mem.scale;
        out->segment = (uint8_t)zydis.number(in->mem.segment);
        out->value = in->mem.disp.has_displacement ? in->mem.disp.value : 0;
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        out->kind = TZ_KIND_IMMEDIATE;
        out->value = in->imm.value.s;
        break;
    case ZYDIS_OPERAND_TYPE_POINTER:
        out->kind = TZ_KIND_FAR;
        out->selector = in->ptr.segment;
        out->value = in->ptr.offset;
        out->role = TZ_ROLE_IMMEDIATE;
        break;
    default: out->kind = TZ_KIND_NONE; break;
    }
}

void tz_zydis_decode(tz_code_mode mode, bool amd_branches, const uint8_t *bytes, size_t count, tz_disassembly *out) {
    ZydisDecodedInstruction instruction;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    memset(out, 0, sizeof *out);
    ZyanStatus status = zydis.decode(&decoders[mode][amd_branches], bytes, count, &instruction, operands);
    out->truncated = status == ZYDIS_STATUS_NO_MORE_DATA;
    if (!ZYAN_SUCCESS(status)) return;
    out->length = instruction.length;
    out->mnemonic = zydis.mnemonic(instruction.mnemonic);
    out->extension = zydis.extension(instruction.meta.isa_ext);
    out->set = zydis.set(instruction.meta.isa_set);
    out->locked = (instruction.attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0;
    for (int i = 0; i < instruction.operand_count_visible && i < TZ_MOST_OPERANDS; i++) {
        fill_operand(&operands[i], &out->operands[out->operand_count++]);
    }
}

#else

const char *tz_zydis_open(void) { return "built without Zydis' headers (Debian package libzydis-dev)"; }

void tz_zydis_decode(tz_code_mode mode, bool amd_branches, const uint8_t *bytes, size_t count, tz_disassembly *out) {
    (void)mode, (void)amd_branches, (void)bytes, (void)count;
    *out = (tz_disassembly){0};
}

#endif

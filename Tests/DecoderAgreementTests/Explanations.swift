// Differences between the decoders that are right as they are, each with its reason. Whatever has no entry here fails
// the tests.

import Disassemblers
import X86

/// Why our decoder and Zydis may differ on an instruction; nil if they may not.
func explain(
    _ bytes: UnsafeBufferPointer<UInt8>, _ mode: DecodedInstruction.Mode, _ ours: DecodedInstruction,
    _ theirs: tz_disassembly
) -> String? {
    if ours.outcome != .valid, notOffered.contains(theirs.extensionName) {
        return "instruction sets that no CPU model offers"
    }
    let code = Array(bytes.prefix(max(ours.length, 1)))
    if ours.mnemonic == "mov", theirs.length == 0, mode == .code64, code.contains(where: { $0 == 0x8c || $0 == 0x8e }),
        code.contains(where: { $0 & 0xf4 == 0x44 })
    {
        return "Zydis: REX.R before MOV Sreg is #UD; CPUs ignore it (AMD APM volume 3, section 1.2.7)"
    }
    if ours.mnemonic == "mov", theirs.length == 0, code.contains(where: { (0x20...0x23).contains($0) }) {
        return "control and debug registers that don't exist: left to their handlers"
    }
    if ours.mnemonic == "movsxd", code.contains(0x66) {
        return "MOVSXD to 16 bits: its source is 16 bits on Intel's CPUs, 32 on AMD's (APM volume 3, MOVSXD)"
    }
    if ours.mnemonic == "xchg", theirs.name == "pause" {
        return "F3 REX.B 90: Zydis says PAUSE, CPUs exchange with R8"
    }
    if theirs.name == "senduipi" { return "instruction sets that no CPU model offers" }
    if ours.length == Int(theirs.length), sameName(ours.mnemonic, theirs.name), mode == .code64,
        code.contains(where: { $0 & 0xf1 == 0x41 }),
        let memory = ours.operands.first(where: { $0.role == .rm })?.operand,
        case .memory(.none, _, _, _, _, _) = memory
    {
        return "Zydis: REX.B with no base (SDM volume 2, table 2-5: not decoded)"
    }
    // The decoder knows them, their handlers raise #UD or #GP(0) (SDM volume 2, "Real-Address Mode Exceptions" of each).
    if mode == .real16, theirs.length == 0,
        ["arpl", "lar", "lsl", "lldt", "ltr", "sldt", "str", "verr", "verw", "sysenter", "sysexit", "sysret"].contains(
            ours.mnemonic)
    {
        return "not recognised in real-address mode: left to their handlers"
    }
    return nil
}

/// Instruction-set extensions of Zydis' that no CPU model offers: their encodings are #UD.
private let notOffered: Set<String> = [
    "AMD3DNOW", "AMD_INVLPGB", "AMX_BF16", "AMX_INT8", "AMX_TILE", "AVX512EVEX", "AVX512VEX", "AVX_VNNI", "CET",
    "CLZERO", "ENQCMD", "FMA4", "GFNI", "HRESET", "KEYLOCKER", "KEYLOCKER_WIDE", "KNC", "KNCE", "KNCV", "MCOMMIT",
    "MONITORX", "MOVDIR", "MPX", "PADLOCK", "PCONFIG", "PKU", "PT", "RDPRU", "RTM", "SERIALIZE", "SGX", "SGX_ENCLV",
    "SMX", "SNP", "SSE4A", "SVM", "TBM", "TDX", "TSX_LDTRK", "UINTR", "VAES", "VMFUNC", "VPCLMULQDQ", "VTX", "WAITPKG",
    "XOP",
]

/// Why our decoder and Capstone may differ.
func explainCapstone(
    _ bytes: UnsafeBufferPointer<UInt8>, _ mode: DecodedInstruction.Mode, _ ours: DecodedInstruction,
    _ theirs: tz_disassembly
) -> String? {
    if ["ud0", "ud1"].contains(ours.mnemonic), Int(theirs.length) < ours.length {
        return "Capstone: UD0 and UD1 without their ModRM byte (SDM volume 2, UD)"
    }
    let code = Array(bytes.prefix(ours.length))
    if code.contains(0x66), code.contains(where: { $0 == 0xf2 || $0 == 0xf3 }), mode != .code16, mode != .real16 {
        return "Capstone: 66 with F2 or F3 is not taken for the operand size"
    }
    if mode == .code64, code.contains(0x67), code.contains(where: { $0 & 0xf0 == 0x40 }) {
        return "Capstone: 67 and REX together change the size of an immediate"
    }
    let isBranch = ours.mnemonic.hasPrefix("j") || ["call", "ret"].contains(ours.mnemonic)
    if mode == .code64, isBranch, bytes.prefix(ours.length).contains(0x66), Int(theirs.length) != ours.length {
        return "Capstone: 66 before near branches as AMD's CPUs have it; on Intel's it is ignored (SDM volume 2, Jcc)"
    }
    return nil
}

/// Capstone 4 names instructions its own way and tells no roles: lengths and memory operands are compared.
func compareWithCapstone(_ ours: DecodedInstruction, _ theirs: tz_disassembly) -> Difference? {
    guard ours.outcome == .valid, theirs.length > 0 else { return nil }
    let names = "\(ours.mnemonic), \(theirs.name)"
    if ours.length != Int(theirs.length) {
        return Difference(
            kind: "length of \(names)", text: "length of \(names): ours \(ours.length), theirs \(theirs.length)")
    }
    guard let memory = ours.operands.first(where: { $0.role == .rm })?.operand,
        case .memory(let base, let index, let scale, let displacement, _, _) = memory,
        let other = theirs.decodedOperands.first(where: { Int($0.kind) == TZ_KIND_MEMORY })
    else { return nil }
    let differs =
        base.code != Int64(other.base) || index.code != Int64(other.index)
        || index != .none && scale != Int(other.scale) || displacement != other.value
    guard differs else { return nil }
    return Difference(
        kind: "address of \(names)",
        text: """
            address of \(names): ours \(base) + \(index) × \(scale) + \(displacement), theirs \(other.base) + \(other.index) × \
            \(other.scale) + \(other.value)
            """)
}

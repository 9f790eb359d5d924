// Compares what the decoder makes of bytes with what another decoder makes of them, and explains differences that are
// known to be right. What is left over is a bug of one of the two, and a test fails.

import Disassemblers
import X86

extension DecodedInstruction.Mode {
    var code: tz_code_mode {
        switch self {
        case .code16: TZ_CODE_16
        case .code32: TZ_CODE_32
        case .code64: TZ_CODE_64
        case .real16: TZ_CODE_REAL
        }
    }
}

/// Counts agreements, explained differences and unexplained ones.
struct Tally {
    var agreed = 0
    /// Neither knows an instruction.
    var invalid = 0
    var explained: [String: Int] = [:]
    var unexplained: [String] = []
    /// How often each kind of unexplained difference came.
    var kinds: [String: Int] = [:]

    mutating func note(_ difference: Difference?, explanation: String?, bytes: ArraySlice<UInt8>, mode: String) {
        guard let difference else { return }
        if let explanation { return explained[explanation, default: 0] += 1 }
        kinds[difference.kind, default: 0] += 1
        if kinds[difference.kind, default: 0] <= 3 {
            let code = bytes.map { String(UInt16($0) + 0x100, radix: 16).dropFirst() }.joined(separator: " ")
            unexplained.append("\(mode) \(code): \(difference.text)")
        }
    }

    func report(_ title: String) {
        print("\(title): \(agreed) instructions agree, \(invalid) are none for both")
        for (name, count) in explained.sorted(by: { $0.key < $1.key }) { print("    \(count) × \(name)") }
        for (name, count) in kinds.sorted(by: { $0.value > $1.value }) { print("    UNEXPLAINED \(count) × \(name)") }
    }
}

/// How two decoders differ: in a few words, which many differences share, and in full.
struct Difference {
    let kind: String
    let text: String
}

extension tz_disassembly {
    var name: String { mnemonic.map { String(cString: $0) } ?? "nothing" }
    var extensionName: String { `extension`.map { String(cString: $0) } ?? "" }
    var setName: String { `set`.map { String(cString: $0) } ?? "" }

    var decodedOperands: [tz_operand] {
        withUnsafeBytes(of: operands) { Array($0.bindMemory(to: tz_operand.self).prefix(Int(operand_count))) }
    }
}

/// Nil if they agree.
func compare(_ ours: DecodedInstruction, _ theirs: tz_disassembly) -> Difference? {
    switch (ours.outcome, theirs.length > 0) {
    case (.valid, true): break
    case (.valid, false):
        return Difference(
            kind: "only we know \(ours.mnemonic)", text: "ours \(ours.mnemonic), \(ours.length) bytes; theirs none")
    case (_, true):
        let known = "\(theirs.name) (\(theirs.extensionName), \(theirs.setName))"
        return Difference(kind: "only they know \(known)", text: "ours \(ours.outcome); theirs \(known)")
    default: return nil
    }
    func differ(_ what: String, _ a: Any, _ b: Any) -> Difference {
        Difference(kind: "\(what) of \(ours.mnemonic)", text: "\(what) of \(ours.mnemonic): ours \(a), theirs \(b)")
    }
    if ours.length != Int(theirs.length) { return differ("length", ours.length, theirs.length) }
    if !sameName(ours.mnemonic, theirs.name) { return differ("name", ours.mnemonic, theirs.name) }
    if ours.isLocked != theirs.locked { return differ("LOCK", ours.isLocked, theirs.locked) }
    return compareOperands(ours, theirs)
}

private func compareOperands(_ ours: DecodedInstruction, _ theirs: tz_disassembly) -> Difference? {
    var remaining = theirs.decodedOperands.filter { $0.role != TZ_ROLE_OTHER }
    // Hints and undefined instructions use no register, whatever their ModRM byte says.
    if ["nop", "ud0", "ud1"].contains(ours.mnemonic) { remaining.removeAll { $0.role == TZ_ROLE_REG } }
    for (role, operand) in ours.operands {
        let wanted = role.code
        guard let position = remaining.firstIndex(where: { Int($0.role) == wanted }) else {
            // Hints and multi-byte NOPs have no operands worth the name in some decoders.
            if ours.mnemonic == "nop" || ours.mnemonic.hasPrefix("ud") { continue }
            return Difference(
                kind: "operand \(role) of \(ours.mnemonic)", text: "\(ours.mnemonic): they have no operand in \(role)")
        }
        let other = remaining.remove(at: position)
        if let text = difference(
            operand, other, ours.mnemonic, toSegment: ours.operands.contains { $0.operand.isSegment })
        {
            return Difference(kind: "operand \(role) of \(ours.mnemonic)", text: "\(ours.mnemonic), \(role): \(text)")
        }
    }
    if let extra = remaining.first(where: { $0.kind != TZ_KIND_NONE }) {
        return Difference(
            kind: "extra operand \(extra.role) of \(ours.mnemonic)",
            text: "\(ours.mnemonic): they have one more operand, role \(extra.role), kind \(extra.kind)")
    }
    return nil
}

extension DecodedInstruction.Role {
    fileprivate var code: Int {
        switch self {
        case .reg: TZ_ROLE_REG
        case .rm: TZ_ROLE_RM
        case .vvvv: TZ_ROLE_VVVV
        case .opcode: TZ_ROLE_OPCODE
        case .is4: TZ_ROLE_IS4
        case .immediate: TZ_ROLE_IMMEDIATE
        case .absolute: TZ_ROLE_MOFFS
        }
    }
}

extension DecodedInstruction.RegisterKind {
    fileprivate var codes: [Int] {
        switch self {
        case .general: [TZ_KIND_GPR]
        case .highByte: [TZ_KIND_HIGH]
        case .x87: [TZ_KIND_X87]
        case .mmx: [TZ_KIND_MMX]
        case .vector: [TZ_KIND_XMM, TZ_KIND_YMM]
        case .segment: [TZ_KIND_SEGMENT]
        case .control: [TZ_KIND_CONTROL]
        case .debug: [TZ_KIND_DEBUG]
        }
    }
}

/// Sizes mean nothing for these, or the manuals give several.
private let unsized: Set<String> = [
    "lea", "nop", "invlpg", "fxsave", "fxrstor", "fxsave64", "fxrstor64", "xsave", "xsave64", "xsaveopt", "xsaveopt64",
    "xsavec", "xsavec64", "xsaves", "xsaves64", "xrstor", "xrstor64", "xrstors", "xrstors64", "fnstenv", "fldenv",
    "fnsave", "frstor", "lgdt", "lidt", "sgdt", "sidt", "clflush", "clflushopt", "clwb", "bound", "les", "lds", "lss",
    "lfs", "lgs", "invpcid", "str", "sldt", "smsw", "lar", "lsl", "cmpxchg8b", "cmpxchg16b", "prefetch", "call", "jmp",
    "movntdqa",
]

func difference(_ ours: DecodedInstruction.Operand, _ theirs: tz_operand, _ mnemonic: String, toSegment: Bool = false)
    -> String?
{
    func unequal(_ what: String, _ a: Int64, _ b: Int64) -> String? {
        a == b ? nil : "\(what): ours \(String(a, radix: 16)), theirs \(String(b, radix: 16))"
    }
    switch ours {
    case .register(let kind, let number, let size):
        guard kind.codes.contains(Int(theirs.kind)) else {
            return "ours \(kind) \(number), theirs of kind \(theirs.kind)"
        }
        if let text = unequal("register", Int64(number), Int64(theirs.number)) { return text }
        guard kind == .general, size != 0, !toSegment, !unsized.contains(mnemonic) else { return nil }
        return unequal("width", Int64(size) * 8, Int64(theirs.bits))
    case .memory(let base, let index, let scale, let displacement, let segment, let size):
        guard Int(theirs.kind) == TZ_KIND_MEMORY else { return "ours in memory, theirs of kind \(theirs.kind)" }
        if let text = unequal("base", base.code, Int64(theirs.base)) { return text }
        if let text = unequal("index", index.code, Int64(theirs.index)) { return text }
        if index != .none, let text = unequal("scale", Int64(scale), Int64(theirs.scale)) { return text }
        // Zydis extends the sign of an absolute offset narrower than 64 bits.
        let isAbsolute = theirs.role == TZ_ROLE_MOFFS
        let width: Int64 = displacement >> 16 == 0 ? 0xffff : displacement >> 32 == 0 ? 0xffff_ffff : -1
        let mask = isAbsolute ? width : -1
        if let text = unequal("displacement", displacement & mask, theirs.value & mask) { return text }
        if mnemonic != "lea", let text = unequal("segment", Int64(segment), Int64(theirs.segment)) { return text }
        guard size != 0, theirs.bits != 0, !toSegment, !unsized.contains(mnemonic) else { return nil }
        return unequal("size", Int64(size) * 8, Int64(theirs.bits))
    case .immediate(let value, let size):
        guard Int(theirs.kind) == TZ_KIND_IMMEDIATE else { return "ours immediate, theirs of kind \(theirs.kind)" }
        let mask: Int64 = size >= 8 ? -1 : 1 << Int64(8 * size) - 1
        // Of ENTER's level five bits count.
        let bits = mnemonic == "enter" && size == 1 ? 31 : mask
        return unequal("immediate", value & bits, theirs.value & bits)
    case .far(let selector, let offset):
        guard Int(theirs.kind) == TZ_KIND_FAR else { return "ours far, theirs of kind \(theirs.kind)" }
        return unequal("selector", Int64(selector), Int64(theirs.selector))
            ?? unequal("offset", Int64(offset), theirs.value & 0xffff_ffff)
    }
}

extension DecodedInstruction.AddressRegister {
    var code: Int64 {
        switch self {
        case .none: Int64(TZ_NO_REGISTER)
        case .instructionPointer: Int64(TZ_IP_REGISTER)
        case .register(let number): Int64(number)
        }
    }
}

/// Names that mean the same.
func sameName(_ ours: String, _ theirs: String) -> Bool {
    if ours == theirs { return true }
    switch ours {
    case "nop":
        return theirs.hasPrefix("prefetch") || ["feni8087_nop", "fdisi8087_nop", "fsetpm287_nop"].contains(theirs)
    case "prefetch": return theirs.hasPrefix("prefetch") || theirs == "nop"
    case "fstp": return theirs == "fstpnce"
    case "xlat": return theirs == "xlatb"
    default: return false
    }
}

extension DecodedInstruction.Operand {
    fileprivate var isSegment: Bool {
        if case .register(.segment, _, _) = self { true } else { false }
    }
}

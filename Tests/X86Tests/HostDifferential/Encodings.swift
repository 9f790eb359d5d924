// The encodings that the differential tests draw from: an allow-list of user-mode instructions, written down apart from
// the decoder's own map so that one checks the other, and the native instructions' own list.

import X86

/// One encoding.
struct Encoding {
    enum Operands {
        case none, modRM, group(UInt8), opcodeRegister
        /// A ModRM byte with `value` in the bits of `mask`.
        case fixed(mask: UInt8, value: UInt8)
    }
    enum Width { case byte, operandSize, default64, dwordOrQword, fixed }
    enum Immediate { case none, byte, upToDword, upToQword, word, enter, offset, branch8, branch32, far }
    /// What the generator must prepare for the case to be worth running.
    enum Setup: String {
        case none, shift, divide, popf, ret, branch, loop, jump, exchange, exchange8B, bit, string, stack, popAll, frame
        case translate, bound
        // Segment registers and what changes CS
        case selector, popSegment, farPointer, farImmediate, farIndirect, retFar, iret, interrupt, base
        // Floating-point and vector instructions and their state
        case vector, maskedBytes, saveArea, extendedArea, restoreArea, environment, controlWord
        /// State instructions without operands
        case clear
    }

    /// What VEX holds besides register numbers.
    struct VEX {
        let map: UInt8
        let prefix: UInt8
        let ls: [Bool]
        let ws: [Bool]
        let usesVVVV: Bool
        let isGather: Bool
    }

    let text: String
    var bytes: [UInt8] = []
    var operands = Operands.none
    var width = Width.fixed
    var immediate = Immediate.none
    var setup = Setup.none
    var mandatory: UInt8?
    var lockable = false
    var memoryOnly = false
    var registerOnly = false
    var in64BitMode: Bool?
    var vex: VEX?
    /// x87, MMX, SSE, AVX: needs random register contents.
    var isNative = false
    var isAligned = false
    var memorySize = 0

    /// Whether 66 before it makes no other instruction of it.
    var allowsOperandSizePrefix: Bool { !isNative || mandatory != nil || bytes[0] >= 0xd8 }
    /// FNSTENV and FNSAVE, of the environments.
    var stores: Bool {
        if case .group(6) = operands { true } else { false }
    }
    /// AMD's CPUs ignore REX.W where Intel's obey it: far pointers in memory.
    var ignoresREXW: Bool { setup == .farPointer || setup == .farIndirect }
    /// The memory operand must lie where it was prepared.
    var needsItsTarget: Bool {
        [.saveArea, .extendedArea, .restoreArea, .environment, .farPointer, .farIndirect].contains(setup)
    }

    /// An encoding of the allow-list of what runs natively.
    init(_ e: NativeAllowList.Encoding) {
        text = e.mnemonic
        let maps: [[UInt8]] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]
        bytes = (e.vex ? [] : maps[Int(e.map)]) + [e.opcode]
        if !e.vex, e.prefix != 0 { mandatory = [0x66, 0xf3, 0xf2][Int(e.prefix) - 1] }
        switch e.modrmMask {
        case 0: operands = e.hasModRM ? .modRM : .none
        case 0x38: operands = .group(e.modrmValue >> 3 & 7)
        default: operands = .fixed(mask: e.modrmMask, value: e.modrmValue)
        }
        if e.hasImmediate { immediate = .byte }
        memoryOnly = !e.takesRegister
        registerOnly = !e.takesMemory
        isNative = true
        isAligned = e.isAligned
        memorySize = e.memorySize(l: true, w: true)
        setup = e.isMasked && e.opcode == 0xf7 ? .maskedBytes : .vector
        if e.vex {
            vex = VEX(
                map: e.map, prefix: e.prefix, ls: e.ls, ws: e.ws, usesVVVV: e.usesVVVV, isGather: e.isGather)
        }
    }

    /// Flags that the manuals leave undefined and that no host instruction is there to compute in 64-bit mode. What the
    /// interpreter makes of them was learnt from AMD's CPUs.
    var undefinedFlags: UInt64 {
        switch bytes {
        case [0x27], [0x2f]: 0x800
        case [0x37], [0x3f]: 0x8c4
        case [0xd4], [0xd5]: 0x811
        default: 0
        }
    }

    /// Parses `OPCODE[/EXT][+] [PROPERTY…]`.
    init(_ text: String) {
        self.text = text
        let words = text.split(separator: " ").map(String.init)
        var opcode = words[0]
        if opcode.hasSuffix("+") {
            opcode.removeLast()
            operands = .opcodeRegister
        }
        if let slash = opcode.firstIndex(of: "/") {
            operands = .group(UInt8(opcode[opcode.index(after: slash)...]) ?? 0)
            opcode = String(opcode[..<slash])
        }
        var digits = opcode[...]
        while digits.count >= 2 {
            bytes.append(UInt8(digits.prefix(2), radix: 16) ?? 0)
            digits = digits.dropFirst(2)
        }
        for word in words.dropFirst() { apply(word) }
    }

    private mutating func apply(_ word: String) {
        switch word {
        case "m": operands = .modRM
        case "b": width = .byte
        case "v": width = .operandSize
        case "q": width = .default64
        case "y": width = .dwordOrQword
        case "ib": immediate = .byte
        case "iz": immediate = .upToDword
        case "iv": immediate = .upToQword
        case "iw": immediate = .word
        case "iwb": immediate = .enter
        case "moffs": immediate = .offset
        case "farimm":
            immediate = .far
            setup = .farImmediate
        case "jb": immediate = .branch8
        case "jz": immediate = .branch32
        case "lock": lockable = true
        case "mem": memoryOnly = true
        case "reg": registerOnly = true
        case "f2": mandatory = 0xf2
        case "f3": mandatory = 0xf3
        case "66": mandatory = 0x66
        case "no64": in64BitMode = false
        case "only64": in64BitMode = true
        default:
            setup = Setup(rawValue: word) ?? .none
            isNative = [.saveArea, .extendedArea, .restoreArea, .environment, .controlWord, .clear].contains(setup)
        }
    }

    static let all: [Encoding] = {
        var rows: [String] = []
        for base in stride(from: 0, to: 0x40, by: 8) {
            let lock = base == 0x38 ? "" : " lock"
            rows += ["\(hex(base)) m b\(lock)", "\(hex(base + 1)) m v\(lock)", "\(hex(base + 2)) m b"]
            rows += ["\(hex(base + 3)) m v", "\(hex(base + 4)) b ib", "\(hex(base + 5)) v iz"]
        }
        for group in 0..<8 {
            let lock = group == 7 ? "" : " lock"
            rows += ["80/\(group) b ib\(lock)", "81/\(group) v iz\(lock)", "83/\(group) v ib\(lock)"]
            rows += ["82/\(group) b ib no64\(lock)"]
            rows += ["c0/\(group) b ib", "c1/\(group) v ib", "d0/\(group) b", "d1/\(group) v"]
            rows += ["d2/\(group) b shift", "d3/\(group) v shift"]
        }
        for condition in 0..<16 {
            rows += ["\(hex(0x70 + condition)) jb branch", "0f\(hex(0x80 + condition)) jz branch"]
            rows += ["0f\(hex(0x90 + condition)) m b", "0f\(hex(0x40 + condition)) m v"]
        }
        for table in [table, systemTable] { rows += table.split(separator: "\n").map(String.init) }
        return rows.map { Encoding($0) } + fixedEncodings + NativeAllowList.encodings.map { Encoding($0) }
    }()

    private static func hex(_ value: Int) -> String { String(value + 0x100, radix: 16).suffix(2).description }

    private static let table = """
        84 m b
        85 m v
        a8 b ib
        a9 v iz
        86 m b lock
        87 m v lock
        88 m b
        89 m v
        8a m b
        8b m v
        c6/0 b ib
        c7/0 v iz
        b0+ b ib
        b8+ v iv
        a0 b moffs
        a1 v moffs
        a2 b moffs
        a3 v moffs
        8d m v mem
        90+ v
        90 f3
        0f1f/0 v
        0fb6 m v
        0fb7 m v
        0fbe m v
        0fbf m v
        63 m v only64
        f6/0 b ib
        f7/0 v iz
        f6/1 b ib
        f7/1 v iz
        f6/2 b lock
        f7/2 v lock
        f6/3 b lock
        f7/3 v lock
        f6/4 b
        f7/4 v
        f6/5 b
        f7/5 v
        f6/6 b divide
        f7/6 v divide
        f6/7 b divide
        f7/7 v divide
        0faf m v
        69 m v iz
        6b m v ib
        fe/0 b lock
        fe/1 b lock
        ff/0 v lock
        ff/1 v lock
        40+ v no64
        48+ v no64
        0fa4 m v ib
        0fa5 m v shift
        0fac m v ib
        0fad m v shift
        98 v
        99 v
        0fa3 m v bit
        0fab m v bit lock
        0fb3 m v bit lock
        0fbb m v bit lock
        0fba/4 v ib
        0fba/5 v ib lock
        0fba/6 v ib lock
        0fba/7 v ib lock
        0fbc m v
        0fbd m v
        0fbc m v f3
        0fbd m v f3
        0fb8 m v f3
        0f38f0 m y f2
        0f38f1 m v f2
        0f38f0 m v mem
        0f38f1 m v mem
        0f38f6 m y 66
        0f38f6 m y f3
        0fc3 m y mem
        0fc8+ v
        0fb0 m b lock exchange
        0fb1 m v lock exchange
        0fc0 m b lock
        0fc1 m v lock
        0fc7/1 y mem lock exchange8B
        50+ q stack
        58+ q stack
        68 q iz stack
        6a q ib stack
        ff/6 q stack
        8f/0 q stack
        9c q stack
        9d q popf
        c8 q iwb frame
        c9 q frame
        60 v no64 stack
        61 v no64 popAll
        e8 jz branch
        e9 jz branch
        eb jb branch
        ff/2 q jump
        ff/4 q jump
        c3 ret
        c2 iw ret
        e0 jb loop
        e1 jb loop
        e2 jb loop
        e3 jb loop
        a4 b string
        a5 v string
        a6 b string
        a7 v string
        aa b string
        ab v string
        ac b string
        ad v string
        ae b string
        af v string
        d7 translate
        9e
        9f
        f5
        f8
        f9
        fc
        fd
        27 no64
        2f no64
        37 no64
        3f no64
        d4 ib no64
        d5 ib no64
        d6 no64
        62 m v mem no64 bound
        0f0b
        """
}

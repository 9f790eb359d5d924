// Reads the tables' lines: encoding, mnemonic, operands in Intel's order, a bar, feature, attributes.
//
//     66.0f58      addpd     +V Wo        | sse2 fp
//     v.f2.0f38f7  shrx      =G Ey B      | bmi2 l0
//     d8/4         fsub      Md           | x87
//     d8:e0+       fsub      S            | x87
//
// Encoding: `v.` for VEX, mandatory prefix, opcode with its map, /n for ModRM.reg, :mm for a whole ModRM byte (:mm+ for
// its low three bits at will). Lines that begin with # are comments. Operands are lettered as in SDM volume 2, appendix A: V W U H L vectors (in ModRM.reg,
// register or memory r/m, register r/m, VEX.vvvv, immediate), P Q N MMX registers, G E R B general registers, M memory,
// X XMM0, A RAX, C RCX, D RDX, S the x87 stack, I an immediate byte; then the size of the memory operand (`NativeSize`).
// `=` before it: written, `+`: read and written. The attributes are those of `attribute(_:_:)`.

/// Parses one table, row by row.
struct NativeRowParser {
    // SAFETY: a string literal's bytes, which live for ever.
    private let text: UnsafeBufferPointer<UInt8>
    private var position = 0

    init(_ text: StaticString) {
        self.text = UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    }

    /// The next row; nil at the end.
    mutating func next() -> NativeRow? {
        var word = nextWord()
        while let found = word, found.first.map({ $0 == UInt8(ascii: "#") }) ?? true {
            if !found.isEmpty { skipLine() }
            word = nextWord()
        }
        guard let encoding = word, let name = nextWord() else { return nil }
        var row = NativeRow(name: UnsafeBufferPointer(rebasing: name))
        parseEncoding(encoding, &row)
        var seenBar = false
        var seenFeature = false
        while let word = nextWord(), !word.isEmpty {
            if word.count == 1, word[word.startIndex] == UInt8(ascii: "|") {
                seenBar = true
            } else if !seenBar {
                Self.parseOperand(word, &row)
            } else if !seenFeature {
                seenFeature = true
                parseFeature(word, &row)
            } else {
                attribute(word, &row)
            }
        }
        complete(&row)
        return row
    }

    /// A word of the current line; empty at its end, nil at the end of the text.
    private mutating func nextWord() -> Slice<UnsafeBufferPointer<UInt8>>? {
        while position < text.count, text[position] == UInt8(ascii: " ") { position += 1 }
        guard position < text.count else { return nil }
        let start = position
        if text[position] == UInt8(ascii: "\n") {
            position += 1
            return text[start..<start]
        }
        while position < text.count, text[position] > UInt8(ascii: " ") { position += 1 }
        return text[start..<position]
    }

    private mutating func skipLine() {
        while position < text.count, text[position] != UInt8(ascii: "\n") { position += 1 }
    }

    // MARK: Encoding

    private func parseEncoding(_ word: Slice<UnsafeBufferPointer<UInt8>>, _ row: inout NativeRow) {
        var digits: UInt32 = 0
        var digitCount = 0
        var afterColon = false
        row.w = .ignored
        for character in word {
            switch character {
            case UInt8(ascii: "v"): row.vex = true
            case UInt8(ascii: "."):
                switch digits {
                case 0x66: row.prefix = 1
                case 0xf3: row.prefix = 2
                case 0xf2: row.prefix = 3
                default: break
                }
                (digits, digitCount) = (0, 0)
            case UInt8(ascii: "/"), UInt8(ascii: ":"):
                Self.setOpcode(digits, digitCount, &row)
                (digits, digitCount) = (0, 0)
                afterColon = true
                row.modrmMask = character == UInt8(ascii: "/") ? 0x38 : 0xff
            case UInt8(ascii: "+"): row.modrmMask = 0xf8
            default:
                digits = digits << 4 | UInt32(Self.hex(character))
                digitCount += 1
            }
        }
        if afterColon {
            row.modrmValue = UInt8(truncatingIfNeeded: row.modrmMask == 0x38 ? digits << 3 : digits)
            row.form = row.modrmMask == 0x38 ? .any : .register
        } else {
            Self.setOpcode(digits, digitCount, &row)
        }
    }

    private static func setOpcode(_ digits: UInt32, _ count: Int, _ row: inout NativeRow) {
        row.opcode = UInt8(truncatingIfNeeded: digits)
        switch digits >> 8 {
        case 0x0f38: row.map = 2
        case 0x0f3a: row.map = 3
        case 0x0f: row.map = 1
        default: row.map = 0
        }
        row.isX87 = row.map == 0
    }

    private static func hex(_ character: UInt8) -> UInt8 {
        character >= UInt8(ascii: "a") ? character - UInt8(ascii: "a") + 10 : character - UInt8(ascii: "0")
    }

    // MARK: Operands

    private static func parseOperand(_ word: Slice<UnsafeBufferPointer<UInt8>>, _ row: inout NativeRow) {
        var operand = NativeOperand(kind: .none, reads: true, writes: false)
        var letter: UInt8 = 0
        var size = NativeSize.none
        for character in word {
            switch character {
            case UInt8(ascii: "="): (operand.reads, operand.writes) = (false, true)
            case UInt8(ascii: "+"): operand.writes = true
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): letter = character
            default: size = self.size(character)
            }
        }
        switch letter {
        case UInt8(ascii: "V"): row.reg = operand.with(.vector)
        case UInt8(ascii: "P"): row.reg = operand.with(.mmx)
        case UInt8(ascii: "G"): row.reg = operand.with(.gpr)
        case UInt8(ascii: "H"): row.vvvv = operand.with(.vector)
        case UInt8(ascii: "B"): row.vvvv = operand.with(.gpr)
        case UInt8(ascii: "W"): setRM(operand.with(.vector), .any, size, &row)
        case UInt8(ascii: "U"): setRM(operand.with(.vector), .register, size, &row)
        case UInt8(ascii: "Q"): setRM(operand.with(.mmx), .any, size, &row)
        case UInt8(ascii: "N"): setRM(operand.with(.mmx), .register, size, &row)
        case UInt8(ascii: "E"): setRM(operand.with(.gpr), .any, size, &row)
        case UInt8(ascii: "R"): setRM(operand.with(.gpr), .register, size, &row)
        case UInt8(ascii: "M"): setRM(operand, .memory, size, &row)
        case UInt8(ascii: "X"): row.implicit = operand.with(.vector)
        case UInt8(ascii: "L"):
            row.is4 = true
            row.hasImmediate = true
        case UInt8(ascii: "I"): row.hasImmediate = true
        case UInt8(ascii: "A"): row.readsRAX = true
        case UInt8(ascii: "C"): row.writesRCX = true
        case UInt8(ascii: "D"): row.readsRDX = true
        default: break
        }
        if size == .y { row.w = .meaningful }
        let isVector = [row.reg.kind, row.rm.kind, row.vvvv.kind].contains(.vector)
        if isVector, row.vex, row.l == .ignored { row.l = .meaningful }
    }

    private static func setRM(_ operand: NativeOperand, _ form: NativeForm, _ size: NativeSize, _ row: inout NativeRow)
    {
        row.rm = operand
        row.form = form
        row.memorySize = size
    }

    private static func size(_ character: UInt8) -> NativeSize {
        switch character {
        case UInt8(ascii: "b"): .b
        case UInt8(ascii: "w"): .w
        case UInt8(ascii: "d"): .d
        case UInt8(ascii: "q"): .q
        case UInt8(ascii: "o"): .o
        case UInt8(ascii: "t"): .t
        case UInt8(ascii: "y"): .y
        case UInt8(ascii: "x"): .x
        case UInt8(ascii: "h"): .h
        case UInt8(ascii: "f"): .f
        case UInt8(ascii: "e"): .e
        case UInt8(ascii: "p"): .p
        default: .none
        }
    }

    // MARK: Features and attributes

    private func equals(_ word: Slice<UnsafeBufferPointer<UInt8>>, _ name: StaticString) -> Bool {
        word.count == name.utf8CodeUnitCount && word.elementsEqual(name.withUTF8Buffer { $0 })
    }

    private func parseFeature(_ word: Slice<UnsafeBufferPointer<UInt8>>, _ row: inout NativeRow) {
        if equals(word, "x87") {
            row.feature = .fpu
        } else if equals(word, "integer") {
            // Integer vectors: 128 bits came with AVX, 256 with AVX2.
            row.feature = .avx
            row.wideFeature = .avx2
        } else {
            for (name, feature) in Self.features where equals(word, name) { row.feature = feature }
        }
    }

    private static let features: [(StaticString, Feature)] = [
        ("cmov", .cmov), ("mmx", .mmx), ("sse", .sse), ("sse2", .sse2), ("sse3", .sse3), ("ssse3", .ssse3),
        ("sse41", .sse41), ("sse42", .sse42), ("aes", .aes), ("pclmul", .pclmul), ("sha", .sha), ("avx", .avx),
        ("avx2", .avx2), ("f16c", .f16c), ("fma", .fma), ("bmi1", .bmi1), ("bmi2", .bmi2),
    ]

    private func attribute(_ word: Slice<UnsafeBufferPointer<UInt8>>, _ row: inout NativeRow) {
        if equals(word, "fp") {
            row.usesMXCSR = true
        } else if equals(word, "flags") {  // reads, changes or leaves undefined some of the arithmetic flags
            row.readsFlags = true
            row.writesFlags = true
        } else if equals(word, "setsflags") {  // sets all of them
            row.writesFlags = true
        } else if equals(word, "u") {  // legacy SSE that takes misaligned operands
            row.memorySize = row.memorySize == .o ? .x : row.memorySize
        } else if equals(word, "a") {  // VEX that does not
            row.aligned = true
        } else if equals(word, "w0") {
            row.w = .zero
        } else if equals(word, "w1") {
            row.w = .one
        } else if equals(word, "wide") {  // REX.W or VEX.W selects 64-bit implicit registers
            row.w = .meaningful
        } else if equals(word, "l0") {
            row.l = .zero
        } else if equals(word, "l1") {
            row.l = .one
        } else if equals(word, "lig") {
            row.l = .ignored
        } else if equals(word, "nowait") {
            row.nonWaiting = true
        } else if equals(word, "masked") {
            row.special = .masked
        } else if equals(word, "gather") {
            row.special = .gather
        } else if equals(word, "mxcsr") {
            row.special = .mxcsr
        } else if equals(word, "nomodrm") {
            row.hasModRM = false
            row.special = .zeroUpper
        }
    }

    /// Fills in what follows from the rest.
    private func complete(_ row: inout NativeRow) {
        let usesMMX = row.reg.kind == .mmx || row.rm.kind == .mmx
        let usesVectors = [row.reg.kind, row.rm.kind, row.vvvv.kind].contains(.vector) || row.special != .none
        if row.isX87 {
            row.gates = .x87
            if row.modrmMask == 0x38 { row.form = .memory }
        } else if usesMMX {
            row.gates = usesVectors && row.special == .none ? [.mmx, .sse] : .mmx
            row.entersMMX = true
        } else if usesVectors {
            row.gates = row.vex ? .avx : .sse
        }
        if !row.vex, row.memorySize == .o { row.aligned = true }
    }
}

extension NativeOperand {
    fileprivate func with(_ kind: NativeClass) -> NativeOperand {
        NativeOperand(kind: kind, reads: reads, writes: writes)
    }
}

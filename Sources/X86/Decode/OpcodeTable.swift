// The opcode map in the form in which the decoder searches it: a dense index by map, opcode and ModRM.reg, and behind
// each slot a short chain of rows that differ in mandatory prefix, kind of r/m, mode or whole ModRM byte.

/// How wide an operand is, before the prefixes are known.
enum WidthCode: UInt8 {
    case none, byte, word, dword, qword, operandSize, rexW, native
}

/// What follows ModRM, SIB and displacement.
enum ImmediateCode: UInt8 {
    case none, signedByte, unsignedByte, unsignedWord, signedFull, full, branchByte, branchFull, far, moffs, enter, one
}

/// One encoding of one instruction.
struct OpcodeRow {
    var mnemonic: Mnemonic = .invalid
    var form: OperandForm = .none
    var width: WidthCode = .none
    var sourceWidth: WidthCode = .none
    var immediate: ImmediateCode = .none
    var hasModRM = false
    var opcodeRegister = false
    var accumulator = false
    var memoryOnly = false
    var registerOnly = false
    var controlRegister = false
    var lockable = false
    var default64 = false
    var force64 = false
    var endsBlock = false
    /// 0: not in 64-bit mode; 1: only there; nil: anywhere.
    var in64BitMode: Bool?
    var modRM: UInt8?
    var prefix: MandatoryPrefix = .any
    /// The next row to try for the same slot; 0 ends the chain.
    var next: UInt16 = 0
}

/// Which of 66, F2 and F3 an encoding demands.
enum MandatoryPrefix: UInt8 {
    case any, noPrefix, operandSize, repne, rep
}

/// The parsed map.
struct OpcodeTable: @unchecked Sendable {
    // SAFETY: both are filled once by `init` and only read afterwards; the one instance lives for ever.
    let rows: UnsafeMutablePointer<OpcodeRow>
    private let index: UnsafeMutablePointer<UInt16>

    static let shared = OpcodeTable(parsing: OpcodeMap.rows)

    /// The first row for an opcode, whose chain the decoder walks; 0 when there is none.
    @inline(__always) func firstRow(map: UInt8, opcode: UInt8, modRM: UInt8) -> Int {
        Int(index[(Int(map) &<< 8 | Int(opcode)) &<< 3 | Int(modRM >> 3 & 7)])
    }

    private init(parsing text: StaticString) {
        let lines = text.withUTF8Buffer { String(decoding: $0, as: UTF8.self) }.split(separator: "\n")
        rows = .allocate(capacity: lines.count + 1)
        index = .allocate(capacity: 4 * 256 * 8)
        index.initialize(repeating: 0, count: 4 * 256 * 8)
        rows.initialize(to: OpcodeRow())
        let mnemonics = Dictionary(uniqueKeysWithValues: Mnemonic.allCases.map { ("\($0)", $0) })
        for (number, line) in lines.enumerated() {
            let words = line.split(separator: " ")
            var row = OpcodeRow()
            row.mnemonic = mnemonics[String(words[1])] ?? .invalid
            row.form = Self.form(words[2])
            row.width = Self.width(words[3])
            for word in words[4...] { Self.apply(word, to: &row) }
            let impliesModRM = row.form != .none && row.form.rawValue <= OperandForm.rm_r_c.rawValue
            row.hasModRM = row.hasModRM || impliesModRM || row.form == .special
            insert(row, number: UInt16(number + 1), opcode: words[0])
        }
    }

    /// Puts a row into every slot that its opcode pattern names. Rows with a mandatory prefix or a whole ModRM byte come
    /// first in a chain.
    private func insert(_ row: OpcodeRow, number: UInt16, opcode pattern: Substring) {
        var row = row
        var digits = pattern
        var extensions = 0..<8
        if let slash = pattern.firstIndex(of: "/") {
            digits = pattern[..<slash]
            let value = Int(pattern[pattern.index(after: slash)...]) ?? 0
            extensions = value..<value + 1
            row.hasModRM = true
        } else if let equals = pattern.firstIndex(of: "=") {
            digits = pattern[..<equals]
            let value = UInt8(pattern[pattern.index(after: equals)...], radix: 16) ?? 0
            row.modRM = value
            row.hasModRM = true
            extensions = Int(value >> 3 & 7)..<Int(value >> 3 & 7) + 1
        }
        var opcodes = 1
        if digits.last == "+" {
            opcodes = 8
            row.opcodeRegister = true
            row.hasModRM = false
            digits = digits.dropLast()
        } else if digits.last == "*" {
            opcodes = 16
            digits = digits.dropLast() + "0"
        } else if row.accumulator {
            row.hasModRM = false
        }
        let maps: [Substring] = ["", "0f", "0f38", "0f3a"]
        let map = digits.count > 4 ? (digits.hasPrefix("0f38") ? 2 : 3) : digits.count > 2 ? 1 : 0
        let first = Int(digits.dropFirst(maps[map].count), radix: 16) ?? 0
        let specific = row.prefix != .any || row.modRM != nil
        let new = Int(number)
        (rows + new).initialize(to: row)
        for opcode in first..<first + opcodes {
            for ext in extensions {
                let slot = (map << 8 | opcode) << 3 | ext
                let head = Int(index[slot])
                if head == 0 || specific {
                    // A row that fills several slots finds the same chain in each: rows are all listed by opcode.
                    rows[new].next = index[slot]
                    index[slot] = number
                } else {
                    var last = head
                    while rows[last].next != 0, last != new { last = Int(rows[last].next) }
                    if last != new { rows[last].next = number }
                }
            }
        }
    }

    private static func form(_ word: Substring) -> OperandForm {
        switch word {
        case "rm": .rm
        case "rm_r": .rm_r
        case "r_rm": .r_rm
        case "rm_i": .rm_i
        case "rm_c": .rm_c
        case "r_rm_i": .r_rm_i
        case "rm_r_i": .rm_r_i
        case "rm_r_c": .rm_r_c
        case "i": .i
        case "relative": .relative
        case "far": .far
        case "dx": .dx
        case "special": .special
        default: .none
        }
    }

    private static func width(_ word: Substring) -> WidthCode {
        switch word {
        case "b": .byte
        case "w": .word
        case "d": .dword
        case "q": .qword
        case "v": .operandSize
        case "y": .rexW
        case "n": .native
        default: .none
        }
    }

    private static func apply(_ word: Substring, to row: inout OpcodeRow) {
        switch word {
        case "ib": row.immediate = .signedByte
        case "ub": row.immediate = .unsignedByte
        case "iw": row.immediate = .unsignedWord
        case "iz": row.immediate = .signedFull
        case "iv": row.immediate = .full
        case "jb": row.immediate = .branchByte
        case "jz": row.immediate = .branchFull
        case "far": row.immediate = .far
        case "moffs": row.immediate = .moffs
        case "enter": row.immediate = .enter
        case "one": row.immediate = .one
        case "mem": row.memoryOnly = true
        case "reg": row.registerOnly = true
        case "creg": row.controlRegister = true
        case "np": row.prefix = .noPrefix
        case "66": row.prefix = .operandSize
        case "f2": row.prefix = .repne
        case "f3": row.prefix = .rep
        case "only64": row.in64BitMode = true
        case "no64": row.in64BitMode = false
        case "lock": row.lockable = true
        case "d64": row.default64 = true
        case "f64": row.force64 = true
        case "end": row.endsBlock = true
        case "acc": row.accumulator = true
        case "modrm": row.hasModRM = true
        case "srcb": row.sourceWidth = .byte
        case "srcw": row.sourceWidth = .word
        case "srcd": row.sourceWidth = .dword
        case "srcv": row.sourceWidth = .operandSize
        default: break
        }
    }
}

// One decoded instruction for readers rather than for execution: its name and operands as the manuals have them. What
// tests compare with other decoders, and what lists every form that the decoder knows.

import CPrimitives

/// What the decoder makes of some bytes.
package struct DecodedInstruction: Sendable {
    /// What code is decoded as.
    package enum Mode: CaseIterable, Sendable {
        case code16, code32, code64, real16

        var decodeMode: DecodeMode {
            switch self {
            case .code16: DecodeMode(codeWidth: 2, realOrVirtual8086: false)
            case .code32: DecodeMode(codeWidth: 4, realOrVirtual8086: false)
            case .code64: DecodeMode(codeWidth: 8, realOrVirtual8086: false)
            case .real16: DecodeMode(codeWidth: 2, realOrVirtual8086: true)
            }
        }
    }

    package enum Outcome: Sendable {
        case valid
        /// #UD
        case invalid
        /// It goes on behind the bytes given.
        case truncated
        /// More than 15 bytes.
        case tooLong
    }

    /// Where an operand is encoded.
    package enum Role: Sendable { case reg, rm, vvvv, opcode, is4, immediate, absolute }

    package enum RegisterKind: Sendable { case general, highByte, x87, mmx, vector, segment, control, debug }

    /// A register of an address.
    package enum AddressRegister: Hashable, Sendable {
        case none, instructionPointer
        case register(Int)
    }

    package enum Operand: Sendable {
        /// `size` is in bytes, 0 where it is not told.
        case register(RegisterKind, number: Int, size: Int)
        case memory(
            base: AddressRegister, index: AddressRegister, scale: Int, displacement: Int64, segment: Int, size: Int)
        case immediate(Int64, size: Int)
        case far(selector: UInt16, offset: UInt32)
    }

    package let outcome: Outcome
    /// In bytes.
    package let length: Int
    /// In lower case, as the manuals spell it.
    package let mnemonic: String
    package let operands: [(role: Role, operand: Operand)]
    package let isLocked: Bool
    /// Tells apart what the decoder's tables tell apart.
    package let form: DecodedForm?

    /// Decodes the first instruction in `bytes`.
    package init(_ bytes: UnsafeBufferPointer<UInt8>, mode: Mode) {
        var instruction = tz_instruction()
        var row: UnsafeMutablePointer<OpcodeRow>?
        var result = DecodeOutcome.truncated
        if let start = bytes.baseAddress, bytes.count > 0 {
            result = decode(start, count: bytes.count, mode: mode.decodeMode, into: &instruction, row: &row)
        }
        let isInvalid = instruction.mnemonic == Mnemonic.invalid.rawValue
        switch result {
        case .complete: outcome = isInvalid ? .invalid : .valid
        case .truncated: outcome = .truncated
        case .tooLong: outcome = .tooLong
        }
        length = Int(instruction.length)
        isLocked = instruction.flags & UInt8(TZ_INSN_LOCK) != 0
        guard outcome == .valid else {
            mnemonic = ""
            operands = []
            form = nil
            return
        }
        if let row {
            mnemonic = instruction.manualName
            operands = instruction.operands(of: row.pointee)
            form = DecodedForm(instruction, integerRow: row - OpcodeTable.shared.rows)
        } else {
            let native = NativeTable.shared.rows[Int(instruction.row)]
            mnemonic = instruction.manualName(of: native)
            operands = instruction.operands(of: native)
            form = DecodedForm(instruction, native: native)
        }
    }
}

/// A form of an instruction: encodings that differ only in which registers, addresses and immediates they name are of
/// the same form.
package struct DecodedForm: Hashable, Sendable {
    /// Of the opcode map, or 0.
    package let integerRow: Int
    /// Of the native allow-list, or 0.
    package let nativeRow: Int
    /// `Mnemonic`'s name: what integer rows make of prefixes.
    package let operation: String
    /// Operand width in bytes.
    package let width: Int
    package let isMemory: Bool
    package let isLocked: Bool
    /// 0, or F2 or F3 before a string instruction.
    package let repeats: UInt8
    /// VEX.L and W
    package let l: Bool
    package let w: Bool
    package let in64BitMode: Bool
    /// Bytes that reach it, for people.
    package let opcode: String

    init(_ i: tz_instruction, integerRow: Int) {
        self.init(i, integerRow: integerRow, native: nil)
    }

    init(_ i: tz_instruction, native: NativeRow) {
        self.init(i, integerRow: 0, native: native)
    }

    private init(_ i: tz_instruction, integerRow: Int, native: NativeRow?) {
        let mnemonic = Mnemonic(rawValue: i.mnemonic) ?? .invalid
        let isString = [.movs, .cmps, .stos, .lods, .scas, .ins, .outs].contains(mnemonic)
        self.integerRow = integerRow
        nativeRow = native == nil ? 0 : Int(i.row)
        operation = native?.mnemonic ?? "\(mnemonic)"
        width = Int(i.width)
        isMemory = i.isMemory
        isLocked = i.flags & UInt8(TZ_INSN_LOCK) != 0
        repeats =
            !isString ? 0 : i.flags & UInt8(TZ_INSN_REP) != 0 ? 0xf3 : i.flags & UInt8(TZ_INSN_REPNE) != 0 ? 0xf2 : 0
        l = native.map { $0.l != .ignored && i.prefixes & UInt8(TZ_PREFIX_VEX_L) != 0 } ?? false
        w = native.map { $0.w != .ignored && i.rex & 8 != 0 } ?? false
        in64BitMode = i.flags & UInt8(TZ_INSN_CHECKED) == 0
        let maps = ["", "0f", "0f38", "0f3a"]
        let opcode = String(UInt16(i.opcode) + 0x100, radix: 16).suffix(2)
        self.opcode = "\(maps[Int(i.map) & 3])\(opcode)"
    }
}

extension tz_instruction {
    fileprivate typealias Operands = [(role: DecodedInstruction.Role, operand: DecodedInstruction.Operand)]

    private func general(_ offset: UInt8, _ size: Int) -> DecodedInstruction.Operand {
        offset & 7 != 0
            ? .register(.highByte, number: Int(offset >> 3) + 4, size: 1)
            : .register(.general, number: Int(offset >> 3), size: size)
    }

    private func address(_ offset: UInt8) -> DecodedInstruction.AddressRegister {
        switch Int(offset) {
        case TZ_ZERO_OFFSET: .none
        case TZ_RIP_OFFSET: .instructionPointer
        default: .register(Int(offset >> 3))
        }
    }

    private func memory(size: Int, vectorIndex: Bool = false) -> DecodedInstruction.Operand {
        var index = address(self.index)
        if vectorIndex, index == .none { index = .register(4) }
        return .memory(
            base: address(base), index: index, scale: 1 << Int(scale), displacement: Int64(displacement),
            segment: Int(segment), size: size)
    }

    /// Of an instruction of the opcode map.
    fileprivate func operands(of row: OpcodeRow) -> Operands {
        var found: Operands = []
        let form = row.form
        let mnemonic = Mnemonic(rawValue: self.mnemonic) ?? .invalid
        let rmSize = row.sourceWidth != .none ? Int(self.row) : Int(width)
        switch form {
        case .rm, .rm_r, .r_rm, .rm_i, .rm_c, .r_rm_i, .rm_r_i, .rm_r_c, .special:
            guard !row.accumulator else { break }
            if isMemory {
                found.append((.rm, memory(size: rmSize)))
            } else if row.opcodeRegister {
                if !(opcode == 0x90 && map == 0 && mnemonic != .xchg) { found.append((.opcode, general(rm, rmSize))) }
            } else {
                found.append((.rm, general(rm, rmSize)))
            }
        default: break
        }
        switch form {
        case .rm_r, .r_rm, .r_rm_i, .rm_r_i, .rm_r_c:
            if !row.opcodeRegister { found.append((.reg, general(reg, Int(width)))) }
        case .special:
            switch mnemonic {
            case .movFromSegment, .movToSegment:
                found.append((.reg, .register(.segment, number: Int(reg & 7), size: 2)))
            case .movFromCR, .movToCR: found.append((.reg, .register(.control, number: Int(reg), size: 0)))
            case .movFromDR, .movToDR: found.append((.reg, .register(.debug, number: Int(reg), size: 0)))
            default: break
            }
        default: break
        }
        return found + immediates(of: row)
    }

    private func immediates(of row: OpcodeRow) -> Operands {
        let full = min(Int(width), 4)
        switch row.immediate {
        case .none, .one: return []
        case .signedByte, .unsignedByte, .branchByte: return [(.immediate, .immediate(immediate, size: 1))]
        case .unsignedWord: return [(.immediate, .immediate(immediate, size: 2))]
        case .signedFull, .branchFull: return [(.immediate, .immediate(immediate, size: full))]
        case .full: return [(.immediate, .immediate(immediate, size: Int(width)))]
        case .far: return [(.immediate, .far(selector: self.row, offset: UInt32(truncatingIfNeeded: immediate)))]
        case .moffs:
            return [
                (
                    .absolute,
                    .memory(
                        base: .none, index: .none, scale: 1, displacement: immediate, segment: Int(segment),
                        size: Int(width))
                )
            ]
        case .enter:
            return [(.immediate, .immediate(immediate, size: 2)), (.immediate, .immediate(Int64(self.row), size: 1))]
        }
    }

    /// Of a native instruction.
    fileprivate func operands(of row: NativeRow) -> Operands {
        var found: Operands = []
        let l = prefixes & UInt8(TZ_PREFIX_VEX_L) != 0
        func register(_ kind: NativeClass, _ number: UInt8) -> DecodedInstruction.Operand? {
            switch kind {
            case .none: nil
            case .vector: .register(.vector, number: Int(isOutside64BitMode ? number & 7 : number), size: 0)
            case .mmx: .register(.mmx, number: Int(number & 7), size: 0)
            case .gpr: .register(.general, number: Int(isOutside64BitMode ? number & 7 : number), size: 0)
            }
        }
        if let operand = register(row.reg.kind, reg) { found.append((.reg, operand)) }
        if isMemory {
            let size = Int(row.memorySize.bytes(l: l, w: rex & 8 != 0 && !isOutside64BitMode))
            found.append((.rm, memory(size: size, vectorIndex: row.special == .gather)))
        } else if let operand = register(row.rm.kind, rm) {
            found.append((.rm, operand))
        } else if row.isX87, row.modrmMask == 0xf8 {
            found.append((.rm, .register(.x87, number: Int(modrm & 7), size: 0)))
        }
        if let operand = register(row.vvvv.kind, vvvv) { found.append((.vvvv, operand)) }
        if row.is4 {
            found.append(
                (.is4, .register(.vector, number: Int(immediate >> 4 & (isOutside64BitMode ? 7 : 15)), size: 0)))
        } else if row.hasImmediate {
            found.append((.immediate, .immediate(immediate, size: 1)))
        }
        return found
    }
}

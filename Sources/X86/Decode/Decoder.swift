// The decoder: instruction bytes to `tz_instruction` (SDM volume 2, chapter 2). It knows encodings only; what an
// instruction does, and whether this CPU model offers it, is decided when its handler is chosen.

import CPrimitives

/// What decoding depends on besides the bytes.
struct DecodeMode: Equatable {
    /// Default code size: 2, 4 or 8 bytes (8 is 64-bit mode).
    var codeWidth: UInt8
    /// Real-address and virtual-8086 mode have no VEX prefixes.
    var realOrVirtual8086: Bool
}

/// How decoding ended.
enum DecodeOutcome {
    case complete
    /// The instruction goes on behind the bytes given.
    case truncated
    /// More than 15 bytes: #GP(0).
    case tooLong
}

/// Decodes one instruction from the `count` bytes at `bytes` into `out`. An encoding that does not exist is complete,
/// with mnemonic `invalid`.
func decode(
    _ bytes: UnsafePointer<UInt8>, count: Int, mode: DecodeMode, into out: UnsafeMutablePointer<tz_instruction>
) -> DecodeOutcome {
    var row: UnsafeMutablePointer<OpcodeRow>?
    return decode(bytes, count: count, mode: mode, into: out, row: &row)
}

/// The same, which also tells the row of the opcode map; nil for native and invalid instructions.
@inline(__always) func decode(
    _ bytes: UnsafePointer<UInt8>, count: Int, mode: DecodeMode, into out: UnsafeMutablePointer<tz_instruction>,
    row: inout UnsafeMutablePointer<OpcodeRow>?
) -> DecodeOutcome {
    var decoder = Decoder(bytes: bytes, count: min(count, 15), mode: mode)
    out.pointee = tz_instruction()
    row = decoder.decode(into: out)
    if decoder.overrun { return count >= 15 ? .tooLong : .truncated }
    out.pointee.length = UInt8(decoder.position)
    return .complete
}

/// The work of decoding one instruction.
private struct Decoder {
    let bytes: UnsafePointer<UInt8>
    let count: Int
    let mode: DecodeMode
    var position = 0
    var overrun = false

    var prefixes: UInt8 = 0
    var lock = false
    var rex: UInt8 = 0
    var segmentOverride: UInt8?
    var map: UInt8 = 0
    var opcode: UInt8 = 0
    var vvvv: UInt8 = 0
    /// 0 none, 1: 66, 2: F3, 3: F2 as in VEX.pp
    var mandatory: UInt8 = 0

    init(bytes: UnsafePointer<UInt8>, count: Int, mode: DecodeMode) {
        self.bytes = bytes
        self.count = count
        self.mode = mode
    }

    var in64: Bool { mode.codeWidth == 8 }
    func has(_ prefix: Int) -> Bool { prefixes & UInt8(prefix) != 0 }
    var rexW: Bool { rex & 8 != 0 }

    // MARK: Bytes

    mutating func byte() -> UInt8 {
        guard position < count else {
            overrun = true
            return 0
        }
        position += 1
        return bytes[position - 1]
    }

    func peek() -> UInt8? { position < count ? bytes[position] : nil }

    mutating func integer(_ size: Int) -> UInt64 {
        var value: UInt64 = 0
        for shift in 0..<size { value |= UInt64(byte()) << UInt64(8 * shift) }
        return value
    }

    mutating func signed(_ size: Int) -> Int64 {
        let shift = Int64(64 - 8 * size)
        return (Int64(bitPattern: integer(size)) << shift) >> shift
    }

    // MARK: Stages

    mutating func decode(into out: UnsafeMutablePointer<tz_instruction>) -> UnsafeMutablePointer<OpcodeRow>? {
        readPrefixes()
        readOpcode()
        if overrun { return nil }
        out.pointee.prefixes = prefixes
        out.pointee.map = map
        out.pointee.opcode = opcode
        out.pointee.rex = rex
        out.pointee.vvvv = vvvv
        out.pointee.address_mask = addressMask
        if mode.codeWidth != 8 { out.pointee.flags |= UInt8(TZ_INSN_CHECKED) }
        if has(TZ_PREFIX_F3) { out.pointee.flags |= UInt8(TZ_INSN_REP) }
        if has(TZ_PREFIX_F2) { out.pointee.flags |= UInt8(TZ_INSN_REPNE) }
        let row = has(TZ_PREFIX_VEX) ? nil : findRow()
        if let row {
            decodeInteger(row, into: out)
        } else {
            decodeNative(into: out)
        }
        if lock { applyLock(out) }
        if out.pointee.mnemonic == Mnemonic.invalid.rawValue { out.pointee.flags |= UInt8(TZ_INSN_ENDS_BLOCK) }
        return row
    }

    mutating func readPrefixes() {
        while let next = peek() {
            switch next {
            case 0x26, 0x2e, 0x36, 0x3e:
                if !in64 { segmentOverride = next >> 3 & 3 }
                prefixes |= UInt8(TZ_PREFIX_SEGMENT)
            case 0x64: segmentOverride = UInt8(TZ_FS)
            case 0x65: segmentOverride = UInt8(TZ_GS)
            case 0x66: prefixes |= UInt8(TZ_PREFIX_66)
            case 0x67: prefixes |= UInt8(TZ_PREFIX_67)
            case 0xf0: lock = true
            // The last of F2 and F3 counts.
            case 0xf2: prefixes = prefixes & ~UInt8(TZ_PREFIX_F3) | UInt8(TZ_PREFIX_F2)
            case 0xf3: prefixes = prefixes & ~UInt8(TZ_PREFIX_F2) | UInt8(TZ_PREFIX_F3)
            case 0x40...0x4f where in64:
                // A REX that is not directly before the opcode is ignored.
                rex = next & 15
                prefixes |= UInt8(TZ_PREFIX_REX)
                position += 1
                continue
            default: return
            }
            rex = 0
            prefixes &= ~UInt8(TZ_PREFIX_REX)
            position += 1
        }
        overrun = true
    }

    mutating func readOpcode() {
        opcode = byte()
        if opcode == 0xc4 || opcode == 0xc5, isVEX() { return readVEX() }
        mandatory = has(TZ_PREFIX_F3) ? 2 : has(TZ_PREFIX_F2) ? 3 : has(TZ_PREFIX_66) ? 1 : 0
        guard opcode == 0x0f else { return }
        map = 1
        opcode = byte()
        if opcode == 0x38 || opcode == 0x3a {
            map = opcode == 0x38 ? 2 : 3
            opcode = byte()
        }
    }

    /// Outside 64-bit mode C4 and C5 are LES and LDS unless the next byte would be a register form.
    mutating func isVEX() -> Bool {
        if in64 { return true }
        guard !mode.realOrVirtual8086 else { return false }
        guard let next = peek() else {
            overrun = true
            return false
        }
        return next >= 0xc0
    }

    /// The map of a VEX prefix that raises #UD whatever follows.
    static let noMap: UInt8 = 0xff

    mutating func readVEX() {
        // A VEX prefix after 66, F2, F3, LOCK or REX is #UD (SDM volume 2, section 2.3.2).
        let illegal = lock || has(TZ_PREFIX_66) || has(TZ_PREFIX_F2) || has(TZ_PREFIX_F3) || has(TZ_PREFIX_REX)
        lock = false
        prefixes |= UInt8(TZ_PREFIX_VEX)
        let first = byte()
        var last = first
        rex = (~first >> 5) & 4  // R
        map = 1
        if opcode == 0xc4 {
            last = byte()
            rex = (~first >> 5) & 7 | (last >> 4) & 8
            map = first & 31
        }
        if !in64 { rex &= 8 }
        vvvv = (~last >> 3) & 15
        if last & 4 != 0 { prefixes |= UInt8(TZ_PREFIX_VEX_L) }
        mandatory = last & 3
        opcode = byte()
        if illegal || map > 3 || map == 0 { map = Self.noMap }
    }

    func findRow() -> UnsafeMutablePointer<OpcodeRow>? {
        let table = OpcodeTable.shared
        let modRM = peek() ?? 0
        var number = table.firstRow(map: map, opcode: opcode, modRM: modRM)
        while number != 0 {
            let row = table.rows + number
            if matches(row, modRM) { return row }
            number = Int(row.pointee.next)
        }
        return nil
    }

    func matches(_ row: UnsafeMutablePointer<OpcodeRow>, _ modRM: UInt8) -> Bool {
        switch row.pointee.prefix {
        case .any: break
        case .noPrefix: if mandatory != 0 { return false }
        case .operandSize: if mandatory != 1 { return false }
        case .rep: if mandatory != 2 { return false }
        case .repne: if mandatory != 3 { return false }
        }
        if let wanted = row.pointee.in64BitMode, wanted != in64 { return false }
        if let wanted = row.pointee.modRM, wanted != modRM { return false }
        if row.pointee.memoryOnly, modRM >= 0xc0 { return false }
        if row.pointee.registerOnly, modRM < 0xc0 { return false }
        return true
    }

    // MARK: Integer and system instructions

    mutating func decodeInteger(_ row: UnsafeMutablePointer<OpcodeRow>, into out: UnsafeMutablePointer<tz_instruction>)
    {
        var mnemonic = row.pointee.mnemonic
        if map == 0, opcode == 0x90, rex & 1 == 0 {
            mnemonic = lock ? .invalid : has(TZ_PREFIX_F3) ? .pause : .nop
            out.pointee.mnemonic = mnemonic.rawValue
            return
        }
        let width = resolve(row.pointee.width, row)
        out.pointee.width = width
        out.pointee.form = row.pointee.form.rawValue
        if row.pointee.endsBlock { out.pointee.flags |= UInt8(TZ_INSN_ENDS_BLOCK) }
        let source = row.pointee.sourceWidth == .none ? width : resolve(row.pointee.sourceWidth, row)
        if row.pointee.sourceWidth != .none { out.pointee.row = UInt16(source) }

        if row.pointee.hasModRM {
            readModRM(into: out, forceRegister: row.pointee.controlRegister)
            let reg = out.pointee.modrm >> 3 & 7 | rex << 1 & 8
            let rm = out.pointee.modrm & 7 | rex << 3 & 8
            let plainNumber = row.pointee.form == .special
            // ModRM.reg of CRC32 and MOVZX is as wide as the destination; r/m as wide as the source.
            out.pointee.reg = plainNumber ? reg : registerOffset(reg, byte: width == 1, out)
            if out.pointee.flags & UInt8(TZ_INSN_MEMORY) == 0 {
                out.pointee.rm = registerOffset(rm, byte: source == 1, out)
            }
        } else if row.pointee.opcodeRegister {
            out.pointee.rm = registerOffset(opcode & 7 | rex << 3 & 8, byte: width == 1, out)
        } else {
            let isStack = mnemonic == .pushSegment || mnemonic == .popSegment
            if isStack { out.pointee.reg = opcode >> 3 & 7 }
            implicitMemory(out)
        }
        if row.pointee.lockable, out.pointee.flags & UInt8(TZ_INSN_MEMORY) == 0, lock { mnemonic = .invalid }
        if !row.pointee.lockable, lock { mnemonic = .invalid }
        if mnemonic == .cmpxchg8b, rexW { mnemonic = .cmpxchg16b }
        if width == 8, [.in, .out, .ins, .outs].contains(mnemonic) { out.pointee.width = 4 }
        if mnemonic == .movToSegment || mnemonic == .movFromSegment {
            // There are six: REX.R counts for nothing.
            let number = out.pointee.reg & 7
            out.pointee.reg = number
            if number > UInt8(TZ_GS) || mnemonic == .movToSegment && number == UInt8(TZ_CS) { mnemonic = .invalid }
        }
        out.pointee.mnemonic = mnemonic.rawValue
        readImmediate(row.pointee.immediate, width: width, into: out)
    }

    func resolve(_ code: WidthCode, _ row: UnsafeMutablePointer<OpcodeRow>) -> UInt8 {
        switch code {
        case .none: return 0
        case .byte: return 1
        case .word: return 2
        case .dword: return 4
        case .qword: return 8
        case .rexW: return rexW ? 8 : 4
        case .native: return in64 ? 8 : 4
        case .operandSize:
            if in64 {
                if row.pointee.force64 { return 8 }
                if rexW { return 8 }
                if has(TZ_PREFIX_66) { return 2 }
                return row.pointee.default64 ? 8 : 4
            }
            return (mode.codeWidth == 4) != has(TZ_PREFIX_66) ? 4 : 2
        }
    }

    /// Byte offset of a register operand; AH, CH, DH and BH where no REX prefix is present.
    func registerOffset(_ number: UInt8, byte: Bool, _ out: UnsafeMutablePointer<tz_instruction>) -> UInt8 {
        guard byte, number >= 4, number < 8, !has(TZ_PREFIX_REX) else { return number * 8 }
        out.pointee.flags |= UInt8(TZ_INSN_HIGH_BYTE)
        return (number - 4) * 8 + 1
    }

    mutating func readImmediate(
        _ code: ImmediateCode, width: UInt8, into out: UnsafeMutablePointer<tz_instruction>
    ) {
        let full = min(Int(width), 4)
        switch code {
        case .none: break
        case .signedByte, .branchByte: out.pointee.immediate = signed(1)
        case .unsignedByte: out.pointee.immediate = Int64(byte())
        case .unsignedWord: out.pointee.immediate = Int64(integer(2))
        case .signedFull: out.pointee.immediate = signed(full)
        case .branchFull: out.pointee.immediate = signed(full)
        case .full: out.pointee.immediate = signed(Int(width))
        case .moffs: out.pointee.immediate = Int64(bitPattern: integer(addressWidth))
        case .far:
            out.pointee.immediate = Int64(integer(full))
            out.pointee.row = UInt16(integer(2))
        case .enter:
            out.pointee.immediate = Int64(integer(2))
            out.pointee.row = UInt16(byte() & 31)
        case .one: out.pointee.immediate = 1
        }
    }

    func applyLock(_ out: UnsafeMutablePointer<tz_instruction>) {
        if out.pointee.mnemonic == Mnemonic.native.rawValue { out.pointee.mnemonic = Mnemonic.invalid.rawValue }
        out.pointee.flags |= UInt8(TZ_INSN_LOCK)
    }

    // MARK: Native instructions

    mutating func decodeNative(into out: UnsafeMutablePointer<tz_instruction>) {
        let modRM = peek() ?? 0
        guard map < 4,
            let row = NativeTable.lookup(
                map: map, prefix: mandatory, vex: has(TZ_PREFIX_VEX), l: has(TZ_PREFIX_VEX_L), w: rexW, opcode: opcode,
                modrm: modRM)
        else {
            // Without its ModRM byte no encoding of a map can be ruled out.
            if map != Self.noMap, position >= count { overrun = true }
            return decodeInvalid(into: out)
        }
        out.pointee.mnemonic = Mnemonic.native.rawValue
        out.pointee.row = row
        if NativeTable.hasModRM(row) {
            readModRM(into: out, forceRegister: false)
            out.pointee.reg = out.pointee.modrm >> 3 & 7 | rex << 1 & 8
            if out.pointee.flags & UInt8(TZ_INSN_MEMORY) == 0 {
                out.pointee.rm = out.pointee.modrm & 7 | rex << 3 & 8
            }
        }
        if NativeTable.hasImmediate(row) {
            // The displacement of a RIP-relative operand counts from the end, the immediate included: `rip` already
            // points there when the handler runs.
            out.pointee.immediate = Int64(byte())
        }
        if has(TZ_PREFIX_VEX), NativeTable.refuses(out) { decodeInvalid(into: out) }
    }

    /// #UD takes precedence over nothing but fetching: the length is that of the opcode.
    func decodeInvalid(into out: UnsafeMutablePointer<tz_instruction>) {
        out.pointee.mnemonic = Mnemonic.invalid.rawValue
    }

    // MARK: Memory operands

    var addressWidth: Int {
        switch (mode.codeWidth, has(TZ_PREFIX_67)) {
        case (8, false): 8
        case (8, true), (4, false), (2, true): 4
        default: 2
        }
    }

    var addressMask: UInt64 {
        switch addressWidth {
        case 8: .max
        case 4: 0xffff_ffff
        default: 0xffff
        }
    }

    /// Operands that no ModRM names (string instructions, XLAT, moffs) use DS unless overridden.
    func implicitMemory(_ out: UnsafeMutablePointer<tz_instruction>) {
        out.pointee.segment = segmentOverride ?? UInt8(TZ_DS)
        out.pointee.base = UInt8(TZ_ZERO_OFFSET)
        out.pointee.index = UInt8(TZ_ZERO_OFFSET)
    }

    mutating func readModRM(into out: UnsafeMutablePointer<tz_instruction>, forceRegister: Bool) {
        let modRM = byte()
        out.pointee.modrm = modRM
        implicitMemory(out)
        if modRM >= 0xc0 || forceRegister { return }
        out.pointee.flags |= UInt8(TZ_INSN_MEMORY)
        if addressWidth == 2 { readMemory16(modRM, into: out) } else { readMemory32(modRM, into: out) }
    }

    /// SDM volume 2, table 2-1.
    mutating func readMemory16(_ modRM: UInt8, into out: UnsafeMutablePointer<tz_instruction>) {
        let rbx: UInt8 = 24, rbp: UInt8 = 40, rsi: UInt8 = 48, rdi: UInt8 = 56, none = UInt8(TZ_ZERO_OFFSET)
        var operand: (base: UInt8, index: UInt8) =
            switch modRM & 7 {
            case 0: (rbx, rsi)
            case 1: (rbx, rdi)
            case 2: (rbp, rsi)
            case 3: (rbp, rdi)
            case 4: (rsi, none)
            case 5: (rdi, none)
            case 6: (rbp, none)
            default: (rbx, none)
            }
        var displacement: Int64 = 0
        switch modRM >> 6 {
        case 0 where modRM & 7 == 6:
            operand.base = none
            displacement = signed(2)
        case 1: displacement = signed(1)
        case 2: displacement = signed(2)
        default: break
        }
        out.pointee.base = operand.base
        out.pointee.index = operand.index
        out.pointee.displacement = Int32(truncatingIfNeeded: displacement)
        out.pointee.segment = segmentOverride ?? UInt8(operand.base == rbp ? TZ_SS : TZ_DS)
    }

    /// SDM volume 2, tables 2-2 and 2-3, with REX (section 2.2.1).
    mutating func readMemory32(_ modRM: UInt8, into out: UnsafeMutablePointer<tz_instruction>) {
        let kind = modRM >> 6
        var base = modRM & 7 | rex << 3 & 8
        var hasBase = true
        var ripRelative = false
        if modRM & 7 == 4 {
            let sib = byte()
            let index = sib >> 3 & 7 | rex << 2 & 8
            base = sib & 7 | rex << 3 & 8
            if index != 4 {
                out.pointee.index = index * 8
            }
            out.pointee.scale = sib >> 6
            if sib & 7 == 5, kind == 0 { hasBase = false }
        } else if modRM & 7 == 5, kind == 0 {
            hasBase = false
            ripRelative = in64
        }
        let displacement: Int64 =
            kind == 1 ? signed(1) : kind == 2 || !hasBase ? signed(4) : 0
        out.pointee.displacement = Int32(truncatingIfNeeded: displacement)
        if ripRelative {
            out.pointee.base = UInt8(TZ_RIP_OFFSET)
        } else if hasBase {
            out.pointee.base = base * 8
        }
        let stack = hasBase && (base == 4 || base == 5)
        out.pointee.segment = segmentOverride ?? UInt8(stack ? TZ_SS : TZ_DS)
    }
}

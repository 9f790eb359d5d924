// BT, BTS, BTR, BTC; BSF, BSR, POPCNT, LZCNT, TZCNT; CRC32; ADCX, ADOX; BSWAP, MOVBE. What a CPU model does not offer is
// #UD, or the older instruction that the encoding meant before.

import CPrimitives

/// BT and its kin. A bit number in a register reaches beyond a memory operand: it counts from the operand's first bit,
/// signed, and the access is to the operand-sized unit that holds the bit (SDM volume 2, BT).
enum BitTest<Operation: BinaryOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let hasImmediate = i.operandForm == OperandForm.rm_i.rawValue
        let bit = hasImmediate ? i.immediate(T.self) : cpu.register(i.pointee.reg, as: T.self)
        var flags = cpu.arithmetic
        if !i.hasMemoryOperand || hasImmediate {
            if Operation.writesResult {
                try cpu.modifyRM(i, T.self) { value in
                    flags = cpu.arithmetic
                    return Operation.apply(value, bit, &flags)
                }
            } else {
                _ = Operation.apply(try cpu.readRM(i, T.self), bit, &flags)
            }
        } else {
            let size = MemoryLayout<T>.size
            let unit = Int64(T.Signed(truncatingIfNeeded: bit)) >> Int64(T.bitWidth.trailingZeroBitCount)
            let offset =
                (cpu.effectiveAddress(i) &+ UInt64(bitPattern: unit) &* UInt64(size)) & i.pointee.address_mask
            if Operation.writesResult {
                let linear = try cpu.linearAddress(offset, segment: i.pointee.segment, size: size, .write)
                try cpu.modify(T.self, linear, locked: i.isLocked) { value throws(GuestFault) in
                    flags = cpu.arithmetic
                    return Operation.apply(value, bit, &flags)
                }
            } else {
                let linear = try cpu.linearAddress(offset, segment: i.pointee.segment, size: size, .read)
                _ = Operation.apply(try cpu.load(T.self, linear), bit, &flags)
            }
        }
        cpu.arithmetic = flags
    }
}

enum Scan<Operation: ScanOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let source = try cpu.readRM(i, T.self)
        var flags = cpu.arithmetic
        let destination = cpu.register(i.pointee.reg, as: UInt64.self)
        cpu.setRegister(i.pointee.reg, to: Operation.apply(destination, source, &flags))
        cpu.arithmetic = flags
    }
}

/// reg ← reg OP r/m (ADCX, ADOX)
enum AddWithFlag<Operation: BinaryOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let source = try cpu.readRM(i, T.self)
        var flags = cpu.arithmetic
        let result = Operation.apply(cpu.register(i.pointee.reg, as: T.self), source, &flags)
        cpu.setRegister(i.pointee.reg, to: result)
        cpu.arithmetic = flags
    }
}

enum ByteSwap: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        if MemoryLayout<T>.size == 2 {
            cpu.setRegister(i.pointee.rm, to: tz_bswap16(cpu.register(i.pointee.rm, as: UInt64.self)))
        } else {
            cpu.setRegister(i.pointee.rm, to: cpu.register(i.pointee.rm, as: T.self).byteSwapped)
        }
    }
}

enum MoveSwapped: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        if i.operandForm == OperandForm.r_rm.rawValue {
            cpu.setRegister(i.pointee.reg, to: try cpu.readRM(i, T.self).byteSwapped)
        } else {
            try cpu.writeRM(i, cpu.register(i.pointee.reg, as: T.self).byteSwapped)
        }
    }
}

extension CPU {
    /// CRC32 r, r/m: the checksum is 32 bits wide, and the destination's upper half is cleared even if it has 64. The
    /// width of the source is in `row`.
    func crc32(_ i: Instruction) throws(GuestFault) {
        let sum = register(i.pointee.reg, as: UInt32.self)
        let result =
            switch i.pointee.row {
            case 1: tz_crc32_8(sum, try readRM(i, UInt8.self))
            case 2: tz_crc32_16(sum, try readRM(i, UInt16.self))
            case 4: tz_crc32_32(sum, try readRM(i, UInt32.self))
            default: tz_crc32_64(sum, try readRM(i, UInt64.self))
            }
        setRegister(i.pointee.reg, to: result)
    }
}

func bitHandler(_ mnemonic: Mnemonic, _ offer: InstructionSet) -> tz_handler? {
    switch mnemonic {
    case .bt: { s, i in executeWide(s, i, BitTest<Bt>.self) }
    case .bts: { s, i in executeWide(s, i, BitTest<Bts>.self) }
    case .btr: { s, i in executeWide(s, i, BitTest<Btr>.self) }
    case .btc: { s, i in executeWide(s, i, BitTest<Btc>.self) }
    case .lzcnt where offer.has(.lzcnt): { s, i in executeWide(s, i, Scan<Lzcnt>.self) }
    case .tzcnt where offer.has(.bmi1): { s, i in executeWide(s, i, Scan<Tzcnt>.self) }
    case .bsf, .tzcnt: { s, i in executeWide(s, i, Scan<Bsf>.self) }
    case .bsr, .lzcnt: { s, i in executeWide(s, i, Scan<Bsr>.self) }
    case .popcnt where offer.has(.popcnt): { s, i in executeWide(s, i, Scan<Popcnt>.self) }
    case .crc32 where offer.has(.sse42): { s, i in execute(s) { cpu throws(GuestFault) in try cpu.crc32(i) } }
    case .adcx where offer.has(.adx): { s, i in executeWide(s, i, AddWithFlag<Adcx>.self) }
    case .adox where offer.has(.adx): { s, i in executeWide(s, i, AddWithFlag<Adox>.self) }
    case .movbe where offer.has(.movbe): { s, i in executeWide(s, i, MoveSwapped.self) }
    case .bswap: { s, i in executeWide(s, i, ByteSwap.self) }
    case .popcnt, .crc32, .adcx, .adox, .movbe: undefinedInstruction
    default: nil
    }
}

/// #UD
let undefinedInstruction: tz_handler = { s, _ in CPU(s).raise(.invalidOpcode) }

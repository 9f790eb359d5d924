// MOV and its kin: MOVZX, MOVSX, MOVSXD, LEA, XCHG, MOVNTI, moffs, CBW and CWD with their widths, XLAT, BOUND, CMOVcc.
// No flags are touched here.

import CPrimitives

enum Move: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        switch i.operandForm {
        case OperandForm.r_rm.rawValue: cpu.setRegister(i.pointee.reg, to: try cpu.readRM(i, T.self))
        case OperandForm.rm_i.rawValue: try cpu.writeRM(i, i.immediate(T.self))
        default: try cpu.writeRM(i, cpu.register(i.pointee.reg, as: T.self))
        }
    }
}

/// MOVZX, MOVSX, MOVSXD: from a source of type `S` to a register of `width`.
@inline(__always)
private func extend<S: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: S.Type, signed: Bool) throws(GuestFault) {
    setExtended(cpu, i, try cpu.readRM(i, S.self), signed: signed)
}

@inline(__always)
private func setExtended<S: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ source: S, signed: Bool) {
    let value =
        signed ? UInt64(truncatingIfNeeded: S.Signed(truncatingIfNeeded: source)) : UInt64(truncatingIfNeeded: source)
    switch i.pointee.width {
    case 2: cpu.setRegister(i.pointee.reg, to: UInt16(truncatingIfNeeded: value))
    case 4: cpu.setRegister(i.pointee.reg, to: UInt32(truncatingIfNeeded: value))
    default: cpu.setRegister(i.pointee.reg, to: value)
    }
}

private func moveExtended(_ s: StatePointer, _ i: Instruction, signed: Bool) {
    execute(s) { cpu throws(GuestFault) in
        switch i.pointee.row {
        case 1: try extend(cpu, i, UInt8.self, signed: signed)
        case 2: try extend(cpu, i, UInt16.self, signed: signed)
        default: try extend(cpu, i, UInt32.self, signed: signed)
        }
    }
}

private func moveZeroExtended(_ s: StatePointer, _ i: Instruction) { moveExtended(s, i, signed: false) }
private func moveSignExtended(_ s: StatePointer, _ i: Instruction) { moveExtended(s, i, signed: true) }

/// MOVSXD: the source has 32 bits, 16 if the destination has.
private func moveSignExtendedDouble(_ s: StatePointer, _ i: Instruction) {
    execute(s) { cpu throws(GuestFault) in
        if i.pointee.width == 2 {
            try extend(cpu, i, UInt16.self, signed: true)
        } else {
            try extend(cpu, i, UInt32.self, signed: true)
        }
    }
}

enum LoadEffectiveAddress: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        cpu.setRegister(i.pointee.reg, to: T(truncatingIfNeeded: cpu.effectiveAddress(i)))
    }
}

/// MOV accumulator, moffs
enum LoadAbsolute: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let offset = UInt64(bitPattern: i.pointee.immediate) & i.pointee.address_mask
        let linear = try cpu.linearAddress(offset, segment: i.pointee.segment, size: MemoryLayout<T>.size, .read)
        cpu.setRegister(0, to: try cpu.load(T.self, linear))
    }
}

/// MOV moffs, accumulator
enum StoreAbsolute: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let offset = UInt64(bitPattern: i.pointee.immediate) & i.pointee.address_mask
        let linear = try cpu.linearAddress(offset, segment: i.pointee.segment, size: MemoryLayout<T>.size, .write)
        try cpu.store(cpu.register(0, as: T.self), linear)
    }
}

/// CBW, CWDE, CDQE: the accumulator's lower half, sign-extended.
enum ExtendAccumulator: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let half = T.Signed(truncatingIfNeeded: cpu.register(0, as: T.self)) << T.Signed(T.bitWidth / 2)
        cpu.setRegister(0, to: T(truncatingIfNeeded: half >> T.Signed(T.bitWidth / 2)))
    }
}

/// CWD, CDQ, CQO: rDX is filled with the accumulator's sign.
enum ExtendIntoData: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let sign = T.Signed(truncatingIfNeeded: cpu.register(0, as: T.self)) >> T.Signed(T.bitWidth - 1)
        cpu.setRegister(GPR.rdx.rawValue &* 8, to: T(truncatingIfNeeded: sign))
    }
}

/// BOUND: signed comparison with the two bounds in memory, which are two accesses.
enum Bound: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        guard i.hasMemoryOperand else { throw .invalidOpcode }
        let offset = cpu.effectiveAddress(i)
        let lower = try bound(cpu, i, offset, T.self)
        let upper = try bound(cpu, i, (offset &+ UInt64(MemoryLayout<T>.size)) & i.pointee.address_mask, T.self)
        let index = T.Signed(truncatingIfNeeded: cpu.register(i.pointee.reg, as: T.self))
        guard index >= lower && index <= upper else { throw .boundRange }
    }

    @inline(__always)
    private static func bound<T: GuestInteger>(
        _ cpu: CPU, _ i: Instruction, _ offset: UInt64, _ type: T.Type
    ) throws(GuestFault) -> T.Signed {
        let size = MemoryLayout<T>.size
        let linear = try cpu.linearAddress(offset, segment: i.pointee.segment, size: size, .read)
        return T.Signed(truncatingIfNeeded: try cpu.load(T.self, linear))
    }
}

extension CPU {
    /// XLAT: AL ← [rBX + AL]
    func translate(_ i: Instruction) throws(GuestFault) {
        let offset = (self[.rbx] &+ UInt64(register(0, as: UInt8.self))) & i.pointee.address_mask
        let linear = try linearAddress(offset, segment: i.pointee.segment, size: 1, .read)
        setRegister(0, to: try load(UInt8.self, linear))
    }
}

// MARK: Hot shapes

@inline(__always) private func move<T: GuestInteger>(_ s: StatePointer, _ i: Instruction, _ type: T.Type) {
    CPU(s).setRegister(i.pointee.rm, to: CPU(s).register(i.pointee.reg, as: T.self))
}

@inline(__always) private func moveImmediate<T: GuestInteger>(_ s: StatePointer, _ i: Instruction, _ type: T.Type) {
    CPU(s).setRegister(i.pointee.rm, to: i.immediate(T.self))
}

private func moveGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Move.self) }

@inline(__always) private func moveLoad<T: GuestInteger>(_ s: StatePointer, _ i: Instruction, _ type: T.Type) {
    guard let value = CPU(s).fastRead(i, T.self) else { return moveGeneral(s, i) }
    CPU(s).setRegister(i.pointee.reg, to: value)
}

@inline(__always) private func moveStore<T: GuestInteger>(_ s: StatePointer, _ i: Instruction, _ value: T) {
    guard let host = CPU(s).fastWritePointer(i, T.self) else { return moveGeneral(s, i) }
    T.store(value, host)
}

@inline(__always) private func moveStore<T: GuestInteger>(_ s: StatePointer, _ i: Instruction, _ type: T.Type) {
    moveStore(s, i, CPU(s).register(i.pointee.reg, as: T.self))
}

@inline(__always) private func moveStoreImmediate<T: GuestInteger>(
    _ s: StatePointer, _ i: Instruction, _ type: T.Type
) {
    moveStore(s, i, i.immediate(T.self))
}

private func moveHandler(_ shape: OperandShape) -> tz_handler {
    switch shape {
    case .registers8: { s, i in move(s, i, UInt8.self) }
    case .registers32: { s, i in move(s, i, UInt32.self) }
    case .registers64: { s, i in move(s, i, UInt64.self) }
    case .immediate8: { s, i in moveImmediate(s, i, UInt8.self) }
    case .immediate32: { s, i in moveImmediate(s, i, UInt32.self) }
    case .immediate64: { s, i in moveImmediate(s, i, UInt64.self) }
    case .load8: { s, i in moveLoad(s, i, UInt8.self) }
    case .load16: { s, i in moveLoad(s, i, UInt16.self) }
    case .load32: { s, i in moveLoad(s, i, UInt32.self) }
    case .load64: { s, i in moveLoad(s, i, UInt64.self) }
    case .store8: { s, i in moveStore(s, i, UInt8.self) }
    case .store16: { s, i in moveStore(s, i, UInt16.self) }
    case .store32: { s, i in moveStore(s, i, UInt32.self) }
    case .store64: { s, i in moveStore(s, i, UInt64.self) }
    case .memoryImmediate8: { s, i in moveStoreImmediate(s, i, UInt8.self) }
    case .memoryImmediate16: { s, i in moveStoreImmediate(s, i, UInt16.self) }
    case .memoryImmediate32: { s, i in moveStoreImmediate(s, i, UInt32.self) }
    case .memoryImmediate64: { s, i in moveStoreImmediate(s, i, UInt64.self) }
    default: { s, i in moveGeneral(s, i) }
    }
}

/// MOVZX into 32 bits (or 64, which is the same) from a register or, in 64-bit mode, from memory.
@inline(__always) private func zeroExtend<S: GuestInteger>(_ s: StatePointer, _ i: Instruction, _ type: S.Type) {
    CPU(s).setRegister(i.pointee.reg, to: UInt64(CPU(s).register(i.pointee.rm, as: S.self)))
}

@inline(__always) private func zeroExtendLoad<S: GuestInteger>(_ s: StatePointer, _ i: Instruction, _ type: S.Type) {
    guard let value = CPU(s).fastRead(i, S.self) else { return moveZeroExtended(s, i) }
    CPU(s).setRegister(i.pointee.reg, to: UInt64(value))
}

private func moveZeroExtendedHandler(_ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler {
    let inMemory = Instruction(i).hasMemoryOperand
    let hot = i.pointee.width >= 4 && !(inMemory && i.pointee.flags & UInt8(TZ_INSN_CHECKED) != 0)
    return switch (hot, inMemory, i.pointee.row) {
    case (true, false, 1): { s, i in zeroExtend(s, i, UInt8.self) }
    case (true, false, 2): { s, i in zeroExtend(s, i, UInt16.self) }
    case (true, true, 1): { s, i in zeroExtendLoad(s, i, UInt8.self) }
    case (true, true, 2): { s, i in zeroExtendLoad(s, i, UInt16.self) }
    default: { s, i in moveZeroExtended(s, i) }
    }
}

private func moveSignExtendedHandler(_ i: UnsafeMutablePointer<tz_instruction>, _ mnemonic: Mnemonic) -> tz_handler {
    let hot = i.pointee.width == 8 && !Instruction(i).hasMemoryOperand
    return switch mnemonic {
    case .movsxd where hot:
        { s, i in setExtended(CPU(s), i, CPU(s).register(i.pointee.rm, as: UInt32.self), signed: true) }
    case .movsxd: { s, i in moveSignExtendedDouble(s, i) }
    default: { s, i in moveSignExtended(s, i) }
    }
}

func dataMovementHandler(_ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>, _ offer: InstructionSet)
    -> tz_handler?
{
    switch mnemonic {
    case .mov: moveHandler(OperandShape(i))
    case .movzx: moveZeroExtendedHandler(i)
    case .movsx, .movsxd: moveSignExtendedHandler(i, mnemonic)
    case .movnti: { s, i in executeWide(s, i, Move.self) }
    case .lea where i.pointee.width == 8:
        { s, i in CPU(s).setRegister(i.pointee.reg, to: CPU(s).effectiveAddress(i)) }
    case .lea: { s, i in executeWide(s, i, LoadEffectiveAddress.self) }
    case .movLoadAbsolute: { s, i in execute(s, i, LoadAbsolute.self) }
    case .movStoreAbsolute: { s, i in execute(s, i, StoreAbsolute.self) }
    case .cbw: { s, i in executeWide(s, i, ExtendAccumulator.self) }
    case .cwd: { s, i in executeWide(s, i, ExtendIntoData.self) }
    case .cmovcc where offer.has(.cmov): { s, i in executeWide(s, i, ConditionalMove.self) }
    case .cmovcc: undefinedInstruction
    case .xlat: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.translate(i) } }
    case .bound: { s, i in executeWide(s, i, Bound.self) }
    default: nil
    }
}

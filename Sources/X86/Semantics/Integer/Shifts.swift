// Shifts and rotates: ROL, ROR, RCL, RCR, SHL, SHR, SAR, SHLD, SHRD. The host's own instruction masks the count, keeps
// the flags when it is 0, and decides what is undefined.

import CPrimitives

enum Shift<Operation: ShiftOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let count =
            i.operandForm == OperandForm.rm_i.rawValue ? i.immediate(UInt8.self) : cpu.register(8, as: UInt8.self)
        var flags = cpu.arithmetic
        try cpu.modifyRM(i, T.self) { value in
            flags = cpu.arithmetic
            return Operation.apply(value, count, &flags)
        }
        cpu.arithmetic = flags
    }
}

enum DoubleShift<Operation: DoubleShiftOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let hasImmediate = i.operandForm == OperandForm.rm_r_i.rawValue
        let count = hasImmediate ? i.immediate(UInt8.self) : cpu.register(8, as: UInt8.self)
        let filler = cpu.register(i.pointee.reg, as: T.self)
        var flags = cpu.arithmetic
        try cpu.modifyRM(i, T.self) { value in
            flags = cpu.arithmetic
            return Operation.apply(value, filler, count, &flags)
        }
        cpu.arithmetic = flags
    }
}

/// A shift of a register by an immediate.
@inline(__always)
private func shiftRegister<Operation: ShiftOperation, T: GuestInteger>(
    _ state: StatePointer, _ i: Instruction, _ operation: Operation.Type, _ type: T.Type
) {
    let cpu = CPU(state)
    var flags = cpu.arithmetic
    let result = Operation.apply(cpu.register(i.pointee.rm, as: T.self), i.immediate(UInt8.self), &flags)
    cpu.setRegister(i.pointee.rm, to: result)
    cpu.arithmetic = flags
}

func shiftHandler(_ mnemonic: Mnemonic, _ shape: OperandShape) -> tz_handler? {
    switch (mnemonic, shape) {
    case (.shl, .immediate32): { s, i in shiftRegister(s, i, Shl.self, UInt32.self) }
    case (.shl, .immediate64): { s, i in shiftRegister(s, i, Shl.self, UInt64.self) }
    case (.shr, .immediate32): { s, i in shiftRegister(s, i, Shr.self, UInt32.self) }
    case (.shr, .immediate64): { s, i in shiftRegister(s, i, Shr.self, UInt64.self) }
    case (.sar, .immediate32): { s, i in shiftRegister(s, i, Sar.self, UInt32.self) }
    case (.sar, .immediate64): { s, i in shiftRegister(s, i, Sar.self, UInt64.self) }
    case (.rol, .immediate32): { s, i in shiftRegister(s, i, Rol.self, UInt32.self) }
    case (.rol, .immediate64): { s, i in shiftRegister(s, i, Rol.self, UInt64.self) }
    case (.ror, .immediate32): { s, i in shiftRegister(s, i, Ror.self, UInt32.self) }
    case (.ror, .immediate64): { s, i in shiftRegister(s, i, Ror.self, UInt64.self) }
    case (.rol, _): { s, i in execute(s, i, Shift<Rol>.self) }
    case (.ror, _): { s, i in execute(s, i, Shift<Ror>.self) }
    case (.rcl, _): { s, i in execute(s, i, Shift<Rcl>.self) }
    case (.rcr, _): { s, i in execute(s, i, Shift<Rcr>.self) }
    case (.shl, _): { s, i in execute(s, i, Shift<Shl>.self) }
    case (.shr, _): { s, i in execute(s, i, Shift<Shr>.self) }
    case (.sar, _): { s, i in execute(s, i, Shift<Sar>.self) }
    case (.shld, _): { s, i in executeWide(s, i, DoubleShift<Shld>.self) }
    case (.shrd, _): { s, i in executeWide(s, i, DoubleShift<Shrd>.self) }
    default: nil
    }
}

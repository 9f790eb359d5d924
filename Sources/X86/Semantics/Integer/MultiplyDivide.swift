// MUL, IMUL, DIV, IDIV. Division by zero and quotients that do not fit are found before the host's divide instruction
// runs.

import CPrimitives

extension CPU {
    /// The upper half of the implicit double-width operand: AH, DX, EDX or RDX.
    @inline(__always) private func upperHalf<T: GuestInteger>(_ type: T.Type) -> UInt8 {
        MemoryLayout<T>.size == 1 ? 1 : GPR.rdx.rawValue &* 8
    }

    @inline(__always) fileprivate func upper<T: GuestInteger>(_ type: T.Type) -> T {
        register(upperHalf(T.self), as: T.self)
    }

    @inline(__always) fileprivate func setLower<T: GuestInteger>(_ low: T, upper high: T) {
        setRegister(0, to: low)
        setRegister(upperHalf(T.self), to: high)
    }
}

/// MUL and one-operand IMUL.
enum Multiply<Operation: WideOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let factor = try cpu.readRM(i, T.self)
        let result = Operation.apply(cpu.register(0, as: T.self), 0, factor, cpu.arithmetic)
        cpu.setLower(T(truncatingIfNeeded: result.low), upper: T(truncatingIfNeeded: result.high))
        cpu.arithmetic = result.flags
    }
}

/// IMUL with two or three operands.
enum MultiplyInto: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let source = try cpu.readRM(i, T.self)
        let hasImmediate = i.operandForm == OperandForm.r_rm_i.rawValue
        let factor = hasImmediate ? i.immediate(T.self) : cpu.register(i.pointee.reg, as: T.self)
        var flags = cpu.arithmetic
        cpu.setRegister(i.pointee.reg, to: Imul2.apply(factor, source, &flags))
        cpu.arithmetic = flags
    }
}

/// DIV and IDIV.
enum Divide<Operation: WideOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let divisor = try cpu.readRM(i, T.self)
        let result = Operation.apply(cpu.register(0, as: T.self), cpu.upper(T.self), divisor, cpu.arithmetic)
        guard result.valid else { throw .divideError }
        cpu.setLower(T(truncatingIfNeeded: result.low), upper: T(truncatingIfNeeded: result.high))
        cpu.arithmetic = result.flags
    }
}

func multiplyDivideHandler(_ mnemonic: Mnemonic) -> tz_handler? {
    switch mnemonic {
    case .mul: { s, i in execute(s, i, Multiply<Mul>.self) }
    case .imul: { s, i in execute(s, i, Multiply<Imul>.self) }
    case .imul2: { s, i in executeWide(s, i, MultiplyInto.self) }
    case .div: { s, i in execute(s, i, Divide<Div>.self) }
    case .idiv: { s, i in execute(s, i, Divide<Idiv>.self) }
    default: nil
    }
}

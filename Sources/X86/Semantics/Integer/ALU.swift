// ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST; INC, DEC, NEG, NOT: the meaning of each operand shape. Which handler an
// instruction gets is decided in `ALUHandlers.swift`.

import CPrimitives

/// Any operand form at any width, LOCK included.
enum Binary<Operation: BinaryOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        var flags = cpu.arithmetic
        if i.operandForm == OperandForm.r_rm.rawValue {
            let source = try cpu.readRM(i, T.self)
            let result = Operation.apply(cpu.register(i.pointee.reg, as: T.self), source, &flags)
            if Operation.writesResult { cpu.setRegister(i.pointee.reg, to: result) }
        } else {
            let hasImmediate = i.operandForm == OperandForm.rm_i.rawValue
            let source = hasImmediate ? i.immediate(T.self) : cpu.register(i.pointee.reg, as: T.self)
            if Operation.writesResult {
                try cpu.modifyRM(i, T.self) { value in
                    flags = cpu.arithmetic
                    return Operation.apply(value, source, &flags)
                }
            } else {
                _ = Operation.apply(try cpu.readRM(i, T.self), source, &flags)
            }
        }
        cpu.arithmetic = flags
    }
}

enum Unary<Operation: UnaryOperation>: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        var flags = cpu.arithmetic
        try cpu.modifyRM(i, T.self) { value in
            flags = cpu.arithmetic
            return Operation.apply(value, &flags)
        }
        cpu.arithmetic = flags
    }
}

enum Not: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        try cpu.modifyRM(i, T.self) { value in ~value }
    }
}

typealias StatePointer = UnsafeMutablePointer<tz_cpu>

/// The hot shapes: registers, and memory in 64-bit mode when the TLB hits. `general` runs when it misses.
enum FastALU {
    /// r/m ← r/m OP reg, both registers.
    @inline(__always)
    static func registers<Operation: BinaryOperation, T: GuestInteger>(
        _ state: StatePointer, _ i: Instruction, _ operation: Operation.Type, _ type: T.Type
    ) {
        let cpu = CPU(state)
        var flags = cpu.arithmetic
        let result = Operation.apply(
            cpu.register(i.pointee.rm, as: T.self), cpu.register(i.pointee.reg, as: T.self), &flags)
        if Operation.writesResult { cpu.setRegister(i.pointee.rm, to: result) }
        cpu.arithmetic = flags
    }

    /// r/m ← r/m OP immediate, in a register.
    @inline(__always)
    static func immediate<Operation: BinaryOperation, T: GuestInteger>(
        _ state: StatePointer, _ i: Instruction, _ operation: Operation.Type, _ type: T.Type
    ) {
        let cpu = CPU(state)
        var flags = cpu.arithmetic
        let result = Operation.apply(cpu.register(i.pointee.rm, as: T.self), i.immediate(T.self), &flags)
        if Operation.writesResult { cpu.setRegister(i.pointee.rm, to: result) }
        cpu.arithmetic = flags
    }

    /// reg ← reg OP memory in 64-bit mode.
    @inline(__always)
    static func load<Operation: BinaryOperation, T: GuestInteger>(
        _ state: StatePointer, _ i: Instruction, _ operation: Operation.Type, _ type: T.Type,
        _ general: (StatePointer, Instruction) -> Void
    ) {
        let cpu = CPU(state)
        guard let source = cpu.fastRead(i, T.self) else { return general(state, i) }
        var flags = cpu.arithmetic
        let result = Operation.apply(cpu.register(i.pointee.reg, as: T.self), source, &flags)
        if Operation.writesResult { cpu.setRegister(i.pointee.reg, to: result) }
        cpu.arithmetic = flags
    }

    /// memory ← memory OP source in 64-bit mode.
    @inline(__always)
    private static func change<Operation: BinaryOperation, T: GuestInteger>(
        _ state: StatePointer, _ i: Instruction, _ operation: Operation.Type, _ source: T,
        _ general: (StatePointer, Instruction) -> Void
    ) {
        let cpu = CPU(state)
        var flags = cpu.arithmetic
        if Operation.writesResult {
            guard let host = cpu.fastWritePointer(i, T.self) else { return general(state, i) }
            T.store(Operation.apply(T.load(host), source, &flags), host)
        } else {
            guard let value = cpu.fastRead(i, T.self) else { return general(state, i) }
            _ = Operation.apply(value, source, &flags)
        }
        cpu.arithmetic = flags
    }

    @inline(__always)
    static func store<Operation: BinaryOperation, T: GuestInteger>(
        _ state: StatePointer, _ i: Instruction, _ operation: Operation.Type, _ type: T.Type,
        _ general: (StatePointer, Instruction) -> Void
    ) {
        change(state, i, operation, CPU(state).register(i.pointee.reg, as: T.self), general)
    }

    @inline(__always)
    static func memoryImmediate<Operation: BinaryOperation, T: GuestInteger>(
        _ state: StatePointer, _ i: Instruction, _ operation: Operation.Type, _ type: T.Type,
        _ general: (StatePointer, Instruction) -> Void
    ) {
        change(state, i, operation, i.immediate(T.self), general)
    }

    /// operand ← OP operand, in a register.
    @inline(__always)
    static func register<Operation: UnaryOperation, T: GuestInteger>(
        _ state: StatePointer, _ i: Instruction, _ operation: Operation.Type, _ type: T.Type
    ) {
        let cpu = CPU(state)
        var flags = cpu.arithmetic
        cpu.setRegister(i.pointee.rm, to: Operation.apply(cpu.register(i.pointee.rm, as: T.self), &flags))
        cpu.arithmetic = flags
    }
}

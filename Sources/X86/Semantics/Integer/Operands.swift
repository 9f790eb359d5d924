// Explicit operands: reading, writing and changing r/m, and the ways by which a handler learns its operand width. Every
// instruction of this folder reaches its operands through these few functions.

import CPrimitives

/// An instruction that means the same at every operand width.
protocol IntegerInstruction {
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault)
}

/// Runs an instruction at its operand width.
@inline(__always)
func execute<I: IntegerInstruction>(
    _ state: UnsafeMutablePointer<tz_cpu>, _ i: Instruction, _ instruction: I.Type
) {
    execute(state) { cpu throws(GuestFault) in
        switch i.pointee.width {
        case 1: try I.run(cpu, i, UInt8.self)
        case 2: try I.run(cpu, i, UInt16.self)
        case 4: try I.run(cpu, i, UInt32.self)
        default: try I.run(cpu, i, UInt64.self)
        }
    }
}

/// Runs an instruction that has no byte form.
@inline(__always)
func executeWide<I: IntegerInstruction>(
    _ state: UnsafeMutablePointer<tz_cpu>, _ i: Instruction, _ instruction: I.Type
) {
    execute(state) { cpu throws(GuestFault) in
        switch i.pointee.width {
        case 2: try I.run(cpu, i, UInt16.self)
        case 4: try I.run(cpu, i, UInt32.self)
        default: try I.run(cpu, i, UInt64.self)
        }
    }
}

extension UnsafePointer<tz_instruction> {
    @inline(__always) var hasMemoryOperand: Bool { pointee.flags & UInt8(TZ_INSN_MEMORY) != 0 }
    @inline(__always) var isLocked: Bool { pointee.flags & UInt8(TZ_INSN_LOCK) != 0 }
    @inline(__always) var operandForm: UInt8 { pointee.form }

    /// The immediate operand at the operand's width.
    @inline(__always) func immediate<T: GuestInteger>(_ type: T.Type) -> T { T(truncatingIfNeeded: pointee.immediate) }
}

extension CPU {
    /// The arithmetic flags as LAHF and SETO would leave them in AX.
    @inline(__always) var arithmetic: UInt64 {
        get { state.pointee.arithmetic }
        nonmutating set { state.pointee.arithmetic = newValue }
    }

    /// Reads the r/m operand.
    @inline(__always) func readRM<T: GuestInteger>(_ i: Instruction, _ type: T.Type) throws(GuestFault) -> T {
        if !i.hasMemoryOperand { return register(i.pointee.rm, as: T.self) }
        return try load(T.self, try linearAddress(i, size: MemoryLayout<T>.size, .read))
    }

    /// Writes the r/m operand.
    @inline(__always) func writeRM<T: GuestInteger>(_ i: Instruction, _ value: T) throws(GuestFault) {
        if !i.hasMemoryOperand { return setRegister(i.pointee.rm, to: value) }
        try store(value, try linearAddress(i, size: MemoryLayout<T>.size, .write))
    }

    /// Reads, changes and writes the r/m operand, atomically under LOCK. `body` may run more than once.
    @inline(__always) func modifyRM<T: GuestInteger>(
        _ i: Instruction, _ type: T.Type, _ body: (T) -> T
    ) throws(GuestFault) {
        if !i.hasMemoryOperand { return setRegister(i.pointee.rm, to: body(register(i.pointee.rm, as: T.self))) }
        let linear = try linearAddress(i, size: MemoryLayout<T>.size, .write)
        try modify(T.self, linear, locked: i.isLocked) { value throws(GuestFault) in body(value) }
    }

    // MARK: 64-bit mode's fast paths: the host address of the memory operand, nil when something is to be checked

    @inline(__always) func fastOperandAddress(_ i: Instruction) -> UInt64 {
        effectiveAddress(i) &+ effectiveBase(i.pointee.segment)
    }

    @inline(__always) func fastRead<T: GuestInteger>(_ i: Instruction, _ type: T.Type) -> T? {
        guard let host = fastReadPointer(fastOperandAddress(i), size: MemoryLayout<T>.size) else { return nil }
        return T.load(host)
    }

    @inline(__always) func fastWritePointer<T: GuestInteger>(
        _ i: Instruction, _ type: T.Type
    ) -> UnsafeMutableRawPointer? {
        fastWritePointer(fastOperandAddress(i), size: MemoryLayout<T>.size)
    }
}

/// The operand shapes whose handlers are specialised for width and place. Everything else, LOCK and all modes but
/// 64-bit included, takes an instruction's general handler.
enum OperandShape {
    case registers8, registers16, registers32, registers64  // r/m is a register, ← reg
    case immediate8, immediate32, immediate64  // r/m is a register, ← immediate
    case load8, load16, load32, load64  // reg ← memory
    case store8, store16, store32, store64  // memory ← reg
    case memoryImmediate8, memoryImmediate16, memoryImmediate32, memoryImmediate64
    case register32, register64  // r/m alone, a register
    case general

    init(_ i: UnsafeMutablePointer<tz_instruction>) {
        let i = Instruction(i)
        let inMemory = i.hasMemoryOperand
        let checked = i.pointee.flags & UInt8(TZ_INSN_CHECKED) != 0
        let shape: OperandShape? =
            switch (OperandForm(rawValue: i.pointee.form), inMemory, i.pointee.width) {
            case (.rm_r, false, 1): .registers8
            case (.rm_r, false, 2): .registers16
            case (.rm_r, false, 4): .registers32
            case (.rm_r, false, 8): .registers64
            case (.rm_i, false, 1): .immediate8
            case (.rm_i, false, 4): .immediate32
            case (.rm_i, false, 8): .immediate64
            case (.r_rm, true, 1): .load8
            case (.r_rm, true, 2): .load16
            case (.r_rm, true, 4): .load32
            case (.r_rm, true, 8): .load64
            case (.rm_r, true, 1): .store8
            case (.rm_r, true, 2): .store16
            case (.rm_r, true, 4): .store32
            case (.rm_r, true, 8): .store64
            case (.rm_i, true, 1): .memoryImmediate8
            case (.rm_i, true, 2): .memoryImmediate16
            case (.rm_i, true, 4): .memoryImmediate32
            case (.rm_i, true, 8): .memoryImmediate64
            case (.rm, false, 4): .register32
            case (.rm, false, 8): .register64
            default: nil
            }
        self = if let shape, !i.isLocked, !(inMemory && checked) { shape } else { .general }
    }
}

// PUSH, POP, PUSHA, POPA, ENTER, LEAVE. The width of what moves is the operand size, the width of the stack pointer is
// `stack_mask`. RSP is written only after every access has succeeded.

import CPrimitives

extension CPU {
    /// Writes the stack pointer at the stack's width: SP keeps what lies above it, ESP clears it.
    @inline(__always) func setStackPointer(_ value: UInt64) { self[.rsp] = stackValue(value, in: self[.rsp]) }

    /// What a register that holds `old` becomes when `value` is written at the stack's width.
    @inline(__always) fileprivate func stackValue(_ value: UInt64, in old: UInt64) -> UInt64 {
        let mask = state.pointee.stack_mask
        return _slowPath(mask == 0xffff) ? old & ~mask | value & mask : value & mask
    }

    /// Reads from the stack segment. A non-canonical address is #SS(0) whatever the instruction's other operand is (SDM
    /// volume 1, section 3.3.7.1).
    @inline(__always) func readStack<T: GuestInteger>(at offset: UInt64, _ type: T.Type) throws(GuestFault) -> T {
        let size = MemoryLayout<T>.size
        let linear = try linearAddress(offset & state.pointee.stack_mask, segment: UInt8(TZ_SS), size: size, .read)
        do { return try load(T.self, linear) } catch { throw error == .nonCanonical ? .stackFault() : error }
    }

    /// Writes to the stack segment; the stack pointer stays.
    @inline(__always) func writeStack<T: GuestInteger>(_ value: T, at offset: UInt64) throws(GuestFault) {
        let size = MemoryLayout<T>.size
        let linear = try linearAddress(offset & state.pointee.stack_mask, segment: UInt8(TZ_SS), size: size, .write)
        do { try store(value, linear) } catch { throw error == .nonCanonical ? .stackFault() : error }
    }

    @inline(__always) func pushOperand<T: GuestInteger>(_ value: T) throws(GuestFault) {
        let offset = self[.rsp] &- UInt64(MemoryLayout<T>.size)
        try writeStack(value, at: offset)
        setStackPointer(offset)
    }
}

/// PUSH r/m, PUSH imm. PUSH rSP pushes the value before the instruction.
enum Push: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let value = i.operandForm == OperandForm.i.rawValue ? i.immediate(T.self) : try cpu.readRM(i, T.self)
        try cpu.pushOperand(value)
    }
}

/// POP r/m. The address of a memory destination is computed with the stack pointer already increased; POP rSP leaves
/// what was popped.
enum Pop: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let old = cpu[.rsp]
        let value = try cpu.readStack(at: old, T.self)
        cpu.setStackPointer(old &+ UInt64(MemoryLayout<T>.size))
        guard i.hasMemoryOperand else { return cpu.setRegister(i.pointee.rm, to: value) }
        do { try cpu.writeRM(i, value) } catch {
            cpu[.rsp] = old
            throw error
        }
    }
}

/// PUSHA, PUSHAD
enum PushAll: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        var offset = cpu[.rsp]
        for register: UInt8 in 0..<8 {
            offset &-= UInt64(MemoryLayout<T>.size)
            try cpu.writeStack(cpu.register(register &* 8, as: T.self), at: offset)
        }
        cpu.setStackPointer(offset)
    }
}

/// POPA, POPAD: the value for rSP is skipped.
enum PopAll: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let size = UInt64(MemoryLayout<T>.size)
        let old = cpu[.rsp]
        // Read everything first: a fault half-way must leave all registers.
        let di = try cpu.readStack(at: old, T.self)
        let si = try cpu.readStack(at: old &+ size, T.self)
        let bp = try cpu.readStack(at: old &+ 2 &* size, T.self)
        _ = try cpu.readStack(at: old &+ 3 &* size, T.self)
        let bx = try cpu.readStack(at: old &+ 4 &* size, T.self)
        let dx = try cpu.readStack(at: old &+ 5 &* size, T.self)
        let cx = try cpu.readStack(at: old &+ 6 &* size, T.self)
        let ax = try cpu.readStack(at: old &+ 7 &* size, T.self)
        cpu.setRegister(GPR.rdi.rawValue &* 8, to: di)
        cpu.setRegister(GPR.rsi.rawValue &* 8, to: si)
        cpu.setRegister(GPR.rbp.rawValue &* 8, to: bp)
        cpu.setRegister(GPR.rbx.rawValue &* 8, to: bx)
        cpu.setRegister(GPR.rdx.rawValue &* 8, to: dx)
        cpu.setRegister(GPR.rcx.rawValue &* 8, to: cx)
        cpu.setRegister(GPR.rax.rawValue &* 8, to: ax)
        cpu.setStackPointer(old &+ 8 &* size)
    }
}

/// ENTER size, level (SDM volume 2, ENTER): `immediate` and `row`.
enum Enter: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let size = UInt64(MemoryLayout<T>.size)
        let level = i.pointee.row & 31
        var offset = cpu[.rsp] &- size
        try cpu.writeStack(cpu.register(GPR.rbp.rawValue &* 8, as: T.self), at: offset)
        let frame = cpu.stackValue(offset, in: cpu[.rsp])
        if level > 0 {
            var display = cpu[.rbp]
            for _ in 1..<level {
                display &-= size
                let pointer = try cpu.readStack(at: display, T.self)
                offset &-= size
                try cpu.writeStack(pointer, at: offset)
            }
            offset &-= size
            try cpu.writeStack(T(truncatingIfNeeded: frame), at: offset)
        }
        offset &-= UInt64(i.pointee.immediate & 0xffff)
        // The new top of the stack must be writable, though nothing is written.
        let linear = try cpu.linearAddress(
            offset & cpu.state.pointee.stack_mask, segment: UInt8(TZ_SS), size: MemoryLayout<T>.size, .write)
        if cpu.state.pointee.alignment_checks != 0 { try cpu.checkAlignment(linear, size: MemoryLayout<T>.size) }
        try cpu.probe(linear, size: MemoryLayout<T>.size, .write)
        cpu.setRegister(GPR.rbp.rawValue &* 8, to: T(truncatingIfNeeded: frame))
        cpu.setStackPointer(offset)
    }
}

/// LEAVE
enum Leave: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let frame = cpu[.rbp]
        let value = try cpu.readStack(at: frame, T.self)
        cpu.setStackPointer(frame &+ UInt64(MemoryLayout<T>.size))
        cpu.setRegister(GPR.rbp.rawValue &* 8, to: value)
    }
}

private func pushGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Push.self) }
private func popGeneral(_ s: StatePointer, _ i: Instruction) { execute(s, i, Pop.self) }

/// PUSH r64 in 64-bit mode.
@inline(__always) private func pushRegister64(_ s: StatePointer, _ i: Instruction) {
    let cpu = CPU(s)
    let offset = cpu[.rsp] &- 8
    guard let host = cpu.fastWritePointer(offset, size: 8) else { return pushGeneral(s, i) }
    UInt64.store(cpu.register(i.pointee.rm, as: UInt64.self), host)
    cpu[.rsp] = offset
}

/// POP r64 in 64-bit mode.
@inline(__always) private func popRegister64(_ s: StatePointer, _ i: Instruction) {
    let cpu = CPU(s)
    let offset = cpu[.rsp]
    guard let host = cpu.fastReadPointer(offset, size: 8) else { return popGeneral(s, i) }
    cpu[.rsp] = offset &+ 8
    cpu.setRegister(i.pointee.rm, to: UInt64.load(host))
}

func stackHandler(_ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? {
    let fast = OperandShape(i) == .register64 && i.pointee.flags & UInt8(TZ_INSN_CHECKED) == 0
    return switch mnemonic {
    case .push where fast: { s, i in pushRegister64(s, i) }
    case .pop where fast: { s, i in popRegister64(s, i) }
    case .push: { s, i in pushGeneral(s, i) }
    case .pop: { s, i in popGeneral(s, i) }
    case .pusha: { s, i in executeWide(s, i, PushAll.self) }
    case .popa: { s, i in executeWide(s, i, PopAll.self) }
    case .enter: { s, i in executeWide(s, i, Enter.self) }
    case .leave: { s, i in executeWide(s, i, Leave.self) }
    case .pushf: { s, i in executeWide(s, i, PushFlags.self) }
    case .popf: { s, i in executeWide(s, i, PopFlags.self) }
    default: nil
    }
}

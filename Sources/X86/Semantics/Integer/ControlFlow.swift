// Near control transfers: Jcc, JMP, CALL, RET, LOOP, JCXZ. Every target is truncated to the operand size and checked, so
// that #GP(0) is raised by the branch and not by the next fetch.

import CPrimitives

extension CPU {
    /// A branch target truncated to the operand size in bytes; #GP(0) outside CS or the canonical addresses.
    @inline(__always) func branchTarget(_ target: UInt64, width: UInt8) throws(GuestFault) -> UInt64 {
        switch width {
        case 8:
            guard _fastPath(isCanonical(target)) else { throw .generalProtection() }
            return target
        case 4: return try checkedBranchTarget(target & 0xffff_ffff)
        default: return try checkedBranchTarget(target & 0xffff)
        }
    }

    @inline(__always) private func checkedBranchTarget(_ target: UInt64) throws(GuestFault) -> UInt64 {
        // In 64-bit mode a target of 16 or 32 bits is always canonical.
        guard in64BitMode || target <= UInt64(state.pointee.segments.1.limit) else { throw .generalProtection() }
        return target
    }

    @inline(__always) func relativeTarget(_ i: Instruction) throws(GuestFault) -> UInt64 {
        try branchTarget(rip &+ UInt64(bitPattern: i.pointee.immediate), width: i.pointee.width)
    }

    /// Jcc of any width.
    func jumpIf(_ i: Instruction) throws(GuestFault) {
        if holds(i.pointee.opcode, arithmetic) { rip = try relativeTarget(i) }
    }

    /// LOOP, LOOPE, LOOPNE: the counter has the address size.
    func loop(_ i: Instruction, while condition: Bool) throws(GuestFault) {
        let count = (self[.rcx] &- 1) & i.pointee.address_mask
        if count != 0 && condition { rip = try relativeTarget(i) }
        setAddressRegister(.rcx, count, i)
    }

    /// JCXZ, JECXZ, JRCXZ
    func jumpIfCounterIsZero(_ i: Instruction) throws(GuestFault) {
        if self[.rcx] & i.pointee.address_mask == 0 { rip = try relativeTarget(i) }
    }

    /// Writes a register at the address size: 16-bit writes keep the rest, 32-bit writes clear the upper half.
    @inline(__always) func setAddressRegister(_ register: GPR, _ value: UInt64, _ i: Instruction) {
        if i.pointee.address_mask == 0xffff {
            setRegister(register.rawValue &* 8, to: UInt16(truncatingIfNeeded: value))
        } else {
            self[register] = value & i.pointee.address_mask
        }
    }

    @inline(__always) var zeroFlag: Bool { arithmetic & UInt64(TZ_FLAG_ZF) != 0 }
}

/// CALL rel and CALL r/m: pushes the return address at the operand size.
enum Call: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let isRelative = i.operandForm == OperandForm.relative.rawValue
        let destination =
            isRelative
            ? cpu.rip &+ UInt64(bitPattern: i.pointee.immediate) : UInt64(try cpu.readRM(i, T.self))
        let target = try cpu.branchTarget(destination, width: UInt8(MemoryLayout<T>.size))
        try cpu.pushOperand(T(truncatingIfNeeded: cpu.rip))
        cpu.rip = target
    }
}

/// JMP r/m
enum JumpIndirect: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        cpu.rip = try cpu.branchTarget(UInt64(try cpu.readRM(i, T.self)), width: UInt8(MemoryLayout<T>.size))
    }
}

/// RET, RET imm16
enum Return: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let value = try cpu.readStack(at: cpu[.rsp], T.self)
        cpu.rip = try cpu.branchTarget(UInt64(value), width: UInt8(MemoryLayout<T>.size))
        let released = i.operandForm == OperandForm.i.rawValue ? UInt64(i.pointee.immediate & 0xffff) : 0
        cpu.setStackPointer(cpu[.rsp] &+ UInt64(MemoryLayout<T>.size) &+ released)
    }
}

// MARK: 64-bit mode

@inline(__always) private func branch64(_ s: StatePointer, _ i: Instruction) {
    let target = s.pointee.rip &+ UInt64(bitPattern: i.pointee.immediate)
    guard _fastPath(CPU(s).isCanonical(target)) else { return CPU(s).raise(.generalProtection()) }
    s.pointee.rip = target
}

@inline(__always) private func branch64(_ s: StatePointer, _ i: Instruction, if condition: UInt8) {
    if holds(condition, s.pointee.arithmetic) { branch64(s, i) }
}

private func callGeneral(_ s: StatePointer, _ i: Instruction) { executeWide(s, i, Call.self) }
private func returnGeneral(_ s: StatePointer, _ i: Instruction) { executeWide(s, i, Return.self) }

@inline(__always) private func call64(_ s: StatePointer, _ i: Instruction) {
    let cpu = CPU(s)
    let offset = cpu[.rsp] &- 8
    let target = cpu.rip &+ UInt64(bitPattern: i.pointee.immediate)
    guard _fastPath(cpu.isCanonical(target)), let host = cpu.fastWritePointer(offset, size: 8) else {
        return callGeneral(s, i)
    }
    UInt64.store(cpu.rip, host)
    cpu[.rsp] = offset
    cpu.rip = target
}

@inline(__always) private func return64(_ s: StatePointer, _ i: Instruction) {
    let cpu = CPU(s)
    guard let host = cpu.fastReadPointer(cpu[.rsp], size: 8) else { return returnGeneral(s, i) }
    let target = UInt64.load(host)
    guard _fastPath(cpu.isCanonical(target)) else { return returnGeneral(s, i) }
    cpu[.rsp] &+= 8
    cpu.rip = target
}

/// Jcc of 64-bit mode, one handler for each condition.
private func jumpIfHandler64(_ condition: UInt8) -> tz_handler {
    switch condition & 15 {
    case 0: { s, i in branch64(s, i, if: 0) }
    case 1: { s, i in branch64(s, i, if: 1) }
    case 2: { s, i in branch64(s, i, if: 2) }
    case 3: { s, i in branch64(s, i, if: 3) }
    case 4: { s, i in branch64(s, i, if: 4) }
    case 5: { s, i in branch64(s, i, if: 5) }
    case 6: { s, i in branch64(s, i, if: 6) }
    case 7: { s, i in branch64(s, i, if: 7) }
    case 8: { s, i in branch64(s, i, if: 8) }
    case 9: { s, i in branch64(s, i, if: 9) }
    case 10: { s, i in branch64(s, i, if: 10) }
    case 11: { s, i in branch64(s, i, if: 11) }
    case 12: { s, i in branch64(s, i, if: 12) }
    case 13: { s, i in branch64(s, i, if: 13) }
    case 14: { s, i in branch64(s, i, if: 14) }
    default: { s, i in branch64(s, i, if: 15) }
    }
}

func controlFlowHandler(_ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>) -> tz_handler? {
    let fast = i.pointee.width == 8 && i.pointee.flags & UInt8(TZ_INSN_CHECKED) == 0
    return switch mnemonic {
    case .jcc where fast: jumpIfHandler64(i.pointee.opcode)
    case .jmp where fast: { s, i in branch64(s, i) }
    case .call where fast: { s, i in call64(s, i) }
    case .ret where fast && i.pointee.form == OperandForm.none.rawValue: { s, i in return64(s, i) }
    case .jcc: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.jumpIf(i) } }
    case .jmp: { s, i in execute(s) { cpu throws(GuestFault) in cpu.rip = try cpu.relativeTarget(i) } }
    case .jmpIndirect: { s, i in executeWide(s, i, JumpIndirect.self) }
    case .call, .callIndirect: { s, i in callGeneral(s, i) }
    case .ret: { s, i in returnGeneral(s, i) }
    case .loop: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loop(i, while: true) } }
    case .loope: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loop(i, while: cpu.zeroFlag) } }
    case .loopne: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.loop(i, while: !cpu.zeroFlag) } }
    case .jcxz: { s, i in execute(s) { cpu throws(GuestFault) in try cpu.jumpIfCounterIsZero(i) } }
    default: nil
    }
}

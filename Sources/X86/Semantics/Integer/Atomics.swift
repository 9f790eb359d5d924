// XCHG, XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B. XCHG with memory is atomic with or without LOCK.

import CPrimitives

enum Exchange: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let new = cpu.register(i.pointee.reg, as: T.self)
        var old: T = 0
        if i.hasMemoryOperand {
            let linear = try cpu.linearAddress(i, size: MemoryLayout<T>.size, .write)
            try cpu.modify(T.self, linear, locked: true) { value throws(GuestFault) in
                old = value
                return new
            }
        } else {
            old = cpu.register(i.pointee.rm, as: T.self)
            cpu.setRegister(i.pointee.rm, to: new)
        }
        cpu.setRegister(i.pointee.reg, to: old)
    }
}

enum ExchangeAdd: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let addend = cpu.register(i.pointee.reg, as: T.self)
        var flags = cpu.arithmetic
        if i.hasMemoryOperand {
            var old: T = 0
            try cpu.modifyRM(i, T.self) { value in
                old = value
                return Add.apply(value, addend, &flags)
            }
            cpu.setRegister(i.pointee.reg, to: old)
        } else {
            let old = cpu.register(i.pointee.rm, as: T.self)
            cpu.setRegister(i.pointee.reg, to: old)
            cpu.setRegister(i.pointee.rm, to: Add.apply(old, addend, &flags))
        }
        cpu.arithmetic = flags
    }
}

/// CMPXCHG: a destination in memory is written in either case. What becomes of the upper halves of 32-bit registers is
/// the host's answer.
enum CompareExchange: IntegerInstruction {
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let expected = cpu.register(0, as: T.self)
        let new = cpu.register(i.pointee.reg, as: T.self)
        if MemoryLayout<T>.size == 4, !i.hasMemoryOperand, i.pointee.rm != 0 {
            let destination = cpu.register(i.pointee.rm, as: UInt64.self)
            let result = tz_cmpxchg_registers32(destination, cpu[.rax], UInt32(truncatingIfNeeded: new))
            cpu.setRegister(i.pointee.rm, to: result.low)
            cpu[.rax] = result.high
            cpu.arithmetic = result.flags
            return
        }
        var flags = cpu.arithmetic
        var found: T = 0
        try cpu.modifyRM(i, T.self) { value in
            found = value
            _ = Cmp.apply(expected, value, &flags)
            return value == expected ? new : value
        }
        if found != expected { cpu.setRegister(0, to: found) }
        cpu.arithmetic = flags
    }
}

extension CPU {
    @inline(__always) private func setZeroFlag(_ value: Bool) {
        arithmetic = arithmetic & ~UInt64(TZ_FLAG_ZF) | (value ? UInt64(TZ_FLAG_ZF) : 0)
    }

    func compareExchange8B(_ i: Instruction) throws(GuestFault) {
        let expected = self[.rdx] << 32 | self[.rax] & 0xffff_ffff
        let new = self[.rcx] << 32 | self[.rbx] & 0xffff_ffff
        var found: UInt64 = 0
        try modifyRM(i, UInt64.self) { value in
            found = value
            return value == expected ? new : value
        }
        if found != expected {
            self[.rax] = found & 0xffff_ffff
            self[.rdx] = found >> 32
        }
        setZeroFlag(found == expected)
    }

    /// The operand must lie on a 16-byte boundary, so it never crosses a page.
    func compareExchange16B(_ i: Instruction) throws(GuestFault) {
        let linear = try linearAddress(i, size: 16, .write)
        guard linear & 15 == 0 else { throw .generalProtection() }
        var found = (self[.rax], self[.rdx])
        let new = (self[.rbx], self[.rcx])
        let done: Bool
        if let host = fastWritePointer(linear, size: 16) {
            done = tz_compare_exchange128(host, &found.0, &found.1, new.0, new.1)
        } else {
            done = try compareExchangeSlow(linear, &found, new)
        }
        if !done { (self[.rax], self[.rdx]) = found }
        setZeroFlag(done)
    }
}

func atomicHandler(_ mnemonic: Mnemonic, _ offer: InstructionSet) -> tz_handler? {
    switch mnemonic {
    case .xchg: { s, i in execute(s, i, Exchange.self) }
    case .xadd: { s, i in execute(s, i, ExchangeAdd.self) }
    case .cmpxchg: { s, i in execute(s, i, CompareExchange.self) }
    case .cmpxchg8b where offer.has(.cx8):
        { s, i in execute(s) { cpu throws(GuestFault) in try cpu.compareExchange8B(i) } }
    case .cmpxchg16b where offer.has(.cx16):
        { s, i in execute(s) { cpu throws(GuestFault) in try cpu.compareExchange16B(i) } }
    case .cmpxchg8b, .cmpxchg16b: undefinedInstruction
    default: nil
    }
}

// MOV to and from debug registers, breakpoints and single-stepping (SDM volume 3, chapter 18).

import CPrimitives

extension CPU {
    private func debugRegister(_ n: Int) -> UInt64 {
        let dr = state.pointee.dr
        return switch n {
        case 0: dr.0
        case 1: dr.1
        case 2: dr.2
        default: dr.3
        }
    }

    private func setDebugRegister(_ n: Int, to value: UInt64) {
        switch n {
        case 0: state.pointee.dr.0 = value
        case 1: state.pointee.dr.1 = value
        case 2: state.pointee.dr.2 = value
        default: state.pointee.dr.3 = value
        }
    }

    /// The register that MOV DR names: DR4 and DR5 are DR6 and DR7 unless CR4.DE says that they don't exist.
    private func debugRegisterNumber(_ i: Instruction) throws(GuestFault) -> Int {
        var number = Int(i.pointee.reg)
        if number == 4 || number == 5 {
            if state.pointee.cr4 & CR4.de != 0 { throw .invalidOpcode }
            number += 2
        }
        guard number < 8 else { throw .invalidOpcode }
        try requirePrivilege()
        if state.pointee.dr7 & DR7.gd != 0 {
            state.pointee.dr6 |= DR6.bd
            // A fault, unlike other debug exceptions: RF is pushed as 1.
            state.pointee.system_flags |= RFLAGS.rf
            throw .debug
        }
        return number
    }

    func moveFromDR(_ i: Instruction) throws(GuestFault) {
        let number = try debugRegisterNumber(i)
        let value = number == 6 ? state.pointee.dr6 : number == 7 ? state.pointee.dr7 : debugRegister(number)
        if in64BitMode {
            setRegister(i.pointee.rm, to: value)
        } else {
            setRegister(i.pointee.rm, to: UInt32(truncatingIfNeeded: value))
        }
    }

    func moveToDR(_ i: Instruction) throws(GuestFault) {
        let number = try debugRegisterNumber(i)
        let value =
            in64BitMode ? register(i.pointee.rm, as: UInt64.self) : UInt64(register(i.pointee.rm, as: UInt32.self))
        switch number {
        case 6, 7:
            guard value >> 32 == 0 else { throw .generalProtection() }
            if number == 6 {
                state.pointee.dr6 = value & 0xe00f | DR6.fixedOnes
            } else {
                state.pointee.dr7 = value & 0xffff_2bff | DR7.fixedOne
            }
        default: setDebugRegister(number, to: value)
        }
        refreshFlagDependents()
        endBlock()
    }

    // MARK: For the run loop, while `breakpoints` is set

    /// Before an instruction: #DB if an instruction breakpoint is at its address and RF does not hold it back. RF is
    /// used up.
    func checkInstructionBreakpoint() throws(GuestFault) {
        guard state.pointee.system_flags & RFLAGS.rf == 0 else {
            state.pointee.system_flags &= ~RFLAGS.rf
            return refreshFlagDependents()
        }
        let dr7 = state.pointee.dr7
        guard dr7 & DR7.enables != 0 else { return }
        let linear = in64BitMode ? rip : (rip &+ segment(.cs).pointee.base) & 0xffff_ffff
        var hits: UInt64 = 0
        for n in 0..<4 where DR7.isEnabled(dr7, n) && DR7.condition(dr7, n) == 0 && debugRegister(n) == linear {
            hits |= 1 << UInt64(n)
        }
        guard hits != 0 else { return }
        state.pointee.dr6 = state.pointee.dr6 & ~0xf | hits
        throw .debug
    }

    /// After an instruction that began at `start`: delivers the #DB traps that it earned. `trapFlag` is TF as it was
    /// before.
    func finishStep(_ i: Instruction, start: UInt64, trapFlag: Bool) {
        let isUnfinished = rip == start && i.pointee.flags & UInt8(TZ_INSN_REP | TZ_INSN_REPNE) != 0
        if isUnfinished && state.pointee.dr7 & DR7.enables != 0 {
            // The iterations to come are the same instruction: its breakpoint has had its turn.
            state.pointee.system_flags |= RFLAGS.rf
            refreshFlagDependents()
        }
        // MOV SS and POP SS hold traps back for one instruction.
        if state.pointee.shadow & UInt8(TZ_SHADOW_MOV_SS) != 0 { return }
        var traps = state.pointee.trap_after != 0
        if trapFlag && stepTraps(i, start: start) {
            state.pointee.dr6 |= DR6.bs
            traps = true
        }
        state.pointee.trap_after = 0
        if traps { deliver(Event(vector: Vector.debug, kind: .exception)) }
    }

    /// Whether TF traps after this instruction: not when it has just been cleared by entering a handler, and with
    /// DEBUGCTL.BTF only after a taken branch.
    private func stepTraps(_ i: Instruction, start: UInt64) -> Bool {
        switch Mnemonic(rawValue: i.pointee.mnemonic) {
        case .syscall, .sysret: return false  // they have looked for themselves
        case .int, .int1, .int3, .into, .sysenter:
            if state.pointee.system_flags & RFLAGS.tf == 0 { return false }
        default: break
        }
        if state.pointee.debugctl & 2 != 0 { return rip != start &+ UInt64(i.pointee.length) && rip != start }
        return true
    }

    /// An I/O breakpoint (CR4.DE, R/W 10) traps after the instruction.
    @inline(__always) func noteIOBreakpoint(_ port: UInt16, size: Int) {
        if _slowPath(state.pointee.dr7 & DR7.enables != 0) { findIOBreakpoint(port, size: size) }
    }

    @inline(never) private func findIOBreakpoint(_ port: UInt16, size: Int) {
        let dr7 = state.pointee.dr7
        guard state.pointee.cr4 & CR4.de != 0 else { return }
        for n in 0..<4 where DR7.isEnabled(dr7, n) && DR7.condition(dr7, n) == 2 {
            let length = DR7.length(dr7, n)
            let first = debugRegister(n) & ~(length - 1)
            if UInt64(port) < first &+ length && first < UInt64(port) + UInt64(size) {
                state.pointee.dr6 |= 1 << UInt64(n)
                state.pointee.trap_after = 1
            }
        }
    }
}

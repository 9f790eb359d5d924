// CLI, STI, STAC, CLAC, HLT, and the software interrupts.

import CPrimitives

extension CPU {
    /// CLI and STI are allowed up to IOPL; in virtual-8086 mode with IOPL 3 only.
    private func requireInterruptPrivilege() throws(GuestFault) {
        guard protectedMode else { return }
        guard virtual8086 ? iopl == 3 : cpl <= iopl else { throw .generalProtection() }
    }

    func clearInterruptFlag() throws(GuestFault) {
        try requireInterruptPrivilege()
        state.pointee.system_flags &= ~RFLAGS.if
    }

    /// STI blocks interrupts for one more instruction if they were off (SDM volume 2, STI).
    func setInterruptFlag() throws(GuestFault) {
        try requireInterruptPrivilege()
        guard state.pointee.system_flags & RFLAGS.if == 0 else { return }
        state.pointee.system_flags |= RFLAGS.if
        state.pointee.shadow |= UInt8(TZ_SHADOW_STI)
        heedWaitingInterrupt()
        endBlock()
    }

    /// STAC and CLAC
    func setAlignmentFlag(_ set: Bool) throws(GuestFault) {
        guard has(.smap), cpl == 0 else { throw .invalidOpcode }
        if set {
            state.pointee.system_flags |= RFLAGS.ac
        } else {
            state.pointee.system_flags &= ~RFLAGS.ac
        }
        updateTranslationContext()
    }

    func halt() throws(GuestFault) {
        try requirePrivilege()
        state.pointee.counters.halts &+= 1
        state.pointee.activity = UInt8(TZ_HALTED)
        stopForAttention()
    }

    // MARK: Software interrupts

    func interrupt(_ i: Instruction) throws(GuestFault) {
        if virtual8086 && iopl < 3 { throw .generalProtection() }
        try softwareInterrupt(vector: UInt8(truncatingIfNeeded: i.pointee.immediate))
    }

    func interruptOnOverflow() throws(GuestFault) {
        if state.pointee.arithmetic & UInt64(TZ_FLAG_OF) != 0 { try softwareInterrupt(vector: Vector.overflow) }
    }

    /// INT1 is a trap that the gate's DPL does not hold back, delivered with EXT like an exception.
    /// A trap that MOV SS has held back is reported with this one.
    func interruptDebug() {
        state.pointee.trap_after = 0
        deliver(Event(vector: Vector.debug, kind: .exception))
    }
}

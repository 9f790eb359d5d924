// SYSCALL, SYSRET, SYSENTER and SYSEXIT: control transfers by MSRs, without descriptor tables (SDM volume 2; AMD APM
// volume 2, section 6.1). Where the vendors differ, the model's vendor decides.

import CPrimitives

extension SoftwareCPU {
    /// Tells generated code what SYSCALL and SYSRET load into CS and SS.
    package func describeSystemCalls() {
        func hidden(code: Bool, dpl: UInt8) -> UInt64 {
            let segment = tz_segment.flat(0, code: code, dpl: dpl, long: code)
            return UInt64(segment.limit) | UInt64(segment.attributes) << 32
        }
        state.pointee.translated.call_code = hidden(code: true, dpl: 0)
        state.pointee.translated.call_data = hidden(code: false, dpl: 0)
        state.pointee.translated.return_code = hidden(code: true, dpl: 3)
        state.pointee.translated.return_data = hidden(code: false, dpl: 3)
        state.pointee.translated.keeps_ss_on_sysret = CPU(state).translation.pointee.vendor == .amd ? 1 : 0
    }
}

extension CPU {
    private var isAMD: Bool { translation.pointee.vendor == .amd }

    func systemCall() throws(GuestFault) {
        guard state.pointee.efer & EFER.sce != 0, protectedMode, isAMD || in64BitMode else { throw .invalidOpcode }
        let selector = UInt16(truncatingIfNeeded: state.pointee.star >> 32) & 0xfffc
        self[.rcx] = rip
        if longMode {
            self[.r11] = rflags
            rip = in64BitMode ? state.pointee.lstar : state.pointee.cstar
            rflags = rflags & ~(state.pointee.sfmask | RFLAGS.rf)
        } else {
            self[.rcx] = rip & 0xffff_ffff
            rip = state.pointee.star & 0xffff_ffff
            state.pointee.system_flags &= ~(RFLAGS.if | RFLAGS.vm | RFLAGS.rf)
        }
        segment(.cs).pointee = .flat(selector, code: true, dpl: 0, long: longMode)
        segment(.ss).pointee = .flat(selector &+ 8, code: false, dpl: 0, long: false)
        refreshAfterTransfer()
        stepAfterSystemCall()
    }

    /// Single-stepping over SYSCALL and SYSRET goes by TF as they leave it: a handler whose SFMASK clears TF is not
    /// stepped into, and the step of a SYSCALL is reported when SYSRET has brought TF back.
    private func stepAfterSystemCall() {
        guard state.pointee.system_flags & RFLAGS.tf != 0 else { return }
        state.pointee.dr6 |= DR6.bs
        deliver(Event(vector: Vector.debug, kind: .exception))
    }

    func systemReturn(_ i: Instruction) throws(GuestFault) {
        guard state.pointee.efer & EFER.sce != 0, protectedMode, isAMD || in64BitMode else { throw .invalidOpcode }
        try requirePrivilege()
        let to64Bit = i.pointee.width == 8 && longMode
        // AMD leaves a non-canonical RCX to the fetch at the new privilege level.
        if to64Bit && !isAMD && !isCanonical(self[.rcx]) { throw .generalProtection() }
        let base = UInt16(truncatingIfNeeded: state.pointee.star >> 48)
        if longMode {
            rflags = self[.r11] & 0x3c_7fd7 | RFLAGS.reservedOne
        } else {
            state.pointee.system_flags |= RFLAGS.if
            heedWaitingInterrupt()
        }
        rip = to64Bit ? self[.rcx] : self[.rcx] & 0xffff_ffff
        segment(.cs).pointee = .flat((to64Bit ? base &+ 16 : base) | 3, code: true, dpl: 3, long: to64Bit)
        let ss = (base &+ 8) | 3
        if isAMD {
            // Only the selector is loaded; the hidden part stays, but for the privilege level that CPL is kept in.
            segment(.ss).pointee.selector = ss
            segment(.ss).pointee.attributes |= 3 << SegmentAttributes.dplShift
        } else {
            segment(.ss).pointee = .flat(ss, code: false, dpl: 3, long: false)
        }
        refreshAfterTransfer()
        stepAfterSystemCall()
    }

    func systemEnter() throws(GuestFault) {
        if isAMD && longMode { throw .invalidOpcode }
        let selector = UInt16(truncatingIfNeeded: state.pointee.sysenter_cs) & 0xfffc
        guard protectedMode, selector != 0 else { throw .generalProtection() }
        state.pointee.system_flags &= ~(RFLAGS.if | RFLAGS.vm | RFLAGS.rf)
        self[.rsp] = longMode ? state.pointee.sysenter_esp : state.pointee.sysenter_esp & 0xffff_ffff
        rip = longMode ? state.pointee.sysenter_eip : state.pointee.sysenter_eip & 0xffff_ffff
        segment(.cs).pointee = .flat(selector, code: true, dpl: 0, long: longMode)
        segment(.ss).pointee = .flat(selector &+ 8, code: false, dpl: 0, long: false)
        refreshDerivedState()
    }

    func systemExit(_ i: Instruction) throws(GuestFault) {
        if isAMD && longMode { throw .invalidOpcode }
        let base = UInt16(truncatingIfNeeded: state.pointee.sysenter_cs) & 0xfffc
        guard protectedMode, base != 0, cpl == 0 else { throw .generalProtection() }
        let to64Bit = i.pointee.width == 8 && longMode
        if to64Bit {
            guard isCanonical(self[.rcx]), isCanonical(self[.rdx]) else { throw .generalProtection() }
        }
        rip = to64Bit ? self[.rdx] : self[.rdx] & 0xffff_ffff
        self[.rsp] = to64Bit ? self[.rcx] : self[.rcx] & 0xffff_ffff
        segment(.cs).pointee = .flat((base &+ (to64Bit ? 32 : 16)) | 3, code: true, dpl: 3, long: to64Bit)
        segment(.ss).pointee = .flat((base &+ (to64Bit ? 40 : 24)) | 3, code: false, dpl: 3, long: false)
        refreshDerivedState()
    }
}

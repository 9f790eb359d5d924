// RDMSR and WRMSR: what operating systems touch, with reserved bits checked; everything else is #GP(0) (SDM volume 4; AMD
// APM volume 2, appendix A).

import CPrimitives

extension CPU {
    func readMSR() throws(GuestFault) {
        try requirePrivilege()
        state.pointee.counters.msr_accesses &+= 1
        syncClock()
        let number = UInt32(truncatingIfNeeded: self[.rcx])
        let read = msr(number)
        if traces(.msrs) { trace(.readMSR(number: number, value: read)) }
        guard let value = read else { throw .generalProtection() }
        self[.rax] = value & 0xffff_ffff
        self[.rdx] = value >> 32
    }

    func writeMSR() throws(GuestFault) {
        try requirePrivilege()
        state.pointee.counters.msr_accesses &+= 1
        let value = self[.rdx] << 32 | self[.rax] & 0xffff_ffff
        syncClock()
        let number = UInt32(truncatingIfNeeded: self[.rcx])
        let accepted = setMSR(number, value)
        if traces(.msrs) { trace(.writeMSR(number: number, value: value, accepted: accepted)) }
        guard accepted else { throw .generalProtection() }
        endBlock()
    }

    private var isIntel: Bool { translation.pointee.vendor == .intel }

    // MARK: Reading

    /// The value of an MSR; nil is #GP(0).
    func msr(_ number: UInt32) -> UInt64? {
        let s = state.pointee
        switch number {
        case MSR.timeStampCounter: return owner.timeStampCounter()
        case MSR.apicBase: return owner.localAPIC.baseMSR
        case MSR.tscAdjust where has(.tscAdjust): return s.tsc_adjust
        case MSR.specCtrl where has(.specCtrl) || has(.amdIBRS): return s.spec_ctrl
        case MSR.archCapabilities where has(.archCapabilities): return Self.archCapabilities
        case MSR.sysenterCS: return s.sysenter_cs
        case MSR.sysenterESP: return s.sysenter_esp
        case MSR.sysenterEIP: return s.sysenter_eip
        // Intel's, but hypervisors answer it under AMD's name too, and guests of theirs count on that. Branch trace
        // storage and PEBS are not available.
        case MSR.miscEnable: return s.misc_enable | 0x1800
        case MSR.debugctl: return s.debugctl
        case MSR.pat: return s.pat
        case MSR.xss where has(.xsaves): return s.xss
        case MSR.pkrs where has(.pks): return s.pkrs
        // 8 variable ranges, fixed ranges, write combining.
        case MSR.mtrrCapability: return 0x508
        case MSR.tscDeadline where has(.tscDeadline): return owner.localAPIC.tscDeadline
        case MSR.x2APIC: return owner.localAPIC.readMSR(number)
        case MSR.efer: return s.efer
        case MSR.star: return s.star
        case MSR.lstar: return s.lstar
        case MSR.cstar: return s.cstar
        case MSR.sfmask: return s.sfmask
        case MSR.fsBase: return segment(.fs).pointee.base
        case MSR.gsBase: return segment(.gs).pointee.base
        case MSR.kernelGSBase: return s.kernel_gs_base
        case MSR.tscAux where has(.rdtscp) || has(.rdpid): return s.tsc_aux
        default: return paravirtualMSR(number) ?? constantMSR(number) ?? storedMSR(number)
        }
    }

    private func constantMSR(_ number: UInt32) -> UInt64? {
        switch number {
        case MSR.p5MachineCheckAddress, MSR.p5MachineCheckType, MSR.machineCheckCapability: 0
        case MSR.platformID where isIntel: 0
        // Locked, with nothing enabled.
        case MSR.featureControl where isIntel: 1
        // The microcode is as new as can be.
        case MSR.biosSignature: isIntel ? 0xffff_ffff_0000_0000 : 0x0fff_ffff
        // SVM is disabled.
        case MSR.vmCR where !isIntel: 1 << 4
        // Nothing counts: the counters stay at 0, and software finds that they don't hold what it writes.
        case MSR.performanceCounters where !isIntel: 0
        default: nil
        }
    }

    private func paravirtualMSR(_ number: UInt32) -> UInt64? {
        guard owner.vm.isParavirtual, let register = KVMRegister.canonical(number) else { return nil }
        return owner.storedRegisters[register]
    }

    private func storedMSR(_ number: UInt32) -> UInt64? {
        if KVMRegister.canonical(number) != nil { return nil }
        if number >= 0xc001_0000 && isIntel { return nil }
        return owner.storedRegisters[number]
    }

    /// IA32_ARCH_CAPABILITIES. True of a CPU whose branches, loads and faults are computed by software: nothing is
    /// speculated past a check of the guest's. RDCL_NO, IBRS_ALL, SKIP_L1DFL_VMENTRY, SSB_NO, MDS_NO, IF_PSCHANGE_MC_NO,
    /// TAA_NO, SBDR_SSDP_NO, FBSDP_NO, PSDP_NO, BHI_NO, PBRSB_NO, GDS_NO, RFDS_NO, ITS_NO.
    private static var archCapabilities: UInt64 {
        let bits: [UInt64] = [0, 1, 3, 4, 5, 6, 8, 13, 14, 15, 20, 24, 26, 27, 62]
        return bits.reduce(0) { $0 | 1 << $1 }
    }

    // MARK: Writing

    /// Writes an MSR; false is #GP(0).
    func setMSR(_ number: UInt32, _ value: UInt64) -> Bool {
        switch number {
        case MSR.timeStampCounter: setTimeStampCounter(value)
        case MSR.apicBase: return setAPICBase(value)
        case MSR.tscAdjust where has(.tscAdjust): adjustTimeStampCounter(value)
        case MSR.specCtrl where has(.specCtrl) || has(.amdIBRS):
            // IBRS, STIBP, SSBD: nothing is predicted, so nothing changes.
            guard value & ~7 == 0 else { return false }
            state.pointee.spec_ctrl = value
        case MSR.predCmd where has(.specCtrl) || has(.amdIBPB): return value & ~1 == 0
        case MSR.sysenterCS: state.pointee.sysenter_cs = value & 0xffff_ffff
        case MSR.sysenterESP: return setCanonical(\.sysenter_esp, value)
        case MSR.sysenterEIP: return setCanonical(\.sysenter_eip, value)
        case MSR.miscEnable: state.pointee.misc_enable = value & ~0x1800
        case MSR.debugctl:
            // LBR is accepted, though no branch is recorded; BTF works.
            guard value & ~3 == 0 else { return false }
            state.pointee.debugctl = value
        case MSR.pat: return setPageAttributes(value)
        case MSR.xss where has(.xsaves): return value == 0  // no supervisor state component exists
        case MSR.pkrs where has(.pks): return setPKRS(value)
        case MSR.tscDeadline where has(.tscDeadline): owner.localAPIC.tscDeadline = value
        case MSR.x2APIC: return owner.localAPIC.writeMSR(number, value)
        case MSR.efer: return setEFER(value)
        case MSR.star: state.pointee.star = value
        case MSR.lstar: return setCanonical(\.lstar, value)
        case MSR.cstar: return setCanonical(\.cstar, value)
        case MSR.sfmask:
            guard value >> 32 == 0 else { return false }
            state.pointee.sfmask = value
        case MSR.fsBase, MSR.gsBase:
            guard isCanonical(value) else { return false }
            setBase(number == MSR.fsBase ? .fs : .gs, to: value)
        case MSR.kernelGSBase: return setCanonical(\.kernel_gs_base, value)
        case MSR.tscAux where has(.rdtscp) || has(.rdpid):
            guard value >> 32 == 0 else { return false }
            state.pointee.tsc_aux = value
        case MSR.p5MachineCheckAddress, MSR.p5MachineCheckType: break
        case MSR.biosSignature where isIntel, MSR.biosUpdateTrigger where isIntel: break
        case MSR.patchLoader where !isIntel, MSR.performanceCounters where !isIntel: break
        default: return setStoredMSR(number, value)
        }
        return true
    }

    private func setCanonical(_ field: WritableKeyPath<tz_cpu, UInt64>, _ value: UInt64) -> Bool {
        guard isCanonical(value) else { return false }
        state.pointee[keyPath: field] = value
        return true
    }

    private func setStoredMSR(_ number: UInt32, _ value: UInt64) -> Bool {
        if owner.vm.isParavirtual, let register = KVMRegister.canonical(number) {
            return setParavirtual(register, value)
        }
        guard storedMSR(number) != nil, isValid(number, value) else { return false }
        owner.storedRegisters[number] = value
        return true
    }

    /// Reserved bits and memory types of the MTRRs (SDM volume 3, section 12.11).
    private func isValid(_ number: UInt32, _ value: UInt64) -> Bool {
        func isMemoryType(_ type: UInt64) -> Bool { [0, 1, 4, 5, 6].contains(type) }
        if number == MSR.machineCheckStatus { return value == 0 }
        if number == MSR.mtrrDefaultType { return value & ~0xcff == 0 && isMemoryType(value & 0xff) }
        if MSR.mtrrFixed.contains(number) {
            return (0..<8).allSatisfy { isMemoryType(value >> UInt64(8 * $0) & 0xff) }
        }
        guard MSR.mtrrVariable.contains(number) else { return true }
        let reserved = ~translation.pointee.physicalMask
        if number & 1 == 0 { return value & (reserved | 0xf00) == 0 && isMemoryType(value & 0xff) }
        return value & (reserved | 0x7ff) == 0
    }

    // MARK: Registers with effects

    /// Writing the counter moves TSC_ADJUST by the same amount (SDM volume 3, section 18.17.3).
    private func setTimeStampCounter(_ value: UInt64) {
        let change = value &- owner.timeStampCounter()
        state.pointee.tsc_adjust &+= change
        moveTimeStampCounter(by: change)
    }

    private func adjustTimeStampCounter(_ value: UInt64) {
        let change = value &- state.pointee.tsc_adjust
        state.pointee.tsc_adjust = value
        moveTimeStampCounter(by: change)
    }

    private func moveTimeStampCounter(by change: UInt64) {
        state.pointee.tsc_offset &+= change
        owner.localAPIC.setTSCOffset(state.pointee.tsc_offset)
        updateParavirtualClock()
    }

    private func setAPICBase(_ value: UInt64) -> Bool {
        let reserved = ~translation.pointee.physicalMask | (has(.x2apic) ? 0 : 1 << 10)
        guard value & reserved == 0, owner.localAPIC.setBaseMSR(value) else { return false }
        flushTLB()
        return true
    }

    /// Each of the eight bytes must be a memory type that exists.
    private func setPageAttributes(_ value: UInt64) -> Bool {
        for index in 0..<8 where ![0, 1, 4, 5, 6, 7].contains(value >> UInt64(8 * index) & 0xff) { return false }
        state.pointee.pat = value
        return true
    }

    private func setEFER(_ value: UInt64) -> Bool {
        let old = state.pointee.efer
        var defined = EFER.sce | EFER.lme | EFER.lma
        if has(.nx) { defined |= EFER.nxe }
        if has(.automaticIBRS) { defined |= EFER.automaticIBRS }
        guard value & ~defined == 0 else { return false }
        if (old ^ value) & EFER.lme != 0 && state.pointee.cr0 & CR0.pg != 0 { return false }
        // LMA follows CR0.PG and LME; writes leave it alone.
        state.pointee.efer = value & ~EFER.lma | old & EFER.lma
        if (old ^ value) & EFER.nxe != 0 { flushTLB() }
        return true
    }
}

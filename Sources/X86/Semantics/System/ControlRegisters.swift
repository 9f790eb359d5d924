// MOV to and from control registers, CLTS, SMSW, LMSW (SDM volume 3, sections 2.5 and 4.1; volume 2, MOV CRn).

import CPrimitives

extension CPU {
    /// The width of MOV CR and MOV DR: 64 bits in 64-bit mode, else 32, whatever the prefixes.
    private func setGPR(_ offset: UInt8, to value: UInt64) {
        if in64BitMode {
            setRegister(offset, to: value)
        } else {
            setRegister(offset, to: UInt32(truncatingIfNeeded: value))
        }
    }

    private func sourceGPR(_ offset: UInt8) -> UInt64 {
        in64BitMode ? register(offset, as: UInt64.self) : UInt64(register(offset, as: UInt32.self))
    }

    func moveFromCR(_ i: Instruction) throws(GuestFault) {
        let value: UInt64
        switch i.pointee.reg {
        case 0: value = state.pointee.cr0
        case 2: value = state.pointee.cr2
        case 3: value = state.pointee.cr3
        case 4: value = state.pointee.cr4
        case 8 where in64BitMode: value = UInt64(withLocalAPIC { $0.taskPriority } >> 4)
        default: throw .invalidOpcode
        }
        try requirePrivilege()
        state.pointee.counters.control_register_accesses &+= 1
        setGPR(i.pointee.rm, to: value)
    }

    func moveToCR(_ i: Instruction) throws(GuestFault) {
        guard [0, 2, 3, 4].contains(i.pointee.reg) || i.pointee.reg == 8 && in64BitMode else { throw .invalidOpcode }
        try requirePrivilege()
        state.pointee.counters.control_register_accesses &+= 1
        let value = sourceGPR(i.pointee.rm)
        try tracingControlRegister(i.pointee.reg) { () throws(GuestFault) in
            switch i.pointee.reg {
            case 0: try writeCR0(value)
            case 2: state.pointee.cr2 = value
            case 3: try writeCR3(value)
            case 4: try writeCR4(value)
            default:
                guard value < 16 else { throw .generalProtection() }
                withLocalAPIC { $0.taskPriority = UInt8(truncatingIfNeeded: value) << 4 }
            }
        }
        endBlock()
    }

    // MARK: CR0

    private static var definedCR0: UInt64 {
        CR0.pe | CR0.mp | CR0.em | CR0.ts | CR0.et | CR0.ne | CR0.wp | CR0.am | CR0.nw | CR0.cd | CR0.pg
    }

    func writeCR0(_ value: UInt64) throws(GuestFault) {
        guard value >> 32 == 0 else { throw .generalProtection() }
        let new = value & Self.definedCR0 | CR0.et
        let old = state.pointee.cr0
        if new & CR0.pg != 0 && new & CR0.pe == 0 { throw .generalProtection() }
        if new & CR0.nw != 0 && new & CR0.cd == 0 { throw .generalProtection() }
        var efer = state.pointee.efer
        if new & ~old & CR0.pg != 0 {
            if efer & EFER.lme != 0 {
                // IA-32e mode is entered from compatible code with PAE, and not with a 16-bit TSS (SDM section 10.8.5).
                let tr = segment(.tr).pointee
                guard state.pointee.cr4 & CR4.pae != 0, !segment(.cs).pointee.isLong, tr.isUnusable || tr.type & 8 != 0
                else {
                    throw .generalProtection()
                }
                efer |= EFER.lma
            } else if state.pointee.cr4 & CR4.pae != 0 {
                try loadPDPTEs(state.pointee.cr3)
            }
        } else if old & ~new & CR0.pg != 0 {
            if in64BitMode || state.pointee.cr4 & CR4.pcide != 0 { throw .generalProtection() }
            efer &= ~EFER.lma
        } else if (old ^ new) & (CR0.cd | CR0.nw) != 0 && usesPAEPaging {
            try loadPDPTEs(state.pointee.cr3)
        }
        state.pointee.cr0 = new
        state.pointee.efer = efer
        refreshFPUGates()
        // Nothing that was found outside of paging, or in another kind of it, leads where it led.
        if (old ^ new) & (CR0.pg | CR0.pe) != 0 { owner.forgetJumps() }
        if (old ^ new) & (CR0.pg | CR0.pe | CR0.wp) != 0 { flushTLB() }
        refreshDerivedState()
    }

    func clearTaskSwitched() throws(GuestFault) {
        try requirePrivilege()
        state.pointee.counters.control_register_accesses &+= 1
        try tracingControlRegister(0) { () throws(GuestFault) in state.pointee.cr0 &= ~CR0.ts }
        refreshFPUGates()
    }

    func storeMachineStatusWord(_ i: Instruction) throws(GuestFault) {
        try requireUserModeInformation()
        guard isMemoryOperand(i) else {
            return setRegister(i.pointee.rm, width: i.pointee.width, to: state.pointee.cr0)
        }
        try store(UInt16(truncatingIfNeeded: state.pointee.cr0), try linearAddress(i, size: 2, .write))
    }

    /// LMSW writes PE, MP, EM and TS, and cannot clear PE.
    func loadMachineStatusWord(_ i: Instruction) throws(GuestFault) {
        try requirePrivilege()
        let value = UInt64(try selectorOperand(i))
        let old = state.pointee.cr0
        state.pointee.counters.control_register_accesses &+= 1
        try tracingControlRegister(0) { () throws(GuestFault) in
            try writeCR0(old & ~(CR0.mp | CR0.em | CR0.ts) | value & 0xf)
        }
    }

    // MARK: CR3

    private var usesPAEPaging: Bool {
        state.pointee.cr0 & CR0.pg != 0 && state.pointee.cr4 & CR4.pae != 0 && !longMode
    }

    /// The table's address, and in IA-32e mode the PCID; bit 63 (keep the PCID's translations) is not stored.
    private func writeCR3(_ value: UInt64) throws(GuestFault) {
        var value = value
        let keeps = state.pointee.cr4 & CR4.pcide != 0 && value >> 63 != 0
        if keeps { value &= ~(1 << 63) }
        if longMode {
            guard value & ~(translation.pointee.physicalMask | 0xfff) == 0 else { throw .generalProtection() }
        } else if usesPAEPaging {
            try loadPDPTEs(value)
        }
        let old = state.pointee.cr3
        state.pointee.cr3 = value
        switchAddressSpace(from: old, keeps: keeps)
    }

    func loadCR3FromTask(_ value: UInt64) throws(GuestFault) {
        if usesPAEPaging { try loadPDPTEs(value) }
        state.pointee.cr3 = value
        flushNonGlobalTLB()
    }

    /// Loads the four page-directory-pointer-table entries of PAE paging; a reserved bit in a present one is #GP(0) (SDM
    /// volume 3, section 4.4.1).
    private func loadPDPTEs(_ cr3: UInt64) throws(GuestFault) {
        var entries = InlineArray<4, UInt64>(repeating: 0)
        let reserved = ~translation.pointee.physicalMask | 0x1e6
        for index in 0..<4 {
            entries[index] = readPhysical(cr3 & 0xffff_ffe0 &+ UInt64(8 * index), size: 8)
            if entries[index] & 1 != 0 && entries[index] & reserved != 0 { throw .generalProtection() }
        }
        state.pointee.pdpte = (entries[0], entries[1], entries[2], entries[3])
    }

    // MARK: CR4

    /// The bits that the model's features define.
    private var definedCR4: UInt64 {
        var bits =
            CR4.tsd | CR4.de | CR4.pse | CR4.pae | CR4.mce | CR4.pge | CR4.pce | CR4.osfxsr | CR4.osxmmexcpt
        if has(.umip) { bits |= CR4.umip }
        if has(.fsgsbase) { bits |= CR4.fsgsbase }
        if has(.pcid) { bits |= CR4.pcide }
        if has(.xsave) { bits |= CR4.osxsave }
        if has(.smep) { bits |= CR4.smep }
        if has(.smap) { bits |= CR4.smap }
        if has(.pku) { bits |= CR4.pke }
        if has(.pks) { bits |= CR4.pks }
        return bits
    }

    private func writeCR4(_ new: UInt64) throws(GuestFault) {
        let old = state.pointee.cr4
        guard new & ~definedCR4 == 0 else { throw .generalProtection() }
        if longMode && new & CR4.pae == 0 { throw .generalProtection() }
        if new & ~old & CR4.pcide != 0 && (!longMode || state.pointee.cr3 & 0xfff != 0) { throw .generalProtection() }
        let paging = CR4.pse | CR4.pae | CR4.pge | CR4.smep | CR4.smap | CR4.pcide | CR4.pke | CR4.pks
        let isPAE = state.pointee.cr0 & CR0.pg != 0 && new & CR4.pae != 0 && !longMode
        if isPAE && (old ^ new) & (CR4.pse | CR4.pae | CR4.pge | CR4.smep) != 0 { try loadPDPTEs(state.pointee.cr3) }
        state.pointee.cr4 = new
        refreshFPUGates()
        if (old ^ new) & paging != 0 { flushTLB() }
        refreshDerivedState()
    }

    // MARK: XCR0

    private func requireOSXSAVE() throws(GuestFault) {
        if state.pointee.cr4 & CR4.osxsave == 0 { throw .invalidOpcode }
    }

    func getExtendedControlRegister() throws(GuestFault) {
        try requireOSXSAVE()
        switch UInt32(truncatingIfNeeded: self[.rcx]) {
        // XINUSE: no component is tracked as unused.
        case 0,
            1 where has(.xgetbv1):
            self[.rax] = state.pointee.xcr0 & 0xffff_ffff
            self[.rdx] = state.pointee.xcr0 >> 32
        default: throw .generalProtection()
        }
    }

    func setExtendedControlRegister() throws(GuestFault) {
        try requireOSXSAVE()
        try requirePrivilege()
        let value = self[.rdx] << 32 | self[.rax] & 0xffff_ffff
        guard UInt32(truncatingIfNeeded: self[.rcx]) == 0, value & ~owner.vm.model.xcr0Mask == 0, value & 1 != 0,
            value & 6 != 4
        else { throw .generalProtection() }
        if traces(.controlRegisters) {
            trace(.controlRegister(name: "XCR0", old: state.pointee.xcr0, new: value))
        }
        state.pointee.xcr0 = value
        refreshFPUGates()
        endBlock()
    }
}

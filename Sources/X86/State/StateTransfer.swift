// Between the hot state and the engine-neutral `CPUState`: every bit of architectural state, both ways.

import CPrimitives
import VirtualCPU

extension SoftwareCPU {
    package func exportState() throws(EngineError) -> CPUState {
        let cpu = CPU(state)
        var neutral = CPUState(apicID: UInt32(id))
        neutral.gpr = Self.elements(state.pointee.gpr, count: 16)
        neutral.rip = state.pointee.rip
        neutral.rflags = cpu.rflags
        neutral.segments = SegmentRegister.allCases.map { SegmentState(cpu.segment($0).pointee) }
        neutral.gdtr = TableState(
            base: state.pointee.gdtr.base, limit: UInt16(truncatingIfNeeded: state.pointee.gdtr.limit))
        neutral.idtr = TableState(
            base: state.pointee.idtr.base, limit: UInt16(truncatingIfNeeded: state.pointee.idtr.limit))
        neutral.cr0 = state.pointee.cr0
        neutral.cr2 = state.pointee.cr2
        neutral.cr3 = state.pointee.cr3
        neutral.cr4 = state.pointee.cr4
        neutral.pdptes = Self.elements(state.pointee.pdpte, count: 4)
        neutral.debugAddresses = Self.elements(state.pointee.dr, count: 4)
        neutral.dr6 = state.pointee.dr6
        neutral.dr7 = state.pointee.dr7
        neutral.xcr0 = state.pointee.xcr0
        neutral.pkru = UInt32(truncatingIfNeeded: state.pointee.pkru)
        for register in Self.storedMSRs { neutral.msrs[register.number] = state.pointee[keyPath: register.field] }
        for (number, value) in storedRegisters.all { neutral.msrs[number] = value }
        neutral.tsc = timeStampCounter()
        neutral.xsave = cpu.exportXSAVE()
        neutral.x87CodeSelector = state.pointee.fcs
        neutral.x87DataSelector = state.pointee.fds
        neutral.shadow.sti = state.pointee.shadow & UInt8(TZ_SHADOW_STI) != 0
        neutral.shadow.movSS = state.pointee.shadow & UInt8(TZ_SHADOW_MOV_SS) != 0
        neutral.shadow.nmi = state.pointee.shadow & UInt8(TZ_SHADOW_NMI) != 0
        neutral.pendingDebugTrap = state.pointee.trap_after != 0
        neutral.activity = Self.activities[Int(state.pointee.activity)]
        neutral.localAPIC = localAPIC.exportState()
        return neutral
    }

    package func importState(_ neutral: CPUState) throws(EngineError) {
        guard neutral.gpr.count == 16, neutral.segments.count == Int(TZ_SEGMENT_COUNT), neutral.pdptes.count == 4,
            neutral.debugAddresses.count == 4, neutral.xsave.count == CPUState.initialXSAVE.count,
            neutral.localAPIC.registers.count == 64
        else { throw EngineError("the CPU state to import is incomplete") }
        load(neutral)
    }

    /// Replaces the architectural state by a complete one, and everything that was derived from the old one.
    /// After INIT the local APIC's stays: it has been reset, and others may be posting to it.
    func load(_ neutral: CPUState, afterINIT: Bool = false) {
        let cpu = CPU(state)
        Self.fill(&state.pointee.gpr, neutral.gpr)
        state.pointee.rip = neutral.rip
        cpu.rflags = neutral.rflags
        for (register, value) in zip(SegmentRegister.allCases, neutral.segments) {
            cpu.segment(register).pointee = tz_segment(
                base: value.base, limit: value.limit, attributes: value.attributes, selector: value.selector,
                reserved: (0, 0, 0))
        }
        state.pointee.gdtr = tz_table_register(base: neutral.gdtr.base, limit: UInt64(neutral.gdtr.limit))
        state.pointee.idtr = tz_table_register(base: neutral.idtr.base, limit: UInt64(neutral.idtr.limit))
        state.pointee.cr0 = neutral.cr0
        state.pointee.cr2 = neutral.cr2
        state.pointee.cr3 = neutral.cr3
        state.pointee.cr4 = neutral.cr4
        Self.fill(&state.pointee.pdpte, neutral.pdptes)
        Self.fill(&state.pointee.dr, neutral.debugAddresses)
        state.pointee.dr6 = neutral.dr6
        state.pointee.dr7 = neutral.dr7
        state.pointee.xcr0 = neutral.xcr0
        state.pointee.pkru = UInt64(neutral.pkru)
        for register in Self.storedMSRs {
            state.pointee[keyPath: register.field] = neutral.msrs[register.number] ?? register.initial
        }
        storedRegisters = StoredRegisters()
        for (number, value) in neutral.msrs { storedRegisters[number] = value }
        paravirtualClockIsStale = true
        state.pointee.tsc_offset = neutral.tsc &- vm.clock.now()
        localAPIC.setTSCOffset(state.pointee.tsc_offset)
        cpu.importXSAVE(neutral.xsave)
        state.pointee.fcs = neutral.x87CodeSelector
        state.pointee.fds = neutral.x87DataSelector
        state.pointee.shadow =
            (neutral.shadow.sti ? UInt8(TZ_SHADOW_STI) : 0) | (neutral.shadow.movSS ? UInt8(TZ_SHADOW_MOV_SS) : 0)
            | (neutral.shadow.nmi ? UInt8(TZ_SHADOW_NMI) : 0)
        state.pointee.trap_after = neutral.pendingDebugTrap ? 1 : 0
        state.pointee.activity = UInt8(Self.activities.firstIndex(of: neutral.activity) ?? 0)
        state.pointee.fault_pending = 0
        if !afterINIT { localAPIC.importState(neutral.localAPIC) }
        forgetJumps()
        cpu.flushTLB()
        cpu.refreshDerivedState()
        if let pending = neutral.pendingException {
            state.pointee.fault_vector = pending.vector
            state.pointee.fault_has_error = pending.errorCode == nil ? 0 : 1
            state.pointee.fault_error = UInt16(truncatingIfNeeded: pending.errorCode ?? 0)
            state.pointee.fault_pending = 1
            cpu.deliverPendingFault()
        }
        if let vector = neutral.acknowledgedInterrupt { cpu.deliverInterrupt(vector: vector) }
        requestAttention()
        if neutral.nmiPending { localAPIC.postNMI() }
    }

    /// INIT, which the local APIC has seen to itself (SDM volume 3, table 10-1): RESET, but for the time-stamp counter, x87 and vector registers, and most MSRs. The
    /// bootstrap processor goes on at the reset vector; the others wait for a startup IPI.
    func initialise() {
        var neutral = CPUState(apicID: UInt32(id))
        neutral.tsc = timeStampCounter()
        neutral.xsave = CPU(state).exportXSAVE()
        neutral.pkru = UInt32(truncatingIfNeeded: state.pointee.pkru)
        neutral.x87CodeSelector = state.pointee.fcs
        neutral.x87DataSelector = state.pointee.fds
        for register in Self.storedMSRs { neutral.msrs[register.number] = state.pointee[keyPath: register.field] }
        for (number, value) in storedRegisters.all { neutral.msrs[number] = value }
        neutral.msrs[MSR.efer] = 0
        // What the guest's memory is used for after INIT, nobody knows.
        for number in KVMRegister.all { neutral.msrs[number] = 0 }
        load(neutral, afterINIT: true)
    }

    // MARK: Correspondence

    private static let activities: [ActivityState] = [.active, .halted, .shutdown, .waitForSIPI]

    /// MSRs that are plain fields of the hot state, and their values after RESET.
    private static var storedMSRs: [(number: UInt32, field: WritableKeyPath<tz_cpu, UInt64>, initial: UInt64)] {
        [
            (MSR.efer, \.efer, 0), (MSR.star, \.star, 0), (MSR.lstar, \.lstar, 0), (MSR.cstar, \.cstar, 0),
            (MSR.sfmask, \.sfmask, 0), (MSR.kernelGSBase, \.kernel_gs_base, 0), (MSR.sysenterCS, \.sysenter_cs, 0),
            (MSR.sysenterESP, \.sysenter_esp, 0), (MSR.sysenterEIP, \.sysenter_eip, 0),
            (MSR.pat, \.pat, 0x0007_0406_0007_0406), (MSR.tscAux, \.tsc_aux, 0), (MSR.tscAdjust, \.tsc_adjust, 0),
            (MSR.miscEnable, \.misc_enable, 1), (MSR.debugctl, \.debugctl, 0), (MSR.specCtrl, \.spec_ctrl, 0),
            (MSR.xss, \.xss, 0), (MSR.pkrs, \.pkrs, 0),
        ]
    }

    private static func elements<T>(_ tuple: T, count: Int) -> [UInt64] {
        withUnsafeBytes(of: tuple) { Array($0.bindMemory(to: UInt64.self).prefix(count)) }
    }

    private static func fill<T>(_ tuple: inout T, _ values: [UInt64]) {
        withUnsafeMutableBytes(of: &tuple) { target in values.withUnsafeBytes { target.copyMemory(from: $0) } }
    }
}

extension SegmentState {
    fileprivate init(_ segment: tz_segment) {
        self.init(
            selector: segment.selector, base: segment.base, limit: segment.limit, attributes: segment.attributes)
    }
}

// Between the kernel's vCPU and the engine-neutral `CPUState`: every part of the architectural state, both ways, in an order
// in which each part finds what it depends on.

import CKVM
import VirtualCPU

/// Parts of the neutral state that KVM has no place for: they come out as they went in.
struct StateAside {
    /// Registers that are stored with no effect on a vCPU in the kernel.
    var msrs: [UInt32: UInt64] = [:]
    var x87CodeSelector: UInt16 = 0
    var x87DataSelector: UInt16 = 0
    /// The initial count of an APIC timer that had run out: KVM starts a timer whenever it is given one.
    var expiredCount: UInt32?
}

extension KVMVCPU {
    func exportState() throws(EngineError) -> CPUState {
        var state = try exportCore()
        state.tsc = try timeStampCounter()
        state.localAPIC = try exportLocalAPIC(state)
        return state
    }

    /// All but the time-stamp counter and the local APIC, which belong to more than the running program.
    func exportCore() throws(EngineError) -> CPUState {
        // Looking at the MP state makes the kernel take INITs and startup IPIs that wait.
        let activity = try exportActivity()
        var state = CPUState(apicID: UInt32(id))
        try exportRegisters(to: &state)
        try exportSystemRegisters(to: &state)
        try exportDebugRegisters(to: &state)
        state.xcr0 = try exportXCR0()
        try exportXSAVE(to: &state)
        try exportMSRs(to: &state)
        try exportEvents(to: &state)
        state.activity = isShutDown ? .shutdown : activity
        return state
    }

    func importState(_ state: CPUState) throws(EngineError) {
        guard state.gpr.count == 16, state.segments.count == 8, state.pdptes.count == 4,
            state.debugAddresses.count == 4, state.xsave.count == CPUState.initialXSAVE.count,
            state.localAPIC.registers.count == 64
        else { throw EngineError("the CPU state to import is incomplete") }
        aside = StateAside()
        try importCore(state)
        try setTimeStampCounter(state.tsc)
        try importLocalAPIC(state.localAPIC)
        try importTSCDeadline(state)
        try importEvents(state, withNMI: true)
        try importActivity(state.activity)
        deliverWaitingMessages(state.localAPIC)
        if id == 0 { intr.store(state.localAPIC.lint0, ordering: .sequentiallyConsistent) }
    }

    /// All but the time-stamp counter, the local APIC and events.
    ///
    /// - Parameter old: what the kernel has: parts that are the same are left alone.
    func importCore(_ state: CPUState, unlike old: CPUState? = nil) throws(EngineError) {
        isShutDown = state.activity == .shutdown
        completesAccess = false
        if old.map({ Self.differInSystemRegisters($0, state) }) ?? true { try importSystemRegisters(state) }
        try importRegisters(state)
        if old?.xcr0 != state.xcr0 { try importXCR0(state.xcr0) }
        if old?.xsave != state.xsave || old?.pkru != state.pkru { try importXSAVE(state) }
        if old?.msrs != state.msrs { try importMSRs(state) }
        if old?.debugAddresses != state.debugAddresses || old?.dr6 != state.dr6 || old?.dr7 != state.dr7 {
            try importDebugRegisters(state)
        }
    }

    private static func differInSystemRegisters(_ a: CPUState, _ b: CPUState) -> Bool {
        a.segments != b.segments || a.gdtr != b.gdtr || a.idtr != b.idtr || a.cr0 != b.cr0 || a.cr2 != b.cr2
            || a.cr3 != b.cr3 || a.cr4 != b.cr4 || a.pdptes != b.pdptes
            || a.msrs[MSRNumber.efer] != b.msrs[MSRNumber.efer]
            || a.localAPIC.registers[8] != b.localAPIC.registers[8] || a.localAPIC.base != b.localAPIC.base
    }

    // MARK: General registers

    private func exportRegisters(to state: inout CPUState) throws(EngineError) {
        var r = kvm_regs()
        let call: KVMCall = "KVM_GET_REGS"
        try call.check(retrying { ckvm_get_regs(descriptor.number, &r) })
        state.gpr = [
            r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14,
            r.r15,
        ]
        state.rip = r.rip
        state.rflags = r.rflags
    }

    private func importRegisters(_ state: CPUState) throws(EngineError) {
        let g = state.gpr
        var r = kvm_regs(
            rax: g[0], rbx: g[3], rcx: g[1], rdx: g[2], rsi: g[6], rdi: g[7], rsp: g[4], rbp: g[5], r8: g[8], r9: g[9],
            r10: g[10], r11: g[11], r12: g[12], r13: g[13], r14: g[14], r15: g[15], rip: state.rip, rflags: state.rflags
        )
        let call: KVMCall = "KVM_SET_REGS"
        try call.check(retrying { ckvm_set_regs(descriptor.number, &r) })
    }

    // MARK: Debug registers and XCR0

    private func exportDebugRegisters(to state: inout CPUState) throws(EngineError) {
        var r = kvm_debugregs()
        let call: KVMCall = "KVM_GET_DEBUGREGS"
        try call.check(retrying { ckvm_get_debugregs(descriptor.number, &r) })
        state.debugAddresses = [r.db.0, r.db.1, r.db.2, r.db.3]
        state.dr6 = r.dr6
        state.dr7 = r.dr7
    }

    private func importDebugRegisters(_ state: CPUState) throws(EngineError) {
        let d = state.debugAddresses
        var r = kvm_debugregs()
        r.db = (d[0], d[1], d[2], d[3])
        r.dr6 = state.dr6
        r.dr7 = state.dr7
        let call: KVMCall = "KVM_SET_DEBUGREGS"
        try call.check(retrying { ckvm_set_debugregs(descriptor.number, &r) })
    }

    private func exportXCR0() throws(EngineError) -> UInt64 {
        var r = kvm_xcrs()
        let call: KVMCall = "KVM_GET_XCRS"
        try call.check(retrying { ckvm_get_xcrs(descriptor.number, &r) })
        let count = min(Int(r.nr_xcrs), Int(KVM_MAX_XCRS))
        return withUnsafeBytes(of: &r.xcrs) { bytes in
            bytes.bindMemory(to: kvm_xcr.self).prefix(count).first { $0.xcr == 0 }?.value ?? 1
        }
    }

    private func importXCR0(_ value: UInt64) throws(EngineError) {
        var r = kvm_xcrs()
        r.nr_xcrs = 1
        r.xcrs.0 = kvm_xcr(xcr: 0, reserved: 0, value: value)
        let call: KVMCall = "KVM_SET_XCRS"
        try call.check(retrying { ckvm_set_xcrs(descriptor.number, &r) })
    }

    // MARK: Activity

    private func exportActivity() throws(EngineError) -> ActivityState {
        var r = kvm_mp_state()
        let call: KVMCall = "KVM_GET_MP_STATE"
        try call.check(retrying { ckvm_get_mp_state(descriptor.number, &r) })
        switch Int32(bitPattern: r.mp_state) {
        case KVM_MP_STATE_HALTED: return .halted
        case KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED: return .waitForSIPI
        default: return .active
        }
    }

    func importActivity(_ activity: ActivityState) throws(EngineError) {
        let value =
            switch activity {
            case .active, .shutdown: KVM_MP_STATE_RUNNABLE
            case .halted: KVM_MP_STATE_HALTED
            // Ready for a startup IPI; the kernel's own initial state would first ask for an INIT.
            case .waitForSIPI: KVM_MP_STATE_INIT_RECEIVED
            }
        var r = kvm_mp_state(mp_state: UInt32(bitPattern: value))
        let call: KVMCall = "KVM_SET_MP_STATE"
        try call.check(retrying { ckvm_set_mp_state(descriptor.number, &r) })
    }
}

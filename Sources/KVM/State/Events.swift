// Events between two instructions: what was raised or accepted and is not delivered yet, shadows, NMIs, and messages that
// wait in the local APIC (api.rst, section 4.31).

import CKVM
import VirtualCPU

extension KVMVCPU {
    func exportEvents(to state: inout CPUState) throws(EngineError) {
        var events = kvm_vcpu_events()
        let call: KVMCall = "KVM_GET_VCPU_EVENTS"
        try call.check(retrying { ckvm_get_vcpu_events(descriptor.number, &events) })
        let exception = events.exception
        if exception.injected != 0 || exception.pending != 0 {
            state.pendingException = PendingException(
                vector: exception.nr, errorCode: exception.has_error_code != 0 ? exception.error_code : nil)
        }
        // A software interrupt that is on its way has RIP at its INT instruction still, which is then executed anew.
        if events.interrupt.injected != 0, events.interrupt.soft == 0 {
            state.acknowledgedInterrupt = events.interrupt.nr
        }
        let shadow = Int32(events.interrupt.shadow)
        state.shadow.sti = shadow & KVM_X86_SHADOW_INT_STI != 0
        state.shadow.movSS = shadow & KVM_X86_SHADOW_INT_MOV_SS != 0
        // An NMI on its way to its handler has NMIs blocked already.
        let onItsWay = events.nmi.injected != 0
        state.shadow.nmi = events.nmi.masked != 0 && !onItsWay
        let waiting = Int(events.nmi.pending) + (onItsWay ? 1 : 0)
        state.localAPIC.pendingNMI = waiting > 0
        state.localAPIC.pendingSecondNMI = waiting > 1
    }

    /// - Parameter withNMI: whether NMIs that wait are replaced, too; if not, those that come meanwhile are safe.
    func importEvents(_ state: CPUState, withNMI: Bool) throws(EngineError) {
        var events = kvm_vcpu_events()
        events.flags = UInt32(KVM_VCPUEVENT_VALID_SHADOW)
        if let pending = state.pendingException {
            events.exception.injected = 1
            events.exception.nr = pending.vector
            events.exception.has_error_code = pending.errorCode == nil ? 0 : 1
            events.exception.error_code = pending.errorCode ?? 0
        }
        if let vector = state.acknowledgedInterrupt {
            events.interrupt.injected = 1
            events.interrupt.nr = vector
        }
        if state.shadow.sti { events.interrupt.shadow |= UInt8(KVM_X86_SHADOW_INT_STI) }
        if state.shadow.movSS { events.interrupt.shadow |= UInt8(KVM_X86_SHADOW_INT_MOV_SS) }
        events.nmi.masked = state.shadow.nmi ? 1 : 0
        if withNMI {
            events.flags |= UInt32(KVM_VCPUEVENT_VALID_NMI_PENDING)
            let apic = state.localAPIC
            let waits = state.nmiPending || apic.pendingNMI
            events.nmi.pending = waits ? (apic.pendingSecondNMI ? 2 : 1) : 0
        }
        let call: KVMCall = "KVM_SET_VCPU_EVENTS"
        try call.check(retrying { ckvm_set_vcpu_events(descriptor.number, &events) })
    }

    /// An INIT or a startup IPI that the CPU has not taken yet is sent anew.
    func deliverWaitingMessages(_ apic: LocalAPICState) {
        let address: UInt64 = 0xfee0_0000 | UInt64(id & 0xff) << 12
        if apic.pendingINIT { _ = vm.signal(.init(address: address, data: 5 << 8)) }
        if let vector = apic.pendingSIPI { _ = vm.signal(.init(address: address, data: 6 << 8 | UInt32(vector))) }
    }
}

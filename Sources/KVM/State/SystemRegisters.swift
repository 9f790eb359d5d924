// Segments, tables and control registers (api.rst, sections 4.13 and 4.131).

import CKVM
import VirtualCPU

extension SegmentState {
    init(_ s: kvm_segment) {
        var attributes =
            UInt32(s.type & 15) | UInt32(s.s & 1) << 4 | UInt32(s.dpl & 3) << 5 | UInt32(s.present & 1) << 7
        attributes |= UInt32(s.avl & 1) << 12 | UInt32(s.l & 1) << 13 | UInt32(s.db & 1) << 14 | UInt32(s.g & 1) << 15
        if s.unusable != 0 { attributes |= 1 << 16 }
        self.init(selector: s.selector, base: s.base, limit: s.limit, attributes: attributes)
    }

    /// As the kernel has it.
    var native: kvm_segment {
        func bit(_ n: UInt32) -> UInt8 { UInt8(attributes >> n & 1) }
        return kvm_segment(
            base: base, limit: limit, selector: selector, type: UInt8(attributes & 15), present: bit(7),
            dpl: UInt8(attributes >> 5 & 3), db: bit(14), s: bit(4), l: bit(13), g: bit(15), avl: bit(12),
            unusable: bit(16), padding: 0)
    }
}

extension KVMVCPU {
    private static let pdptesValid = UInt64(KVM_SREGS2_FLAGS_PDPTRS_VALID)

    /// The newer structure, also where only the older one is there; the same but for the end.
    func systemRegisters() throws(EngineError) -> kvm_sregs2 {
        var new = kvm_sregs2()
        if vm.capabilities.has(.sregs2) {
            let call: KVMCall = "KVM_GET_SREGS2"
            try call.check(retrying { ckvm_get_sregs2(descriptor.number, &new) })
            return new
        }
        var old = kvm_sregs()
        let call: KVMCall = "KVM_GET_SREGS"
        try call.check(retrying { ckvm_get_sregs(descriptor.number, &old) })
        (new.cs, new.ds, new.es, new.fs, new.gs, new.ss) = (old.cs, old.ds, old.es, old.fs, old.gs, old.ss)
        (new.tr, new.ldt, new.gdt, new.idt) = (old.tr, old.ldt, old.gdt, old.idt)
        (new.cr0, new.cr2, new.cr3, new.cr4, new.cr8) = (old.cr0, old.cr2, old.cr3, old.cr4, old.cr8)
        (new.efer, new.apic_base) = (old.efer, old.apic_base)
        return new
    }

    private func setSystemRegisters(_ new: kvm_sregs2) throws(EngineError) {
        if vm.capabilities.has(.sregs2) {
            var new = new
            let call: KVMCall = "KVM_SET_SREGS2"
            try call.check(retrying { ckvm_set_sregs2(descriptor.number, &new) })
            return
        }
        var old = kvm_sregs()
        (old.cs, old.ds, old.es, old.fs, old.gs, old.ss) = (new.cs, new.ds, new.es, new.fs, new.gs, new.ss)
        (old.tr, old.ldt, old.gdt, old.idt) = (new.tr, new.ldt, new.gdt, new.idt)
        (old.cr0, old.cr2, old.cr3, old.cr4, old.cr8) = (new.cr0, new.cr2, new.cr3, new.cr4, new.cr8)
        (old.efer, old.apic_base) = (new.efer, new.apic_base)
        let call: KVMCall = "KVM_SET_SREGS"
        try call.check(retrying { ckvm_set_sregs(descriptor.number, &old) })
    }

    func exportSystemRegisters(to state: inout CPUState) throws(EngineError) {
        let r = try systemRegisters()
        state.segments = [r.es, r.cs, r.ss, r.ds, r.fs, r.gs, r.ldt, r.tr].map { SegmentState($0) }
        state.gdtr = TableState(base: r.gdt.base, limit: r.gdt.limit)
        state.idtr = TableState(base: r.idt.base, limit: r.idt.limit)
        (state.cr0, state.cr2, state.cr3, state.cr4) = (r.cr0, r.cr2, r.cr3, r.cr4)
        state.msrs[MSRNumber.efer] = r.efer
        state.localAPIC.base = r.apic_base
        state.localAPIC.registers[8] = UInt32(truncatingIfNeeded: r.cr8 & 15) << 4
        if r.flags & Self.pdptesValid != 0 {
            state.pdptes = [r.pdptrs.0, r.pdptrs.1, r.pdptrs.2, r.pdptrs.3]
        }
    }

    func importSystemRegisters(_ state: CPUState) throws(EngineError) {
        var r = kvm_sregs2()
        let s = state.segments.map(\.native)
        (r.es, r.cs, r.ss, r.ds, r.fs, r.gs, r.ldt, r.tr) = (s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7])
        r.gdt = kvm_dtable(base: state.gdtr.base, limit: state.gdtr.limit, padding: (0, 0, 0))
        r.idt = kvm_dtable(base: state.idtr.base, limit: state.idtr.limit, padding: (0, 0, 0))
        (r.cr0, r.cr2, r.cr3, r.cr4) = (state.cr0, state.cr2, state.cr3, state.cr4)
        r.cr8 = UInt64(state.localAPIC.registers[8] >> 4 & 15)
        r.efer = state.msrs[MSRNumber.efer] ?? 0
        r.apic_base = state.localAPIC.base
        // PAE paging keeps the page-directory pointers that were loaded with CR3.
        if state.cr0 >> 31 & 1 != 0, state.cr4 >> 5 & 1 != 0, !state.isLongMode {
            r.flags = Self.pdptesValid
            r.pdptrs = (state.pdptes[0], state.pdptes[1], state.pdptes[2], state.pdptes[3])
        }
        try setSystemRegisters(r)
    }
}

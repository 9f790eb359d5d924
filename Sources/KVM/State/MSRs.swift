// Model-specific registers, by the host's own list (api.rst, sections 4.3, 4.18 and 4.19). What KVM does not keep or does
// not take stays aside, and comes out as it went in.

import CKVM
import VirtualCPU

/// MSRs that have a part of their own in the state (SDM volume 4).
enum MSRNumber {
    static let timeStampCounter: UInt32 = 0x10
    static let apicBase: UInt32 = 0x1b
    static let tscDeadline: UInt32 = 0x6e0
    static let efer: UInt32 = 0xc000_0080
    /// What every 64-bit program depends on: KVM has to take these.
    static let essential: Set<UInt32> = [
        0x174, 0x175, 0x176, 0x277, 0xc000_0081, 0xc000_0082, 0xc000_0083, 0xc000_0084, 0xc000_0102,
    ]
    /// KVM's own interface by its newer names: system time, steal time, EOIs without an exit. The date is none of these: a
    /// write brings it into the guest's memory, and that is all.
    static let paravirtual: [UInt32] = [0x4b56_4d01, 0x4b56_4d03, 0x4b56_4d04]
    /// KVM keeps them, but leaves them out of its list: memory types (SDM volume 3, section 12.11).
    static let memoryTypes: [UInt32] = Array(0x200...0x20f) + [0x250, 0x258, 0x259] + Array(0x268...0x26f) + [0x2ff]
}

extension KVMVCPU {
    /// The registers that go through this file.
    private var numbers: [UInt32] {
        let others: Set<UInt32> = [
            MSRNumber.timeStampCounter, MSRNumber.apicBase, MSRNumber.tscDeadline, MSRNumber.efer,
        ]
        let own = vm.paravirtualFeatures == nil ? [] : MSRNumber.paravirtual.filter(vm.msrNumbers.contains)
        return vm.msrNumbers.filter { !others.contains($0) && !Self.isParavirtual($0) } + MSRNumber.memoryTypes + own
    }

    /// KVM's and Hyper-V's own interfaces under all their names, which say where in the guest's memory the host writes.
    private static func isParavirtual(_ number: UInt32) -> Bool {
        0x4000_0000...0x4000_ffff ~= number || 0x4b56_4d00...0x4b56_4dff ~= number || number == 0x11 || number == 0x12
    }

    func exportMSRs(to state: inout CPUState) throws(EngineError) {
        for (number, value) in aside.msrs { state.msrs[number] = value }
        var wanted = numbers
        // The kernel stops at one that it does not have after all: the rest is asked for anew.
        while !wanted.isEmpty {
            var entries = wanted.map { kvm_msr_entry(index: $0, reserved: 0, data: 0) }
            let call: KVMCall = "KVM_GET_MSRS"
            let count = Int(
                try call.check(retrying { ckvm_get_msrs(descriptor.number, &entries, UInt32(entries.count)) }))
            for entry in entries.prefix(count) where aside.msrs[entry.index] == nil {
                state.msrs[entry.index] = entry.data
            }
            guard count < wanted.count else { break }
            wanted.removeFirst(count + 1)
        }
    }

    func importMSRs(_ state: CPUState) throws(EngineError) {
        let kept = Set(numbers)
        var entries: [kvm_msr_entry] = []
        let others: Set<UInt32> = [
            MSRNumber.timeStampCounter, MSRNumber.apicBase, MSRNumber.tscDeadline, MSRNumber.efer,
        ]
        for (number, value) in state.msrs.sorted(by: { $0.key < $1.key }) where !others.contains(number) {
            if kept.contains(number) {
                entries.append(kvm_msr_entry(index: number, reserved: 0, data: value))
            } else {
                aside.msrs[number] = value
            }
        }
        while !entries.isEmpty {
            let call: KVMCall = "KVM_SET_MSRS"
            let count = Int(
                try call.check(retrying { ckvm_set_msrs(descriptor.number, entries, UInt32(entries.count)) }))
            guard count < entries.count else { break }
            let refused = entries[count]
            if MSRNumber.essential.contains(refused.index) {
                let value = String(refused.data, radix: 16)
                throw EngineError("KVM does not take MSR 0x\(String(refused.index, radix: 16)) = 0x\(value)")
            }
            aside.msrs[refused.index] = refused.data
            entries.removeFirst(count + 1)
        }
    }

    /// A single register.
    func msr(_ number: UInt32) throws(EngineError) -> UInt64 {
        var entry = kvm_msr_entry(index: number, reserved: 0, data: 0)
        let call: KVMCall = "KVM_GET_MSRS"
        guard try call.check(retrying { ckvm_get_msrs(descriptor.number, &entry, 1) }) == 1 else {
            throw EngineError("KVM does not have MSR 0x\(String(number, radix: 16))")
        }
        return entry.data
    }

    /// Sets a single register.
    func setMSR(_ number: UInt32, _ value: UInt64) throws(EngineError) {
        var entry = kvm_msr_entry(index: number, reserved: 0, data: value)
        let call: KVMCall = "KVM_SET_MSRS"
        guard try call.check(retrying { ckvm_set_msrs(descriptor.number, &entry, 1) }) == 1 else {
            throw EngineError("KVM does not take MSR 0x\(String(number, radix: 16)) = 0x\(String(value, radix: 16))")
        }
    }
}

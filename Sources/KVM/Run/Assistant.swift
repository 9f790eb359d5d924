// Emulation failures, survived: an instruction that the kernel gives back because it cannot emulate it is executed by the
// interpreter, on the vCPU's own state and the guest's own memory, and the guest goes on in the kernel.
//
// The local APIC stays in the kernel meanwhile, since others may post to it; so do NMIs and the time-stamp counter.

import CKVM
import VirtualCPU
import X86

/// A software vCPU that executes single instructions for one in the kernel.
struct Assistant {
    /// Holds the memory map and the bus for `cpu`.
    let vm: SoftwareVM
    let cpu: SoftwareCPU
}

extension KVMVCPU {
    /// The memory map has changed: the next assist makes itself a new assistant. Only while no vCPU runs.
    func forgetAssistant() { assistant = nil }

    private func makeAssistant() throws(EngineError) -> Assistant {
        if let assistant { return assistant }
        // As on hardware, CPUID takes no instruction away: all that can be executed is.
        let software = try SoftwareVM.make(vm.configuration, model: CPUModel(describedBy: "max"))
        for (region, readOnly) in vm.regions {
            try software.map(region)
            if readOnly != region.readOnly { try software.protect(region, readOnly: readOnly) }
        }
        let new = Assistant(vm: software, cpu: software.makeSoftwareCPU(id: id))
        assistant = new
        return new
    }

    /// Executes the instruction at RIP. An exit if the machine has to decide what comes of it.
    func assist() throws(EngineError) -> Exit? {
        let assistant = try makeAssistant()
        var state = try exportCore()
        let base = state.localAPIC.base
        // Nothing of the local APIC's own is to happen here.
        state.localAPIC.pendingNMI = false
        state.localAPIC.pendingSecondNMI = false
        state.tsc = try timeStampCounter()
        try assistant.cpu.importState(state)
        // The guest may have written to code without this vCPU's knowing.
        assistant.cpu.forgetAllBlocks()
        assistant.cpu.interpretInstruction()
        var after = try assistant.cpu.exportState()
        tallies.assists += 1
        after.localAPIC.base = base
        // Registers that are only stored, and that KVM has no place for, are compared by what the interpreter keeps.
        for (number, value) in state.msrs where after.msrs[number] == nil { after.msrs[number] = value }
        for (number, value) in after.msrs where state.msrs[number] == nil && aside.msrs[number] == nil {
            aside.msrs[number] = value
        }
        for (number, value) in aside.msrs where state.msrs[number] == nil { state.msrs[number] = value }
        try importCore(after, unlike: state)
        try importEvents(after, withNMI: false)
        if after.activity != .active { try importActivity(after.activity) }
        return after.activity == .shutdown ? .shutdown : nil
    }
}

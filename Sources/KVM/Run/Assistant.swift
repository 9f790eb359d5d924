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
    let bus: AssistantBus
}

extension KVMVCPU {
    /// The memory map has changed: the next assist makes itself a new assistant. Only while no vCPU runs.
    func forgetAssistant() { assistant = nil }

    private func makeAssistant() throws(EngineError) -> Assistant {
        if let assistant { return assistant }
        // As on hardware, CPUID takes no instruction away: all that can be executed is.
        var configuration = vm.configuration
        // The guest's page of time is the kernel's to write.
        configuration.isParavirtual = false
        let bus = AssistantBus(for: self)
        configuration.bus = bus
        let software = try SoftwareVM.make(configuration, model: CPUModel(describedBy: "max"))
        for (region, readOnly) in vm.regions {
            try software.map(region)
            if readOnly != region.readOnly { try software.protect(region, readOnly: readOnly) }
        }
        let new = Assistant(vm: software, cpu: software.makeSoftwareCPU(id: id), bus: bus)
        assistant = new
        return new
    }

    /// Executes the instruction at RIP. An exit if the machine has to decide what comes of it.
    func assist() throws(EngineError) -> Exit? {
        let assistant = try makeAssistant()
        var state = try exportCore()
        // Nothing of the local APIC's own is to happen here.
        state.localAPIC.pendingNMI = false
        state.localAPIC.pendingSecondNMI = false
        state.tsc = try timeStampCounter()
        var handedOver = state
        // Without one of its own, the interpreter sends accesses to the local APIC to the bus.
        handedOver.localAPIC.base &= ~(1 << 10 | 1 << 11)
        assistant.bus.localAPIC = state.localAPIC.base & 3 << 10 == 1 << 11 ? state.localAPIC.base & ~0xfff : nil
        try assistant.cpu.importState(handedOver)
        // The guest may have written to code without this vCPU's knowing.
        assistant.cpu.forgetAllBlocks()
        assistant.cpu.interpretInstruction()
        if let failure = assistant.bus.takeFailure() { throw failure }
        var after = try assistant.cpu.exportState()
        tallies.assists += 1
        after.localAPIC = state.localAPIC
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

/// The machine's bus, and in front of it the registers of the local APIC in the kernel.
// Sendable: belongs to the thread that runs the vCPU.
final class AssistantBus: Bus, @unchecked Sendable {
    private unowned let vcpu: KVMVCPU
    /// Where the local APIC's page is; nil if it is disabled or in x2APIC mode.
    var localAPIC: UInt64?
    private var failure: EngineError?

    init(for vcpu: KVMVCPU) { self.vcpu = vcpu }

    /// What went wrong since the last call.
    func takeFailure() -> EngineError? {
        defer { failure = nil }
        return failure
    }

    private func register(_ address: UInt64) -> UInt64? {
        guard let localAPIC, address & ~0xfff == localAPIC else { return nil }
        return address & 0xfff
    }

    func readMMIO(_ address: UInt64, size: Int) -> UInt64 {
        guard let offset = register(address) else { return vcpu.bus.readMMIO(address, size: size) }
        do throws(EngineError) {
            let registers = try vcpu.localAPICRegisters()
            // 32 bits at each multiple of 16 bytes, and nothing between them.
            guard offset & 15 < 4, offset >> 4 < registers.count else { return 0 }
            return UInt64(registers[Int(offset >> 4)]) >> (offset & 3 * 8)
        } catch {
            failure = error
            return 0
        }
    }

    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {
        guard let offset = register(address) else { return vcpu.bus.writeMMIO(address, size: size, value: value) }
        // The kernel lets its local APIC be replaced as a whole only, and an interrupt that comes meanwhile would be lost.
        let place = String(offset, radix: 16)
        failure = EngineError(
            "vCPU \(vcpu.id): an instruction that KVM cannot emulate writes to the local APIC, at offset 0x\(place)")
    }

    func readPort(_ port: UInt16, size: Int) -> UInt32 { vcpu.bus.readPort(port, size: size) }
    func writePort(_ port: UInt16, size: Int, value: UInt32) { vcpu.bus.writePort(port, size: size, value: value) }
    func acknowledgeInterrupt() -> UInt8 { vcpu.bus.acknowledgeInterrupt() }
    func endOfInterrupt(vector: UInt8) { vcpu.bus.endOfInterrupt(vector: vector) }
}

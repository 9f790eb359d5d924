// What the vCPUs of one VM share under a software engine: memory slots, the machine's bus and clock, the CPU model.

import CPrimitives
import LocalAPIC
import Memory
import Synchronization
import VirtualCPU

/// A software engine's part of a VM.
// Sendable: memory slots and vCPUs change only while no vCPU runs; everything else is constant or thread-safe itself.
package final class SoftwareVM: EngineVM, @unchecked Sendable {
    let bus: any Bus
    package let clock: Clock
    let memory: GuestMemory
    package let model: CPUModel
    package let trace: (any TraceSink)?
    /// Whether guests are offered KVM's paravirtual interface.
    let isParavirtual: Bool
    /// The date at the clock's zero, in nanoseconds since 1970 UTC.
    let startDate: UInt64
    var slots = MemorySlots()
    private(set) var vcpus: [SoftwareCPU] = []
    /// The vCPUs' local APICs, for routing.
    private var localAPICs: [LocalAPIC] = []
    /// Guards the marks of pages that hold code, and numbers the markings.
    let codeLock = Mutex<UInt32>(0)

    /// Makes a VM that follows writes to its memory from outside its vCPUs.
    package static func make(_ configuration: EngineConfiguration) throws(EngineError) -> SoftwareVM {
        try make(configuration, model: CPUModel(describedBy: configuration.cpuModel))
    }

    /// The same with a model that somebody else has chosen.
    package static func make(
        _ configuration: EngineConfiguration, model: CPUModel
    ) throws(EngineError) -> SoftwareVM {
        _ = try NativeCode.shared.get()
        let vm = try SoftwareVM(configuration, model: model)
        configuration.memory.observeWrites { [weak vm] address, size in
            vm?.codeBytesWritten(address.rawValue, size: size, by: nil)
        }
        return vm
    }

    private init(_ configuration: EngineConfiguration, model: CPUModel) throws(EngineError) {
        bus = configuration.bus
        clock = configuration.clock
        memory = configuration.memory
        trace = configuration.trace
        isParavirtual = configuration.isParavirtual
        startDate = configuration.startDate
        guard model.missing.isEmpty else {
            let names = model.missing.map { String(describing: $0) }.joined(separator: ", ")
            throw EngineError("the CPU model '\(model.name)' needs what this host's CPU does not have: \(names)")
        }
        self.model = model
    }

    package func map(_ region: MemoryRegion) throws(EngineError) {
        guard slots.add(region) else { throw EngineError("no room for another memory region, or an overlap") }
        for vcpu in vcpus { vcpu.memoryMapChanged() }
    }

    package func unmap(_ region: MemoryRegion) throws(EngineError) {
        guard slots.remove(base: region.base.rawValue) else { throw EngineError("no such memory region") }
        for vcpu in vcpus { vcpu.memoryMapChanged() }
    }

    package func protect(_ region: MemoryRegion, readOnly: Bool) throws(EngineError) {
        try slot(of: region).pointee.readOnly = readOnly
        for vcpu in vcpus { vcpu.memoryMapChanged() }
    }

    package func takeDirtyPages(_ region: MemoryRegion) throws(EngineError) -> [Int] {
        let dirty = try slot(of: region).pointee.dirty
        let pages = (0..<Int(region.size >> pageShift)).filter { dirty[$0] != 0 }
        for page in pages { dirty[page] = 0 }
        // A page is noted when a vCPU gains a write entry for it: all have to gain theirs anew.
        for vcpu in vcpus { CPU(vcpu.state).flushTLB() }
        return pages
    }

    private func slot(of region: MemoryRegion) throws(EngineError) -> UnsafeMutablePointer<MemorySlot> {
        guard let slot = slots.slot(containing: region.base.rawValue), slot.pointee.base == region.base.rawValue else {
            throw EngineError("no such memory region")
        }
        return slot
    }

    package func makeVCPU(id: Int) throws(EngineError) -> any VirtualCPU { makeSoftwareCPU(id: id) }

    /// Makes a vCPU that an engine of its own may drive.
    package func makeSoftwareCPU(id: Int) -> SoftwareCPU {
        let vcpu = SoftwareCPU(id: id, vm: self)
        vcpus.append(vcpu)
        // Their number shows.
        for vcpu in vcpus { vcpu.cpuidAnswers.forgetAll() }
        localAPICs.append(vcpu.localAPIC)
        vcpu.localAPIC.sendIPI = { [unowned self, unowned vcpu] icr in
            LocalAPIC.route(icr, from: vcpu.localAPIC, among: localAPICs)
        }
        // Alone, or where vCPUs take turns, there is nobody to yield to.
        let yields = vcpus.count > 1 && clock.source == .host
        for vcpu in vcpus { vcpu.state.pointee.yields_on_pause = yields ? 1 : 0 }
        return vcpu
    }

    package func setINTR(_ asserted: Bool) { vcpus.first?.localAPIC.setLINT0(asserted) }

    @discardableResult package func signalMSI(address: UInt64, data: UInt32) -> Bool {
        LocalAPIC.route(msiAddress: address, data: data, among: localAPICs)
    }

    package func setInterruptLine(_ gsi: Int, level: Bool) {}  // no chip with pins is hosted here
    package func exportChips() -> ChipStates { ChipStates() }
    package func importChips(_ state: ChipStates) {}
}

// The engine's part of one VM: a virtual machine in the kernel, with its memory slots. Interrupts are in
// `KVMVM+Interrupts.swift`.

import CKVM
import CPrimitives
import Memory
import Synchronization
import VirtualCPU
import X86

/// A VM in the kernel. Its local APICs are there too; PIC pair, I/O APIC and timer are the machine's
/// (`Docs/decisions/0007-split-irqchip.md`).
// Sendable: memory slots and vCPUs change only while no vCPU runs; what any thread may touch is behind a mutex or atomic.
final class KVMVM: EngineVM, @unchecked Sendable {
    let descriptor: Descriptor
    let capabilities: CapabilityValues
    let configuration: EngineConfiguration
    let bus: any Bus
    let clock: Clock
    /// The CPU that the guest sees.
    let model: CPUModel
    /// What this KVM's CPUs can address, in bits.
    private let physicalBits: UInt32
    /// What of KVM's paravirtual interface the guest is offered, as CPUID's leaf 40000001H says it; nil for nothing.
    let paravirtualFeatures: UInt32?
    /// The MSRs that this KVM keeps.
    let msrNumbers: [UInt32]
    /// Where PKRU lies in an XSAVE area of this host; nil if it has no protection keys.
    let pkruOffset: Int?
    let runPageSize: Int32
    /// The signal by which vCPUs are kicked.
    let kickSignal: Int32
    private(set) var vcpus: [KVMVCPU] = []

    let routes = Mutex(InterruptRoutes())
    let time = Mutex(TimeReference())

    /// A memory region and its slot in the kernel.
    struct Slot {
        var region: MemoryRegion
        var readOnly: Bool
        var logsDirtyPages = false
    }

    /// By number.
    private var slots: [Slot?] = []

    /// Where KVM puts three pages of its own on Intel CPUs that cannot run real mode, and a fourth: between the local APICs'
    /// addresses and the firmware's.
    private static let identityMapAddress: UInt64 = 0xfeff_c000
    private static let taskStateAddress: UInt = 0xfeff_d000

    init(_ configuration: EngineConfiguration) throws(EngineError) {
        let device = try KVMDevice()
        self.configuration = configuration
        bus = configuration.bus
        clock = configuration.clock
        msrNumbers = try device.msrNumbers()
        runPageSize = try device.runPageSize()
        let component = tz_cpuid(0xd, 9)
        pkruOffset = component.eax >= 4 ? Int(component.ebx) : nil
        let offered = try device.supportedCPUID()
        model = try CPUModel(describedBy: configuration.cpuModel)
            .limited(to: offered, of: "KVM", describedBy: configuration.cpuModel)
        paravirtualFeatures = configuration.isParavirtual ? Self.paravirtualFeatures(offered) : nil
        physicalBits = offered.first { $0.leaf == 0x8000_0008 }.map { $0.eax & 0xff } ?? 36
        let signal: KVMCall = "the kick signal"
        kickSignal = try signal.check(ckvm_prepare_kicks())
        descriptor = try Descriptor(retrying { ckvm_create_vm(device.descriptor.number, 0) }, from: "KVM_CREATE_VM")
        capabilities = try CapabilityValues(of: descriptor)
        try setUp()
    }

    /// Of what this KVM offers guests in leaf 40000001H, all that the software engines have, and EOIs without an exit (PV EOI,
    /// bit 6), which only the kernel has a use for.
    private static func paravirtualFeatures(_ offered: [CPUIDEntry]) -> UInt32 {
        let known = CPUModel.paravirtualFeatures | 1 << 6
        return known & (offered.first { $0.leaf == 0x4000_0001 }?.eax ?? 0)
    }

    /// What has to be said before the first vCPU.
    private func setUp() throws(EngineError) {
        let number = descriptor.number
        if capabilities.has(.identityMap) {
            let call: KVMCall = "KVM_SET_IDENTITY_MAP_ADDR"
            var address = Self.identityMapAddress
            try call.check(retrying { ckvm_set_identity_map_addr(number, &address) })
        }
        if capabilities.has(.tssAddress) {
            let call: KVMCall = "KVM_SET_TSS_ADDR"
            try call.check(retrying { ckvm_set_tss_addr(number, Self.taskStateAddress) })
        }
        let call: KVMCall = "KVM_ENABLE_CAP of KVM_CAP_SPLIT_IRQCHIP"
        var enable = kvm_enable_cap()
        enable.cap = UInt32(KVM_CAP_SPLIT_IRQCHIP)
        enable.args.0 = UInt64(InterruptRoutes.ioAPICPins)
        try call.check(retrying { ckvm_enable_cap(number, &enable) })
    }

    // MARK: Memory

    func map(_ region: MemoryRegion) throws(EngineError) {
        guard !region.readOnly || capabilities.has(.readOnlyMemory) else {
            throw EngineError("this host's KVM has no read-only memory, which firmware needs (KVM_CAP_READONLY_MEM)")
        }
        let overlaps = slots.contains { slot in
            guard let other = slot?.region else { return false }
            return region.base.rawValue < other.base.rawValue + other.size
                && other.base.rawValue < region.base.rawValue + region.size
        }
        guard !overlaps else { throw EngineError("a memory region overlaps another") }
        let free = slots.firstIndex { $0 == nil } ?? slots.count
        guard free < max(capabilities[.memorySlots], 32) else { throw EngineError("KVM has no memory slot left") }
        let slot = Slot(region: region, readOnly: region.readOnly)
        try set(free, slot, size: region.size)
        if free == slots.count { slots.append(slot) } else { slots[free] = slot }
        for vcpu in vcpus { vcpu.forgetAssistant() }
    }

    func unmap(_ region: MemoryRegion) throws(EngineError) {
        let number = try slotNumber(of: region)
        guard let slot = slots[number] else { return }
        try set(number, slot, size: 0)
        slots[number] = nil
        for vcpu in vcpus { vcpu.forgetAssistant() }
    }

    func protect(_ region: MemoryRegion, readOnly: Bool) throws(EngineError) {
        let number = try slotNumber(of: region)
        guard var slot = slots[number], slot.readOnly != readOnly else { return }
        guard capabilities.has(.readOnlyMemory) else {
            throw EngineError("this host's KVM has no read-only memory (KVM_CAP_READONLY_MEM)")
        }
        // A slot's flag for this cannot be changed: it is taken away and made anew.
        try set(number, slot, size: 0)
        slot.readOnly = readOnly
        do throws(EngineError) {
            try set(number, slot, size: region.size)
        } catch {
            slots[number] = nil
            throw error
        }
        slots[number] = slot
        for vcpu in vcpus { vcpu.forgetAssistant() }
    }

    /// Until the log is first taken nobody keeps it: then every page counts as written.
    func takeDirtyPages(_ region: MemoryRegion) throws(EngineError) -> [Int] {
        let number = try slotNumber(of: region)
        guard var slot = slots[number] else { return [] }
        let pages = Int(region.size >> pageShift)
        let own = region.dirty
        guard slot.logsDirtyPages else {
            slot.logsDirtyPages = true
            try set(number, slot, size: region.size)
            slots[number] = slot
            for page in 0..<pages { own[page] = 0 }
            return Array(0..<pages)
        }
        var bitmap = [UInt64](repeating: 0, count: (pages + 63) / 64)
        let call: KVMCall = "KVM_GET_DIRTY_LOG"
        try call.check(retrying { ckvm_get_dirty_log(descriptor.number, UInt32(number), &bitmap) })
        // Loaders, devices and assists write past the kernel, and note it here.
        return (0..<pages).filter { page in
            defer { own[page] = 0 }
            return bitmap[page / 64] >> UInt64(page % 64) & 1 != 0 || own[page] != 0
        }
    }

    private func slotNumber(of region: MemoryRegion) throws(EngineError) -> Int {
        guard let number = slots.firstIndex(where: { $0?.region.base == region.base }) else {
            throw EngineError("no such memory region")
        }
        return number
    }

    private func set(_ number: Int, _ slot: Slot, size: UInt64) throws(EngineError) {
        var flags: UInt32 = 0
        if slot.readOnly { flags |= UInt32(KVM_MEM_READONLY) }
        if slot.logsDirtyPages { flags |= UInt32(KVM_MEM_LOG_DIRTY_PAGES) }
        var region = kvm_userspace_memory_region(
            slot: UInt32(number), flags: size == 0 ? 0 : flags, guest_phys_addr: slot.region.base.rawValue,
            memory_size: size, userspace_addr: UInt64(UInt(bitPattern: slot.region.host)))
        let call: KVMCall = "KVM_SET_USER_MEMORY_REGION"
        try call.check(retrying { ckvm_set_user_memory_region(descriptor.number, &region) })
    }

    /// All regions as they are now.
    var regions: [(region: MemoryRegion, readOnly: Bool)] {
        slots.compactMap { slot in slot.map { ($0.region, $0.readOnly) } }
    }

    // MARK: vCPUs

    func makeVCPU(id: Int) throws(EngineError) -> any VirtualCPU {
        let vcpu = try KVMVCPU(id: id, vm: self)
        vcpus.append(vcpu)
        return vcpu
    }

    /// What CPUID answers on a vCPU.
    func cpuidTable(of id: Int, tscFrequency: UInt64) -> [CPUIDEntry] {
        model.cpuidTable(
            apicID: id, vcpuCount: configuration.vcpuCount, tscFrequency: tscFrequency, physicalBits: physicalBits,
            paravirtual: paravirtualFeatures)
    }
}

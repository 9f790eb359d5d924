// What a KVM may be able to do, as far as this engine makes use of it (api.rst, section 4.4 and 8): probed, never assumed.

import CKVM
import VirtualCPU

/// A capability by its name, with what it is for.
struct Capability: Sendable {
    /// Without the prefix KVM_CAP_.
    let name: String
    let number: Int32
    /// Without it the engine does not work.
    let required: Bool
    /// What the engine does with it.
    let purpose: String

    private init(_ name: String, _ number: Int32, required: Bool = false, _ purpose: String) {
        self.name = name
        self.number = number
        self.required = required
        self.purpose = purpose
    }

    static let userMemory = Capability("USER_MEMORY", KVM_CAP_USER_MEMORY, required: true, "guest memory")
    static let immediateExit = Capability(
        "IMMEDIATE_EXIT", KVM_CAP_IMMEDIATE_EXIT, required: true, "kicks that cannot be lost")
    static let extendedCPUID = Capability("EXT_CPUID", KVM_CAP_EXT_CPUID, required: true, "CPU models")
    static let mpState = Capability("MP_STATE", KVM_CAP_MP_STATE, required: true, "halted and waiting vCPUs")
    static let vcpuEvents = Capability("VCPU_EVENTS", KVM_CAP_VCPU_EVENTS, required: true, "pending events")
    static let debugRegisters = Capability("DEBUGREGS", KVM_CAP_DEBUGREGS, required: true, "debug registers")
    static let xsave = Capability("XSAVE", KVM_CAP_XSAVE, required: true, "vector state")
    static let xcrs = Capability("XCRS", KVM_CAP_XCRS, required: true, "XCR0")
    static let irqRouting = Capability(
        "IRQ_ROUTING", KVM_CAP_IRQ_ROUTING, required: true, "interrupt routes")
    static let signalMSI = Capability("SIGNAL_MSI", KVM_CAP_SIGNAL_MSI, required: true, "messages to local APICs")
    static let splitIRQChip = Capability(
        "SPLIT_IRQCHIP", KVM_CAP_SPLIT_IRQCHIP, required: true, "local APICs in the kernel")
    static let readOnlyMemory = Capability("READONLY_MEM", KVM_CAP_READONLY_MEM, "firmware, read-only memory")
    static let sregs2 = Capability("SREGS2", KVM_CAP_SREGS2, "exact PAE page-directory pointers")
    static let xsave2 = Capability("XSAVE2", KVM_CAP_XSAVE2, "vector state beyond 4 KiB")
    static let tscControl = Capability("TSC_CONTROL", KVM_CAP_TSC_CONTROL, "the machine's 1 GHz time-stamp counter")
    static let tscFrequency = Capability("GET_TSC_KHZ", KVM_CAP_GET_TSC_KHZ, "the time-stamp counter's frequency")
    static let attributes = Capability(
        "VCPU_ATTRIBUTES", KVM_CAP_VCPU_ATTRIBUTES, "a time-stamp counter that stands while the machine does")
    static let tscDeadline = Capability("TSC_DEADLINE_TIMER", KVM_CAP_TSC_DEADLINE_TIMER, "TSC deadlines")
    static let clock = Capability("ADJUST_CLOCK", KVM_CAP_ADJUST_CLOCK, "kvmclock by the machine's time")
    static let enforcedFeatures = Capability(
        "ENFORCE_PV_FEATURE_CPUID", KVM_CAP_ENFORCE_PV_FEATURE_CPUID, "no paravirtual interface where none is offered")
    static let tssAddress = Capability("SET_TSS_ADDR", KVM_CAP_SET_TSS_ADDR, "real mode on old Intel CPUs")
    static let identityMap = Capability(
        "SET_IDENTITY_MAP_ADDR", KVM_CAP_SET_IDENTITY_MAP_ADDR, "real mode on old Intel CPUs")
    static let guestDebug = Capability("SET_GUEST_DEBUG", KVM_CAP_SET_GUEST_DEBUG, "breakpoints and single steps")
    static let guestDebug2 = Capability("SET_GUEST_DEBUG2", KVM_CAP_SET_GUEST_DEBUG2, "single steps without interrupts")
    static let irqfd = Capability("IRQFD", KVM_CAP_IRQFD, "interrupts by eventfd")
    static let ioeventfd = Capability("IOEVENTFD", KVM_CAP_IOEVENTFD, "doorbells by eventfd")
    static let statistics = Capability("BINARY_STATS_FD", KVM_CAP_BINARY_STATS_FD, "exit counts")
    static let errorData = Capability(
        "INTERNAL_ERROR_DATA", KVM_CAP_INTERNAL_ERROR_DATA, "what could not be emulated")
    static let memorySlots = Capability("NR_MEMSLOTS", KVM_CAP_NR_MEMSLOTS, "memory regions")
    static let maximumVCPUs = Capability("MAX_VCPUS", KVM_CAP_MAX_VCPUS, "vCPUs")

    /// Every one of them, in the order in which they are shown.
    static let all: [Capability] = [
        userMemory, immediateExit, extendedCPUID, mpState, vcpuEvents, debugRegisters, xsave, xcrs, irqRouting,
        signalMSI,
        splitIRQChip, readOnlyMemory, sregs2, xsave2, tscControl, tscFrequency, attributes, tscDeadline, clock,
        enforcedFeatures, tssAddress,
        identityMap,
        guestDebug, guestDebug2, irqfd, ioeventfd, statistics, errorData, memorySlots, maximumVCPUs,
    ]
}

/// What this host's KVM answers for each capability: 0 for absent, otherwise 1 or a number.
struct CapabilityValues: Sendable {
    private var values: [Int32: Int32] = [:]

    /// Asks for all of them. A VM may answer more exactly than the device.
    init(of descriptor: borrowing Descriptor) throws(EngineError) {
        for capability in Capability.all {
            let call: KVMCall = "KVM_CHECK_EXTENSION"
            values[capability.number] = try call.check(
                retrying { ckvm_check_extension(descriptor.number, UInt(capability.number)) })
        }
    }

    subscript(capability: Capability) -> Int { Int(values[capability.number] ?? 0) }

    func has(_ capability: Capability) -> Bool { self[capability] > 0 }

    /// What the engine cannot do without and this KVM does not have.
    var missing: [Capability] { Capability.all.filter { $0.required && !has($0) } }
}

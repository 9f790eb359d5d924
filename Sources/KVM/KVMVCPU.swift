// One vCPU of a VM in the kernel: what it owns, how other threads reach it, and what it counts.

import CKVM
import Synchronization
import VirtualCPU
import X86

/// A vCPU in the kernel.
// Sendable: all but `kick()`, `lookUp()` and the atomics belongs to the one thread that runs the vCPU.
final class KVMVCPU: VirtualCPU, @unchecked Sendable {
    let id: Int
    unowned let vm: KVMVM
    // What every exit needs is at hand here: a way through `vm` would count references.
    let bus: any Bus
    /// Level of the PIC pair's INTR line; the bootstrap processor's only.
    let intr = Atomic<Bool>(false)
    let descriptor: Descriptor
    let page: RunPage
    /// The signal by which its thread is kicked; kicks may come when the VM has gone.
    private let kickSignal: Int32
    /// Frequency of the guest's time-stamp counter, in Hz.
    let tscFrequency: UInt64

    /// Somebody wants `run` to return.
    private let kicked = Atomic<Bool>(false)
    /// The thread in `run`; 0 while none is.
    private let thread = Atomic<Int32>(0)
    /// An access that left the kernel is complete only when the vCPU is entered again.
    var completesAccess = false
    /// A triple fault has come: only new state leads out.
    var isShutDown = false
    /// The host's time minus the machine's, when the guest's time-stamp counter last followed it.
    var followedGap: UInt64 = 0
    /// This KVM leaves the guest's counter at the host's, whatever it is told.
    var counterIsFixed = false
    /// The TSC deadline that was taken from the local APIC's timer when the vCPU was last stopped, and the counter then; nil
    /// if there was none.
    var heldDeadline: (deadline: UInt64, counter: UInt64)?
    /// What a vCPU's state has and KVM does not keep.
    var aside = StateAside()
    /// Executes what the kernel cannot.
    var assistant: Assistant?
    /// What a debugger wants of this vCPU.
    var debug = DebugRequest()

    /// Things that happened.
    struct Tallies {
        var portAccesses: UInt64 = 0
        var mmioAccesses: UInt64 = 0
        var assists: UInt64 = 0
        var kicks: UInt64 = 0
    }

    var tallies = Tallies()
    let statistics: Statistics?

    init(id: Int, vm: KVMVM) throws(EngineError) {
        self.id = id
        self.vm = vm
        bus = vm.bus
        kickSignal = vm.kickSignal
        let number = vm.descriptor.number
        descriptor = try Descriptor(retrying { ckvm_create_vcpu(number, UInt(id)) }, from: "KVM_CREATE_VCPU")
        page = try RunPage(vcpu: descriptor, size: vm.runPageSize)
        tscFrequency = try Self.setTSCFrequency(of: descriptor, vm.capabilities)
        statistics = vm.capabilities.has(.statistics) ? try Statistics(of: descriptor) : nil
        try setCPUID()
        try importState(CPUState(apicID: UInt32(id)))
    }

    /// Gives the guest the time-stamp counter that machines of all engines have, where the host's can be scaled; otherwise it
    /// is the host's own. The frequency in Hz.
    private static func setTSCFrequency(
        of descriptor: borrowing Descriptor, _ capabilities: CapabilityValues
    ) throws(EngineError) -> UInt64 {
        if capabilities.has(.tscControl), ckvm_set_tsc_khz(descriptor.number, UInt(Clock.tscFrequency / 1000)) >= 0 {
            return Clock.tscFrequency
        }
        guard capabilities.has(.tscFrequency) else { return Clock.tscFrequency }
        let call: KVMCall = "KVM_GET_TSC_KHZ"
        return UInt64(try call.check(retrying { ckvm_get_tsc_khz(descriptor.number) })) * 1000
    }

    private func setCPUID() throws(EngineError) {
        let entries = vm.cpuidTable(of: id, tscFrequency: tscFrequency).map { entry in
            var native = kvm_cpuid_entry2()
            native.function = entry.leaf
            native.index = entry.subleaf
            native.flags = entry.hasSubleaves ? CKVM_CPUID_FLAG_SIGNIFICANT_INDEX : 0
            (native.eax, native.ebx, native.ecx, native.edx) = (entry.eax, entry.ebx, entry.ecx, entry.edx)
            return native
        }
        let call: KVMCall = "KVM_SET_CPUID2"
        try call.check(retrying { ckvm_set_cpuid2(descriptor.number, entries, UInt32(entries.count)) })
        // Without this the guest may use what CPUID does not offer.
        guard vm.capabilities.has(.enforcedFeatures) else { return }
        let enforcing: KVMCall = "KVM_ENABLE_CAP of KVM_CAP_ENFORCE_PV_FEATURE_CPUID"
        var enable = kvm_enable_cap()
        enable.cap = UInt32(KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
        enable.args.0 = 1
        try enforcing.check(retrying { ckvm_enable_cap(descriptor.number, &enable) })
    }

    // MARK: Other threads

    func kick() {
        kicked.store(true, ordering: .sequentiallyConsistent)
        lookUp()
    }

    /// Makes the vCPU leave the guest and look at what has been set before this call: it leaves at once, or does not
    /// enter, or looks before it does.
    func lookUp() {
        let running = thread.load(ordering: .sequentiallyConsistent)
        // In a callback of the bus, the vCPU's own thread looks before it enters again.
        guard running != 0, running != ckvm_thread() else { return }
        // First what keeps the vCPU out, then what takes it out: a signal that comes before KVM_RUN finds the flag set.
        ckvm_request_exit(page.pointer)
        ckvm_kick_thread(running, kickSignal)
    }

    /// Whether a kick has come; it is taken with that.
    func takeKick() -> Bool {
        guard kicked.load(ordering: .sequentiallyConsistent) else { return false }
        kicked.store(false, ordering: .sequentiallyConsistent)
        return true
    }

    var isKicked: Bool { kicked.load(ordering: .sequentiallyConsistent) }

    func beginRunning() {
        _ = ckvm_prepare_kicks()
        thread.store(ckvm_thread(), ordering: .sequentiallyConsistent)
    }

    func endRunning() { thread.store(0, ordering: .sequentiallyConsistent) }

    /// A halted or waiting vCPU waits in the kernel, within `run`.
    func waitForEvent(nanoseconds: UInt64?) {}

    // MARK: Counters

    func counters() -> Counters {
        var counters = Counters()
        counters.portAccesses = tallies.portAccesses
        counters.mmioAccesses = tallies.mmioAccesses
        counters.assists = tallies.assists
        counters.kicks = tallies.kicks
        statistics?.add(to: &counters)
        return counters
    }
}

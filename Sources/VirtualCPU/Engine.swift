// The contract between the machine and the ways to run a CPU. A machine holds these protocols only; which engine stands
// behind them is decided in `Trapeze`.

import Memory

/// A way of running guest instructions: one of the modes of CPU virtualization.
public protocol Engine: Sendable {
    /// The name on the command line, such as `interpret`.
    var name: String { get }
    /// What the literature calls it, in one line.
    var summary: String { get }
    /// Whether the engine can run on this host, and if not why.
    func probe() -> EngineAvailability
    /// Makes the engine's part of a virtual machine, with no memory mapped and no vCPU.
    func makeVM(_ configuration: EngineConfiguration) throws(EngineError) -> any EngineVM
}

/// An engine that works where it is slow, too: `auto` asks it first.
public protocol ChosenBySpeed: Engine {
    /// Why `auto` is not to take it though it works here, in one line; nil if it may. Not for every call: it may take a while.
    func reasonAgainstAutomaticChoice() -> String?
}

/// What `Engine.probe()` found.
public enum EngineAvailability: Sendable, Equatable {
    /// The engine works here.
    case available(EngineCapabilities)
    /// The engine cannot run here; the reason in one line.
    case unavailable(reason: String)
}

/// What an engine offers beyond running instructions.
public struct EngineCapabilities: Sendable, Equatable {
    /// The chips that the engine hosts; the machine supplies the others.
    public var hostedChips: HostedChips
    /// Whether counted guest instructions can drive the clock (deterministic runs).
    public var instructionClock: Bool
    /// The largest number of vCPUs.
    public var maximumVCPUs: Int
    /// The events that it can tell a trace.
    public var traceEvents: TraceKinds

    /// Makes a description of an engine's abilities.
    public init(
        hostedChips: HostedChips, instructionClock: Bool, maximumVCPUs: Int, traceEvents: TraceKinds = []
    ) {
        self.hostedChips = hostedChips
        self.instructionClock = instructionClock
        self.maximumVCPUs = maximumVCPUs
        self.traceEvents = traceEvents
    }
}

/// Interrupt chips and timers that an engine emulates itself.
public struct HostedChips: OptionSet, Sendable {
    /// The bits.
    public let rawValue: UInt8
    /// Makes a set of chips.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The local APIC of each vCPU.
    public static let localAPIC = HostedChips(rawValue: 1 << 0)
    /// The I/O APIC.
    public static let ioAPIC = HostedChips(rawValue: 1 << 1)
    /// The pair of 8259A interrupt controllers.
    public static let pic = HostedChips(rawValue: 1 << 2)
    /// The 8254 interval timer.
    public static let pit = HostedChips(rawValue: 1 << 3)
}

/// What an engine must know to make its part of a VM.
public struct EngineConfiguration: Sendable {
    /// The CPU model as named on the command line: `host`, `x86-64-v1`, `x86-64-v2`, `x86-64-v3`, `max`.
    public var cpuModel: String
    /// Number of vCPUs the VM will have, 1 or more.
    public var vcpuCount: Int
    /// The one source of time.
    public var clock: Clock
    /// Guest RAM, for engines that watch writes from outside the vCPUs.
    public var memory: GuestMemory
    /// The machine's ports, MMIO and interrupt acknowledge.
    public var bus: any Bus
    /// Takes traced events, if anything is traced. An engine tells it of those kinds that its capabilities name.
    public var trace: (any TraceSink)?
    /// Whether guests are offered KVM's paravirtual interface: its CPUID leaves, MSRs and hypercalls.
    public var isParavirtual: Bool
    /// The date at the clock's zero, in nanoseconds since 1970 UTC, for a guest that asks through that interface.
    public var startDate: UInt64

    /// Makes a configuration.
    public init(
        cpuModel: String, vcpuCount: Int, clock: Clock, memory: GuestMemory, bus: any Bus,
        trace: (any TraceSink)? = nil, isParavirtual: Bool = false, startDate: UInt64 = 0
    ) {
        self.cpuModel = cpuModel
        self.vcpuCount = vcpuCount
        self.clock = clock
        self.memory = memory
        self.bus = bus
        self.trace = trace
        self.isParavirtual = isParavirtual
        self.startDate = startDate
    }
}

/// The engine's part of one VM: memory slots, interrupt entry, and what its vCPUs share.
public protocol EngineVM: AnyObject, Sendable {
    /// Makes guest-physical addresses of `region` refer to its host memory. Regions don't overlap.
    func map(_ region: MemoryRegion) throws(EngineError)
    /// Takes a region away again; accesses to it then go to the bus.
    func unmap(_ region: MemoryRegion) throws(EngineError)
    /// Makes a mapped region read-only to the guest, whose writes then go to the bus, or writable again. Only while no vCPU
    /// runs.
    func protect(_ region: MemoryRegion, readOnly: Bool) throws(EngineError)
    /// Takes the dirty log of a mapped region: the numbers of the pages, from its start, that were written since the log was
    /// last taken. Only while no vCPU runs.
    func takeDirtyPages(_ region: MemoryRegion) throws(EngineError) -> [Int]
    /// Makes the vCPU with the given local APIC ID. The first, 0, is the bootstrap processor.
    func makeVCPU(id: Int) throws(EngineError) -> any VirtualCPU
    /// Drives the INTR line of the PIC pair into the bootstrap processor's LINT0. Any thread.
    func setINTR(_ asserted: Bool)
    /// Delivers a message-signalled interrupt (SDM volume 3, section 11.11); I/O APICs send theirs as messages too. Any
    /// thread. Returns false when no local APIC accepted it.
    @discardableResult func signalMSI(address: UInt64, data: UInt32) -> Bool
    /// Sets the level of a global system interrupt of chips that the engine hosts. Any thread.
    func setInterruptLine(_ gsi: Int, level: Bool)
    /// State of the interrupt chips that the engine hosts outside its vCPUs; nil for those it does not.
    func exportChips() throws(EngineError) -> ChipStates
    /// Takes such state in.
    func importChips(_ state: ChipStates) throws(EngineError)
}

/// One virtual CPU. All calls but `kick()` belong to the thread that runs it.
public protocol VirtualCPU: AnyObject, Sendable {
    /// The local APIC ID.
    var id: Int { get }
    /// Runs until something needs a decision, or `budget` guest instructions have retired (exactly, where the engine
    /// can count them; nil is without limit). A spent budget ends the run before anything else is looked at: an interrupt or
    /// a fault that comes then is delivered by the next run.
    ///
    /// With a clock that counts instructions, its time is exact whenever the bus, a local APIC or the guest looks at it;
    /// and an interrupt that the guest brings about itself, by an access to a device, is delivered before the next
    /// instruction that may take it. A repeated string instruction counts once for each 4 KiB that it moves.
    func run(budget: UInt64?) -> Exit
    /// Makes a running or the next `run` return `.kicked` soon. Any thread; never lost.
    func kick()
    /// Blocks after `.halted` until an interrupt may be deliverable, a kick, or the deadline (nanoseconds of host
    /// monotonic time from now; nil for none).
    func waitForEvent(nanoseconds: UInt64?)
    /// The architectural state, between instructions.
    func exportState() throws(EngineError) -> CPUState
    /// Replaces the architectural state.
    func importState(_ state: CPUState) throws(EngineError)
    /// Replaces what a debugger wants of this vCPU. It holds for every `run` until it is replaced again.
    ///
    /// - Throws: if the engine cannot do as much; nothing has changed then.
    func setDebugControl(_ control: DebugControl) throws(EngineError)
    /// The counters so far.
    func counters() -> Counters
}

/// The machine as a vCPU sees it. Calls come on vCPU threads, in the middle of an instruction: nothing may export state
/// there; `VirtualCPU.kick()` asks for a stop after the instruction.
public protocol Bus: AnyObject, Sendable {
    /// IN: reads `size` bytes (1, 2 or 4) from a port. Unclaimed ports read as all ones.
    func readPort(_ port: UInt16, size: Int) -> UInt32
    /// OUT: writes the low `size` bytes (1, 2 or 4) of `value` to a port.
    func writePort(_ port: UInt16, size: Int, value: UInt32)
    /// Reads `size` bytes (1, 2, 4 or 8) at a guest-physical address with no memory behind it.
    func readMMIO(_ address: UInt64, size: Int) -> UInt64
    /// Writes `size` bytes (1, 2, 4 or 8) at a guest-physical address with no memory (or read-only memory) behind it.
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64)
    /// The INTA cycle: the vector of the PIC pair's interrupt.
    func acknowledgeInterrupt() -> UInt8
    /// An EOI of a level-triggered vector, broadcast to the I/O APICs.
    func endOfInterrupt(vector: UInt8)
}

// What a debugger asks of a vCPU, and what it is told: the part of the contract by which an engine lets someone outside of
// the guest stop it. None of it is architecture: the guest's own debug registers, TF and exceptions go on as if nobody
// watched, and an engine that uses the host's debug registers has to keep the two apart.

/// An area of memory that a debugger watches, by linear address.
public struct Watchpoint: Hashable, Sendable {
    /// The accesses that count.
    public enum Kind: Hashable, Sendable {
        /// Writes; an engine need not find out whether they change anything.
        case write
        /// Reads, the read half of a read-modify-write among them.
        case read
        /// Both.
        case access
    }

    /// Linear address of the first byte.
    public var address: UInt64
    /// Size in bytes, 1 or more.
    public var size: UInt64
    /// What counts.
    public var kind: Kind

    /// Makes a watchpoint.
    public init(address: UInt64, size: UInt64, kind: Kind) {
        self.address = address
        self.size = size
        self.kind = kind
    }
}

/// Everything that a debugger wants of one vCPU; the initial value is nothing.
public struct DebugControl: Equatable, Sendable {
    /// Linear addresses of instructions before which the vCPU is to stop, whichever address space is current. One at the
    /// place where `run` begins counts too: who wants to pass it takes it out and steps.
    public var breakpoints: Set<UInt64> = []
    /// Memory that is watched. The vCPU stops after the instruction that touched it; a repeated string instruction, after
    /// the iteration.
    public var watchpoints: Set<Watchpoint> = []
    /// Whether to stop after one instruction: it retired (or one iteration of a repeated one did), or it faulted and the
    /// next is the first of a handler. A halted vCPU stops when an event has woken it.
    public var singleStep = false
    /// Whether external interrupts and NMIs wait during a single step, so that it leads to the next instruction of the
    /// program and not into a handler. What wakes a halted vCPU is let through.
    public var holdsInterrupts = true

    /// Nothing is asked for.
    public init() {}
}

/// Why a vCPU stopped for the debugger. The state is that between two instructions.
public enum DebugStop: Equatable, Sendable {
    /// The single step is done.
    case step
    /// The instruction at this linear address is next.
    case breakpoint(UInt64)
    /// The instruction before accessed watched memory, at `address` first.
    case watchpoint(Watchpoint, address: UInt64)
}

// MARK: Whole machines

/// What a debugger lets a vCPU do.
public enum DebugAction: Equatable, Sendable {
    /// Stand still.
    case hold
    /// Run on.
    case run
    /// Execute one instruction.
    case step
}

/// Why the vCPUs of a machine stand for the debugger.
public enum DebugEvent: Equatable, Sendable {
    /// It asked for it.
    case asked
    /// A vCPU met what it was told to stop at.
    case stopped(vcpu: Int, DebugStop)
    /// A vCPU is in the shutdown state; the run ends when it goes on.
    case tripleFault(vcpu: Int)
}

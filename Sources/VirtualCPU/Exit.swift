// Why a vCPU stopped running. Port and MMIO accesses are not exits: they go to the `Bus` while the vCPU runs.

/// The reason for which `VirtualCPU.run(budget:)` returned; each needs a decision of the machine's.
public enum Exit: Sendable, Equatable {
    /// HLT (or MWAIT) with no interrupt pending; goes on when one arrives, and `run` may be called at any time.
    case halted
    /// A triple fault (SDM volume 3, section 7.15): the CPU is in the shutdown state.
    case shutdown
    /// A stop that was asked for by `VirtualCPU.setDebugControl(_:)`.
    case debug(DebugStop)
    /// `kick()` was called, or a bus callback asked for a stop. The current instruction is complete.
    case kicked
    /// The budget of guest instructions is spent.
    case budgetSpent
    /// An application processor that waits for a startup IPI.
    case waitingForStartup
    /// The engine cannot go on; the text says why.
    case failed(EngineError)
}

/// An error of an engine's, as opposed to an event of the guest's.
public struct EngineError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What happened, in one line.
    public var description: String

    /// Wraps a one-line message.
    public init(_ description: String) { self.description = description }
}

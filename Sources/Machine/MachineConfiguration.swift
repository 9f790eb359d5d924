// What a machine is made of, complete and checked by whoever fills it in.

import VirtualCPU

/// The definition of a machine.
public struct MachineConfiguration: Sendable {
    /// What it starts from.
    public var boot: BootSource
    /// Guest RAM in bytes.
    public var memorySize: UInt64
    /// Number of vCPUs.
    public var cpuCount: Int
    /// Name of the CPU model.
    public var cpuModel: String
    /// What drives its time.
    public var clockSource: Clock.Source
    /// The CMOS clock's date at the machine's time 0, in nanoseconds since 1970 UTC.
    public var date: UInt64
    /// Turns a value written to the exit port into the exit status.
    public var exitStatus: @Sendable (UInt32) -> UInt8
    /// Takes what the guest sends through COM1. Called with the device model locked: hand the bytes on and return.
    public var serialOutput: @Sendable ([UInt8]) -> Void
    /// Whether COM1's input waits until the guest has lowered DTR and raised it again.
    public var holdsSerialInput: Bool
    /// Takes what the guest writes to the debug console, likewise.
    public var debugOutput: @Sendable ([UInt8]) -> Void
    /// Takes what is traced.
    public var trace: (any TraceSink)?
    /// Whether the guest is offered KVM's paravirtual interface.
    public var isParavirtual: Bool

    /// Makes a definition.
    public init(
        boot: BootSource, memorySize: UInt64, cpuCount: Int = 1, cpuModel: String = "host",
        clockSource: Clock.Source = .host, date: UInt64,
        exitStatus: @escaping @Sendable (UInt32) -> UInt8 = { UInt8(truncatingIfNeeded: $0) },
        serialOutput: @escaping @Sendable ([UInt8]) -> Void = { _ in }, holdsSerialInput: Bool = false,
        debugOutput: @escaping @Sendable ([UInt8]) -> Void = { _ in }, trace: (any TraceSink)? = nil,
        isParavirtual: Bool = true
    ) {
        self.boot = boot
        self.memorySize = memorySize
        self.cpuCount = cpuCount
        self.cpuModel = cpuModel
        self.clockSource = clockSource
        self.date = date
        self.exitStatus = exitStatus
        self.serialOutput = serialOutput
        self.holdsSerialInput = holdsSerialInput
        self.debugOutput = debugOutput
        self.trace = trace
        self.isParavirtual = isParavirtual
    }
}

/// What kept a machine from being made, or a state from being moved, in one line.
public enum MachineError: Error, Sendable, CustomStringConvertible {
    /// Guest memory.
    case memory(GuestMemoryFailure)
    /// Loading what it boots.
    case boot(BootError)
    /// The engine.
    case engine(EngineError)
    /// A state that does not belong to this machine, or a defect of the wiring.
    case state(String)

    /// The text of a guest memory error.
    public struct GuestMemoryFailure: Sendable {
        /// The message.
        public let message: String
    }

    /// The message in one line.
    public var description: String {
        switch self {
        case .memory(let failure): failure.message
        case .boot(let error): error.description
        case .engine(let error): error.description
        case .state(let message): message
        }
    }
}

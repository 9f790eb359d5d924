// What can be traced, by the names that users write: `exceptions,interrupts,cr,msr,port,mmio,instructions`.

/// A set of kinds of events.
public struct TraceKinds: OptionSet, Sendable, Hashable {
    /// The bits.
    public let rawValue: UInt8
    /// Makes a set from its bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Exceptions delivered to the guest.
    public static let exceptions = TraceKinds(rawValue: 1 << 0)
    /// External interrupts, NMIs, software interrupts, INIT and startup IPIs, as a vCPU takes them.
    public static let interrupts = TraceKinds(rawValue: 1 << 1)
    /// Writes to control registers, XCR0 included.
    public static let controlRegisters = TraceKinds(rawValue: 1 << 2)
    /// RDMSR and WRMSR.
    public static let msrs = TraceKinds(rawValue: 1 << 3)
    /// IN, OUT, INS and OUTS.
    public static let ports = TraceKinds(rawValue: 1 << 4)
    /// Accesses to addresses without memory behind them, the local APIC's registers among them.
    public static let mmio = TraceKinds(rawValue: 1 << 5)
    /// Every instruction that retires.
    public static let instructions = TraceKinds(rawValue: 1 << 6)

    /// Everything but single instructions.
    public static let all: TraceKinds = [.exceptions, .interrupts, .controlRegisters, .msrs, .ports, .mmio]

    /// Each kind with its name, in the order in which lists show them.
    public static let named: [(name: String, events: TraceKinds)] = [
        ("exceptions", .exceptions), ("interrupts", .interrupts), ("cr", .controlRegisters), ("msr", .msrs),
        ("port", .ports), ("mmio", .mmio), ("instructions", .instructions),
    ]

    /// The names of the kinds in the set.
    public var names: [String] { Self.named.filter { contains($0.events) }.map(\.name) }
}

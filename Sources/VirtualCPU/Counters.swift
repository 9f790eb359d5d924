// One schema of counters for every engine, so that runs can be compared. What an engine can't know is nil, never 0.

/// Counters of one vCPU, or of a VM as their sum.
public struct Counters: Equatable, Codable, Sendable {
    /// Guest instructions retired.
    public var instructions: UInt64?
    /// Reads and writes of ports.
    public var portAccesses: UInt64?
    /// Accesses to guest-physical addresses without memory behind them.
    public var mmioAccesses: UInt64?
    /// HLT instructions executed.
    public var halts: UInt64?
    /// Exceptions delivered to the guest (page faults among them).
    public var exceptions: UInt64?
    /// Page faults delivered to the guest.
    public var pageFaults: UInt64?
    /// External interrupts and NMIs delivered.
    public var interrupts: UInt64?
    /// Times that a pending interrupt had to wait for the guest to take it.
    public var interruptWindows: UInt64?
    /// Accesses to control registers.
    public var controlRegisterAccesses: UInt64?
    /// RDMSR and WRMSR.
    public var msrAccesses: UInt64?
    /// CPUID instructions.
    public var cpuidInstructions: UInt64?
    /// VMCALL and VMMCALL.
    public var hypercalls: UInt64?
    /// Misses of the software TLB.
    public var tlbMisses: UInt64?
    /// Flushes of the software TLB.
    public var tlbFlushes: UInt64?
    /// Decoded or translated blocks made.
    public var blocksDecoded: UInt64?
    /// Pages whose decoded or translated code was thrown away because the guest wrote to them.
    public var codeInvalidations: UInt64?
    /// Times that a translating engine looked for the block at the current place.
    public var lookups: UInt64?
    /// Host time for finding blocks that were decoded already, in nanoseconds; this and the following are known only if they
    /// were asked for.
    public var lookupNanoseconds: UInt64?
    /// Host time for finding and decoding blocks that were not.
    public var decodeNanoseconds: UInt64?
    /// Host time for making operations of instructions, and for the passes over them.
    public var lowerNanoseconds: UInt64?
    /// Host time for encoding operations.
    public var encodeNanoseconds: UInt64?
    /// Host time for linking blocks.
    public var linkNanoseconds: UInt64?
    /// Host time in generated code and in the handlers that it calls.
    public var executeNanoseconds: UInt64?
    /// Host time in the interpreter that a translating engine falls back to.
    public var interpretNanoseconds: UInt64?
    /// Host time for interrupts and requests between two blocks.
    public var eventNanoseconds: UInt64?
    /// Blocks translated to host code.
    public var blocksTranslated: UInt64?
    /// Blocks that a translating engine interpreted instead.
    public var blocksInterpreted: UInt64?
    /// Times that generated code was entered.
    public var generatedCodeEntries: UInt64?
    /// Jumps between translated blocks that were linked.
    public var linksMade: UInt64?
    /// Links that were cut because blocks went or addresses led elsewhere.
    public var linksCut: UInt64?
    /// Times that the CPU left guest mode for the host.
    public var exits: UInt64?
    /// Instructions that the host's kernel emulated.
    public var emulatedInstructions: UInt64?
    /// Instructions that the kernel could not emulate, and the interpreter executed.
    public var assists: UInt64?
    /// Times that `run` returned because of a kick.
    public var kicks: UInt64?

    /// No counter known.
    public init() {}

    /// The sum of two vCPUs' counters; unknown where either is unknown.
    public static func + (a: Counters, b: Counters) -> Counters {
        func sum(_ field: KeyPath<Counters, UInt64?>) -> UInt64? {
            guard let x = a[keyPath: field], let y = b[keyPath: field] else { return nil }
            return x &+ y
        }
        var total = Counters()
        for field in Counters.fields { total[keyPath: field.path] = sum(field.path) }
        return total
    }

    /// Every counter with its documented key, in the order in which reports list them.
    public static var fields: [(key: String, path: WritableKeyPath<Counters, UInt64?>)] {
        [
            ("instructions", \.instructions), ("portAccesses", \.portAccesses), ("mmioAccesses", \.mmioAccesses),
            ("halts", \.halts), ("exceptions", \.exceptions), ("pageFaults", \.pageFaults),
            ("interrupts", \.interrupts), ("interruptWindows", \.interruptWindows),
            ("controlRegisterAccesses", \.controlRegisterAccesses), ("msrAccesses", \.msrAccesses),
            ("cpuidInstructions", \.cpuidInstructions), ("hypercalls", \.hypercalls), ("tlbMisses", \.tlbMisses),
            ("tlbFlushes", \.tlbFlushes), ("blocksDecoded", \.blocksDecoded),
            ("codeInvalidations", \.codeInvalidations), ("blocksTranslated", \.blocksTranslated),
            ("blocksInterpreted", \.blocksInterpreted), ("lookups", \.lookups),
            ("lookupNanoseconds", \.lookupNanoseconds),
            ("decodeNanoseconds", \.decodeNanoseconds), ("lowerNanoseconds", \.lowerNanoseconds),
            ("encodeNanoseconds", \.encodeNanoseconds), ("linkNanoseconds", \.linkNanoseconds),
            ("executeNanoseconds", \.executeNanoseconds), ("interpretNanoseconds", \.interpretNanoseconds),
            ("eventNanoseconds", \.eventNanoseconds), ("generatedCodeEntries", \.generatedCodeEntries),
            ("linksMade", \.linksMade), ("linksCut", \.linksCut), ("exits", \.exits),
            ("emulatedInstructions", \.emulatedInstructions), ("assists", \.assists), ("kicks", \.kicks),
        ]
    }
}

// Which counters tell of the guest, and which of the engine: reports list them apart.

extension Counters {
    /// What makes a guest leave its ordinary course, by reason: what a hypervisor is entered for.
    public static var exits: [(key: String, path: WritableKeyPath<Counters, UInt64?>)] {
        let reasons: Set<WritableKeyPath<Counters, UInt64?>> = [
            \.portAccesses, \.mmioAccesses, \.halts, \.exceptions, \.pageFaults, \.interrupts, \.interruptWindows,
            \.controlRegisterAccesses, \.msrAccesses, \.cpuidInstructions, \.hypercalls,
        ]
        return fields.filter { reasons.contains($0.path) }
    }

    /// The engine's own work: all others but the guest's instructions.
    public static var work: [(key: String, path: WritableKeyPath<Counters, UInt64?>)] {
        let others = Set(exits.map(\.key) + ["instructions"])
        return fields.filter { !others.contains($0.key) }
    }
}

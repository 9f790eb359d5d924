// Full virtualization by interpretation: the reference among the engines.

import VirtualCPU

/// Runs guest instructions one by one, in Swift.
public struct InterpretEngine: Engine {
    /// Makes the engine.
    public init() {}

    /// `interpret`.
    public var name: String { "interpret" }

    /// What the literature calls it.
    public var summary: String { "full virtualization by interpretation: the reference" }

    /// Works on every x86-64 host that gives executable memory, for the stubs of vector and floating-point instructions.
    public func probe() -> EngineAvailability {
        switch NativeCode.shared {
        case .success:
            .available(
                EngineCapabilities(
                    hostedChips: .localAPIC, instructionClock: true, maximumVCPUs: 64,
                    traceEvents: TraceKinds.all.union(.instructions)))
        case .failure(let error): .unavailable(reason: error.description)
        }
    }

    /// Makes a VM's software part.
    public func makeVM(_ configuration: EngineConfiguration) throws(EngineError) -> any EngineVM {
        try SoftwareVM.make(configuration)
    }
}

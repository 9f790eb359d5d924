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

    /// Works on every x86-64 host.
    public func probe() -> EngineAvailability {
        .available(EngineCapabilities(hostedChips: .localAPIC, instructionClock: true, maximumVCPUs: 64))
    }

    /// Makes a VM's software part.
    public func makeVM(_ configuration: EngineConfiguration) throws(EngineError) -> any EngineVM {
        let vm = try SoftwareVM(configuration)
        configuration.memory.observeWrites { [weak vm] address, size in
            vm?.codeBytesWritten(address.rawValue, size: size, by: nil)
        }
        return vm
    }
}

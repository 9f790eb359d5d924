// Full virtualization by dynamic binary translation.

import CPrimitives
import VirtualCPU
import X86

/// Translates guest code to host code, block by block, as it is met.
public struct TranslateEngine: Engine {
    /// How often a block is interpreted before it is translated.
    private let threshold: UInt32
    /// Who looks at what is translated.
    package var observation = TranslationObservation()

    /// Makes the engine. 2 took longer for short programs; 5, 8, 12 and 16 did not tell from each other (a boot and gcc).
    public init() { self.init(threshold: 5) }

    /// Makes an engine that translates a block when it has been interpreted so many times.
    package init(threshold: UInt32) { self.threshold = threshold }

    /// `translate`.
    public var name: String { "translate" }

    /// What the literature calls it.
    public var summary: String { "full virtualization by dynamic binary translation" }

    /// Works on x86-64 hosts with AVX that give executable memory.
    public func probe() -> EngineAvailability {
        // OSXSAVE and AVX: vector registers are kept whole.
        guard tz_cpuid(1, 0).ecx >> 27 & 3 == 3 else { return .unavailable(reason: "the host's CPU has no AVX") }
        switch InterpretEngine().probe() {
        case .unavailable(let reason): return .unavailable(reason: reason)
        case .available(let capabilities): return .available(capabilities)
        }
    }

    /// Makes a VM's part.
    public func makeVM(_ configuration: EngineConfiguration) throws(EngineError) -> any EngineVM {
        TranslatedVM(try SoftwareVM.make(configuration), threshold: threshold, observation)
    }
}

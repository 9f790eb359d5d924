// The engines that the suite runs on: all of the registry's, those that do not work on this host included, which are
// skipped with the reason.

import Guests
import Testing
import Trapeze
import VirtualCPU

/// An engine, as an argument of tests.
struct TestEngine: Sendable, CustomTestStringConvertible {
    let engine: any Engine

    var testDescription: String { engine.name }

    static let all = EngineRegistry.engines.map(TestEngine.init)

    /// Those that can drive the clock by counted instructions, so that their runs are identical.
    static let counting = all.filter { $0.capabilities?.instructionClock ?? true }

    private var capabilities: EngineCapabilities? {
        guard case .available(let capabilities) = engine.probe() else { return nil }
        return capabilities
    }

    /// Skips the test that asks if the engine does not work here.
    func require() throws {
        if case .unavailable(let reason) = engine.probe() {
            try Test.cancel("the engine '\(engine.name)' does not work here: \(reason)")
        }
    }
}

extension EmbeddedGuest: CustomTestStringConvertible {
    /// The guest's name.
    public var testDescription: String { name }
}

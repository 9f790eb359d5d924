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

    /// What a test asks of an engine.
    enum Need {
        /// That it is there.
        case engine
        /// That the guest's kernel code runs as on a CPU. A KVM that emulates it does so in parts: what it leaves out, and
        /// what it gets wrong, is not this program's.
        case wholeCPU
    }

    /// The reason against an engine, once for all tests: it takes a measurement.
    private static let emulation: [String: String] = Dictionary(
        uniqueKeysWithValues: all.compactMap { test in
            guard case .available = test.engine.probe() else { return nil }
            return (test.engine as? any ChosenBySpeed)?.reasonAgainstAutomaticChoice().map { (test.engine.name, $0) }
        })

    /// Why the engine cannot give a test what it needs; nil if it can.
    func obstacle(to need: Need) -> String? {
        if case .unavailable(let reason) = engine.probe() {
            return "the engine '\(engine.name)' does not work here: \(reason)"
        }
        guard need == .wholeCPU, let reason = Self.emulation[engine.name] else { return nil }
        return "the engine '\(engine.name)' cannot show it here: \(reason)"
    }

    /// Skips the test that asks if the engine does not offer what it needs.
    func require(_ need: Need = .engine) throws {
        if let reason = obstacle(to: need) { try Test.cancel("\(reason)") }
    }
}

extension EmbeddedGuest {
    /// Guests that a KVM that emulates kernel code runs as they are. The others look at what such an emulator leaves out:
    /// limits, privileges, debug exceptions, interrupts between two instructions.
    private static let modest: Set<String> = [
        "exit-status", "reset", "triple-fault", "panic", "halt", "assists",
    ]

    /// What this guest asks of an engine.
    var need: TestEngine.Need { Self.modest.contains(name) ? .engine : .wholeCPU }
}

extension EmbeddedGuest: CustomTestStringConvertible {
    /// The guest's name.
    public var testDescription: String { name }
}

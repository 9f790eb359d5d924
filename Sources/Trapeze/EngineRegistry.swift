// The one place that names every engine, and where `auto` decides. A new engine is one more line in `engines`.

import KVM
import Translator
import VirtualCPU
import X86

/// Which engine runs a machine.
public enum EngineSelection: Sendable, Equatable {
    /// The best one that works on this host.
    case auto
    /// The one with this name, or none: an engine asked for by name never gives way to another.
    case named(String)

    /// The selection that a user writes: `auto` or an engine's name.
    public init(_ text: String) { self = text == "auto" ? .auto : .named(text) }
}

/// What is known about an engine on this host.
public struct EngineStatus: Sendable {
    /// What became of it.
    public enum Availability: Sendable, Equatable {
        /// It works here.
        case available
        /// It is part of this version but does not work here, for the reason given.
        case unavailable(reason: String)
        /// It has a name, but is not part of this version.
        case notBuilt
    }

    /// The name on the command line.
    public let name: String
    /// What the literature calls this mode of virtualization.
    public let summary: String
    /// Whether it works on this host.
    public let availability: Availability
}

/// The engine that was chosen, and why.
public struct EngineDecision: Sendable {
    /// The name of the engine.
    public let name: String
    /// The reason in a few words, for the user to read.
    public let reason: String
    /// The engine itself.
    let engine: any Engine

    /// The same engine, observed as a configuration wants it.
    func observed(as configuration: VirtualMachineConfiguration) throws(ConfigurationError) -> EngineDecision {
        guard configuration.timesStages || configuration.performanceMap != nil else { return self }
        guard var engine = engine as? TranslateEngine else {
            guard configuration.performanceMap == nil else {
                throw ConfigurationError(
                    .invalidValue, "a perf map names the code of engine 'translate'; this machine runs on '\(name)'")
            }
            return self
        }
        engine.observation.timesStages = configuration.timesStages
        if let symbol = configuration.performanceMap {
            do throws(EngineError) {
                engine.observation.performanceMap = try PerformanceMap(symbol: symbol)
            } catch {
                throw ConfigurationError(.hostLimit, error.description)
            }
        }
        return EngineDecision(name: name, reason: reason, engine: engine)
    }

    /// Refuses a trace of events that the engine cannot tell of.
    func requireTrace(of events: TraceEvents) throws(ConfigurationError) {
        guard case .available(let capabilities) = engine.probe() else { return }
        let missing = events.subtracting(capabilities.traceEvents)
        guard missing.isEmpty else {
            let possible = capabilities.traceEvents.names
            throw ConfigurationError(
                .invalidValue,
                "engine '\(name)' cannot trace \(missing.names.joined(separator: ", ")); it can trace "
                    + (possible.isEmpty ? "nothing" : possible.joined(separator: ", ")))
        }
    }
}

/// All engines, by name.
public enum EngineRegistry {
    /// The engines of this version, the one that `auto` prefers first.
    package static var engines: [any Engine] { [KVMEngine(), TranslateEngine(), InterpretEngine()] }

    /// Modes of virtualization that have a name here but no engine yet.
    private static let planned: [(name: String, summary: String)] = [
        ("static", "full virtualization by static binary translation"),
        ("trap", "trap-and-emulate with ring compression"),
    ]

    /// Every name that `EngineSelection` understands besides `auto`.
    public static var names: [String] { statuses().map(\.name) }

    /// Every engine and what it would do on this host.
    public static func statuses() -> [EngineStatus] {
        let built = engines.map { engine in
            let availability: EngineStatus.Availability =
                switch engine.probe() {
                case .available: .available
                case .unavailable(let reason): .unavailable(reason: reason)
                }
            return EngineStatus(name: engine.name, summary: engine.summary, availability: availability)
        }
        let known = Set(built.map(\.name))
        return built
            + planned.filter { !known.contains($0.name) }
            .map { EngineStatus(name: $0.name, summary: $0.summary, availability: .notBuilt) }
    }

    /// This host's KVM: whether and how fast it runs guests, and which of the capabilities that Trapeze makes use of it has,
    /// by their names without KVM_CAP_.
    public static func describeKVM() -> (summary: String, capabilities: (present: String, absent: String)?) {
        do throws(EngineError) {
            let all = try KVMEngine.describeCapabilities()
            let present = all.filter { $0.value > 0 }.map { $0.value > 1 ? "\($0.name)=\($0.value)" : $0.name }
            let absent = all.filter { $0.value <= 0 }.map { "\($0.name) (\($0.purpose))" }
            let slow = KVMEngine().reasonAgainstAutomaticChoice()
            return (
                slow.map { "opens, but \($0)" } ?? "opens, and guests run at hardware speed",
                (present.joined(separator: " "), absent.joined(separator: ", "))
            )
        } catch {
            return (error.description, nil)
        }
    }

    /// Chooses the engine for a selection.
    ///
    /// - Throws: `ConfigurationError` with the reason `unknownEngine` or `engineUnavailable`.
    public static func decide(_ selection: EngineSelection) throws(ConfigurationError) -> EngineDecision {
        switch selection {
        case .auto: try automatic()
        case .named(let name): try named(name)
        }
    }

    private static func automatic() throws(ConfigurationError) -> EngineDecision {
        var passedOver: [String] = []
        for engine in engines {
            switch engine.probe() {
            case .available:
                if let reason = (engine as? any ChosenBySpeed)?.reasonAgainstAutomaticChoice() {
                    passedOver.append("not \(engine.name): \(reason)")
                    continue
                }
                let reason = passedOver.isEmpty ? engine.summary : passedOver.joined(separator: ", ")
                return EngineDecision(name: engine.name, reason: reason, engine: engine)
            case .unavailable(let reason):
                passedOver.append("not \(engine.name): \(reason)")
            }
        }
        throw ConfigurationError(
            .engineUnavailable, "no engine works on this host: \(passedOver.joined(separator: "; "))")
    }

    private static func named(_ name: String) throws(ConfigurationError) -> EngineDecision {
        if let engine = engines.first(where: { $0.name == name }) {
            switch engine.probe() {
            case .available: return EngineDecision(name: name, reason: "asked for", engine: engine)
            case .unavailable(let reason):
                throw ConfigurationError(.engineUnavailable, "engine '\(name)' is not available: \(reason)")
            }
        }
        if planned.contains(where: { $0.name == name }) {
            let built = engines.map(\.name).joined(separator: ", ")
            throw ConfigurationError(
                .engineUnavailable,
                "engine '\(name)' is not available: it is not built into this version (built: \(built))")
        }
        let known = ["auto"] + names
        throw ConfigurationError(
            .unknownEngine,
            "unknown engine '\(name)'\(suggestion(for: name, among: known)); known: \(known.joined(separator: ", "))")
    }
}

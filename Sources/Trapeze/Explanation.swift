// A run on the translator whose code is kept for showing: the public face of `TranslationRecorder`.

import Translator
import VirtualCPU

/// All blocks that were translated in a run.
package typealias TranslationRecord = Translator.TranslationRecord

/// A block and all that there is to say about it.
package typealias ExplainedBlock = Translator.ExplainedBlock

/// The host code of a block.
package typealias HostCode = Translator.HostCode

/// Runs a machine on the engine `translate` and keeps what it translates.
package final class Explanation: Sendable {
    /// The machine, to be started, waited for and stopped like any other.
    package let machine: VirtualMachine
    private let recorder = TranslationRecorder()

    /// Makes the machine. The configuration's engine does not count.
    ///
    /// - Throws: `ConfigurationError` for anything wrong with the definition, its files or this host.
    package init(_ configuration: VirtualMachineConfiguration) throws(ConfigurationError) {
        try configuration.validate()
        let decision = try EngineRegistry.decide(.named("translate"))
        guard var engine = decision.engine as? TranslateEngine else {
            throw ConfigurationError(.engineUnavailable, "engine 'translate' is not this version's")
        }
        engine.observation.recorder = recorder
        machine = try VirtualMachine(
            configuration, on: EngineDecision(name: decision.name, reason: decision.reason, engine: engine))
    }

    /// What was translated. To be called once, when the machine has ended.
    package func finish() -> TranslationRecord { recorder.finish() }
}

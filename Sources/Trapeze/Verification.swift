// Two engines on one machine, compared as they go: the public face of lockstep.

import Comparison
import Machine
import Synchronization
import VirtualCPU

/// How closely engines are compared, and from where on.
public typealias VerificationOptions = LockstepOptions

/// What a verification has come to.
public typealias VerificationSummary = LockstepSummary

/// Runs a machine in counted time on one engine, and on another that is given the same inputs, and compares their states
/// and memory. The machine has no serial input, and a reset ends it.
public final class Verification: Sendable {
    /// The engine that leads, and owns the devices.
    public let reference: String
    /// The engine that is compared with it.
    public let against: String

    private let lockstep: Lockstep
    private let machine: Machine

    /// Makes both engines' machines. Engine and clock of the configuration do not count.
    ///
    /// - Throws: `ConfigurationError` for anything wrong with the definition, its files, the engines or this host.
    public convenience init(
        _ configuration: VirtualMachineConfiguration, reference: EngineSelection, against: EngineSelection,
        options: VerificationOptions = VerificationOptions()
    ) throws(ConfigurationError) {
        let (leader, follower) = (try EngineRegistry.decide(reference), try EngineRegistry.decide(against))
        try self.init(configuration, reference: leader.engine, against: follower.engine, options: options)
    }

    package init(
        _ configuration: VirtualMachineConfiguration, reference: any Engine, against: any Engine,
        options: VerificationOptions = VerificationOptions()
    ) throws(ConfigurationError) {
        var configuration = configuration
        configuration.clockSource = .instructions
        try configuration.validate()
        lockstep = Lockstep(reference: reference, against: against, options: options)
        self.reference = reference.name
        self.against = against.name
        if case .unavailable(let reason) = lockstep.engine.probe() {
            throw ConfigurationError(.engineUnavailable, "the engines cannot be compared: \(reason)")
        }
        machine = try configuration.makeMachine(on: lockstep.engine, restoring: nil)
    }

    /// Runs the guest to its end, or to the first difference.
    public func run() async -> (outcome: VirtualMachine.Outcome, summary: VerificationSummary) {
        machine.start()
        let outcome = await machine.wait()
        return (VirtualMachine.Outcome(outcome), lockstep.finish())
    }

    /// Ends the run soon: what was executed so far is compared.
    public func stop() { machine.stop() }

    /// Instructions so far, of all vCPUs.
    public var instructions: UInt64 { lockstep.instructions }
}

// A virtual machine to the program that made it: a validated configuration, brought to life. The calls are async and
// only post to the machine's own threads; no guest instruction runs on a thread of the caller's.

import Machine
import Synchronization
import VirtualCPU

/// A virtual machine.
///
/// It is started once. After it has stopped, its counters can still be read; to run again, make a new one.
public final class VirtualMachine: Sendable {
    /// What the machine is doing.
    public enum State: String, Sendable, Equatable {
        /// Made, but not started.
        case ready
        /// The guest runs.
        case running
        /// The guest and its clock stand still.
        case paused
        /// The run is over.
        case stopped
    }

    /// How a run ended.
    public enum Outcome: Sendable, Equatable {
        /// The guest entered the ACPI state S5.
        case poweredOff
        /// The guest reset the machine, and the configuration has resets stop it.
        case reset
        /// The guest wrote to the exit port, which gave this status.
        case exited(status: UInt8)
        /// The guest reported a panic through pvpanic.
        case panicked
        /// A triple fault (SDM volume 3, section 7.15).
        case tripleFault
        /// `stop()` was called.
        case stopped
        /// The engine could not go on; the text says why.
        case failed(String)
    }

    /// The definition that this machine was made from.
    public let configuration: VirtualMachineConfiguration
    /// The engine that runs it, and why this one.
    public let engine: EngineDecision

    private let machine: Machine
    private struct Shared {
        var state = State.ready
        var observers: [AsyncStream<State>.Continuation] = []

        mutating func enter(_ new: State) {
            state = new
            for observer in observers { observer.yield(new) }
            guard new == .stopped else { return }
            for observer in observers { observer.finish() }
            observers = []
        }
    }
    private let shared = Mutex(Shared())

    /// Makes a machine: lays out its memory, loads what it boots and creates its vCPU. Nothing runs yet.
    ///
    /// - Throws: `ConfigurationError` for anything wrong with the definition, its files or this host.
    public init(configuration: VirtualMachineConfiguration) throws(ConfigurationError) {
        try configuration.validate()
        self.configuration = configuration
        engine = try EngineRegistry.decide(configuration.engine)
        machine = try makeMachine(configuration, engine: engine.engine)
    }

    // MARK: Control

    /// Starts the guest. Without effect unless the machine is ready.
    public func start() async {
        guard move(from: .ready, to: .running) else { return }
        machine.start()
        Task {
            _ = await machine.wait()
            become(.stopped)
        }
    }

    /// Stops the guest between two instructions, and its clock with it. Without effect unless the machine runs.
    public func pause() async {
        guard move(from: .running, to: .paused) else { return }
        await machine.pause()
    }

    /// Goes on after `pause()`. Without effect unless the machine is paused.
    public func resume() async {
        guard move(from: .paused, to: .running) else { return }
        machine.resume()
    }

    /// Ends the run, as pulling the plug does.
    public func stop() async { machine.stop() }

    /// Waits for the end of the run.
    public func wait() async -> Outcome { Outcome(await machine.wait()) }

    // MARK: Observation

    /// What the machine is doing.
    public var state: State { shared.withLock { $0.state } }

    /// The state now and every change of it from now on, to the end of the run.
    public var states: AsyncStream<State> {
        AsyncStream { continuation in
            shared.withLock { shared in
                continuation.yield(shared.state)
                if shared.state == .stopped {
                    continuation.finish()
                } else {
                    shared.observers.append(continuation)
                }
            }
        }
    }

    /// The counters of each vCPU so far.
    public var counters: [EngineCounters] { machine.counters() }

    /// The sum of the vCPUs' counters so far.
    public var totalCounters: EngineCounters {
        let counters = counters
        return counters.dropFirst().reduce(counters.first ?? EngineCounters(), +)
    }

    private func move(from old: State, to new: State) -> Bool {
        shared.withLock { shared in
            guard shared.state == old else { return false }
            shared.enter(new)
            return true
        }
    }

    private func become(_ new: State) { shared.withLock { $0.enter(new) } }
}

// A virtual machine to the program that made it: a validated configuration, brought to life. The calls are async and
// only post to the machine's own threads; no guest instruction runs on a thread of the caller's.

import GDBStub
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

    let run: Mutex<Run>
    private let port: SerialPort
    private let debugging: MachineDebugging?

    /// Makes a machine: lays out its memory, loads what it boots and creates its vCPU. Nothing runs yet.
    ///
    /// - Throws: `ConfigurationError` for anything wrong with the definition, its files or this host.
    public convenience init(configuration: VirtualMachineConfiguration) throws(ConfigurationError) {
        try self.init(configuration, restoring: nil)
    }

    convenience init(
        _ configuration: VirtualMachineConfiguration, restoring saved: MachineState?
    ) throws(ConfigurationError) {
        try configuration.validate()
        let decision = try EngineRegistry.decide(configuration.engine).observed(as: configuration)
        try self.init(configuration, on: decision, restoring: saved)
    }

    /// Makes a machine of a validated configuration on an engine that is chosen already.
    init(
        _ configuration: VirtualMachineConfiguration, on engine: EngineDecision, restoring saved: MachineState? = nil
    ) throws(ConfigurationError) {
        self.configuration = configuration
        self.engine = engine
        // A port that is taken is found before memory is laid out.
        let server = try configuration.debugServer.map(MachineDebugging.listen)
        let machine = try configuration.makeMachine(on: engine.engine, restoring: saved)
        run = Mutex(Run(machine: machine))
        debugging = server.map { MachineDebugging($0, machine: machine) }
        port = SerialPort { [weak machine] in machine?.sendSerialInput($0) ?? $0.count }
        machine.onSerialInputSpace { [port] in port.spaceIsThere() }
        configuration.serialPort?.connect(to: port)
        debugging?.serve(waits: configuration.debugServer?.waitsForDebugger == true) { [weak self] in
            Task { await self?.stop() }
        }
    }

    deinit {
        port.reconnect(nil)
        debugging?.abandon()
    }

    // MARK: Control

    /// Starts the guest. Without effect unless the machine is ready.
    public func start() async {
        guard let machine = run.withLock({ $0.move(from: .ready, to: .running) }) else { return }
        machine.start()
        Task.detached { await self.supervise(machine) }
    }

    /// Stops the guest between two instructions, and its clock with it. Without effect unless the machine runs.
    public func pause() async { await run.withLock { $0.move(from: .running, to: .paused) }?.pause() }

    /// Goes on after `pause()`. Without effect unless the machine is paused.
    public func resume() async { run.withLock { $0.move(from: .paused, to: .running) }?.resume() }

    /// Ends the run, as pulling the plug does. Returns at once; `wait()` waits for the end.
    public func stop() async {
        let machine = run.withLock { run in
            run.stopRequested = true
            if run.state == .ready { run.end(.stopped) }
            return run.machine
        }
        machine.stop()
    }

    /// Waits for the end of the run; for ever if nobody starts or stops it.
    public func wait() async -> Outcome {
        for await state in states where state == .stopped { break }
        return run.withLock { $0.outcome } ?? .stopped
    }

    /// Follows the machine to its end, through as many resets as it makes.
    private func supervise(_ first: Machine) async {
        var machine = first
        while true {
            let outcome = Outcome(await machine.wait())
            guard outcome == .reset, configuration.resetBehavior == .restart else { return await finish(outcome) }
            do throws(ConfigurationError) {
                machine = try configuration.makeMachine(on: engine.engine, restoring: nil)
            } catch {
                return await finish(.failed("the machine cannot start over: \(error)"))
            }
            let next = machine
            debugging?.replaceMachine(by: next)
            next.onSerialInputSpace { [port] in port.spaceIsThere() }
            port.reconnect { [weak next] in next?.sendSerialInput($0) ?? $0.count }
            let mayStart = run.withLock { $0.replaceMachine(by: next) }
            if mayStart { next.start() }
        }
    }

    private func finish(_ outcome: Outcome) async {
        port.reconnect(nil)
        await debugging?.end(outcome)
        run.withLock { $0.end(outcome) }
    }

    // MARK: Observation

    /// What the machine is doing.
    public var state: State { run.withLock { $0.state } }

    /// The state now and every change of it from now on, to the end of the run.
    public var states: AsyncStream<State> { AsyncStream { continuation in run.withLock { $0.observe(continuation) } } }

    /// Where a debugger can connect, a port of 0 replaced by the one taken; nil if nowhere.
    public var debugEndpoint: DebugEndpoint? { debugging?.endpoint }

    /// The counters of each vCPU so far.
    public var counters: [EngineCounters] { run.withLock { $0.counters } }

    /// The sum of the vCPUs' counters so far.
    public var totalCounters: EngineCounters {
        let counters = counters
        return counters.dropFirst().reduce(counters.first ?? EngineCounters(), +)
    }
}

// The seam between the GDB stub and the machine: the stub's calls in the machine's terms, for whichever machine is the
// current one. A guest that resets gets a new machine, in which the debugger finds what it had set.

import GDBStub
import Machine
import Memory
import Synchronization
import VirtualCPU

/// Where a debug server listens: a host and a TCP port.
public typealias DebugEndpoint = GDBStub.DebugEndpoint

/// One virtual machine's debug server and what it has to do with the machine.
final class MachineDebugging: Sendable {
    private struct State {
        var machine: Machine
        var isAttached = false
        /// Whether a new machine would have to be held from its start.
        var holds = false
        var control = DebugControl()
    }

    private let server: DebugServer
    private let state: Mutex<State>

    var endpoint: DebugEndpoint { server.endpoint }

    /// Opens the socket.
    static func listen(_ configuration: DebugServerConfiguration) throws(ConfigurationError) -> DebugServer {
        do throws(DebugServerError) { return try DebugServer(configuration.endpoint) } catch {
            throw ConfigurationError(.hostLimit, "debug server: \(error.description)")
        }
    }

    init(_ server: DebugServer, machine: Machine) {
        self.server = server
        state = Mutex(State(machine: machine))
    }

    /// Begins to serve debuggers; `kill` is called when one ends the run.
    func serve(waits: Bool, kill: @escaping @Sendable () -> Void) {
        server.serve(Target(debugging: self, kill: kill), waits: waits)
    }

    /// After a reset: the machine that goes on, before it starts.
    func replaceMachine(by next: Machine) {
        state.withLock { state in
            state.machine = next
            guard state.isAttached else { return }
            attach(next, running: !state.holds)
            // An engine that took these wishes once takes them again.
            do throws(EngineError) { try next.setDebugControl(state.control) } catch { next.stopForDebugger() }
        }
    }

    /// Tells how the run ended, and returns when the debugger knows.
    func end(_ outcome: VirtualMachine.Outcome) async { await server.end(DebuggedExit(outcome)) }

    /// Nobody will start or end this machine any more.
    func abandon() { server.abandon() }

    private func attach(_ machine: Machine, running: Bool) {
        machine.attachDebugger(running: running) { [server] event in server.stopped(event) }
    }

    // MARK: The stub's calls

    /// The machine as the stub drives it.
    private final class Target: DebugTarget {
        private let debugging: MachineDebugging
        private let endRun: @Sendable () -> Void

        init(debugging: MachineDebugging, kill: @escaping @Sendable () -> Void) {
            self.debugging = debugging
            endRun = kill
        }

        private var machine: Machine { debugging.state.withLock { $0.machine } }

        var vcpuCount: Int { machine.vcpuCount }
        var memory: GuestMemory { machine.debugMemory }

        func attach() {
            debugging.state.withLock { state in
                (state.isAttached, state.holds) = (true, true)
                debugging.attach(state.machine, running: false)
            }
        }

        func stop() {
            debugging.state.withLock { state in
                state.holds = true
                state.machine.stopForDebugger()
            }
        }

        func stands() { machine.debuggerSeesStand() }

        func setControl(_ control: DebugControl) throws(EngineError) {
            try debugging.state.withLock { state throws(EngineError) in
                try state.machine.setDebugControl(control)
                state.control = control
            }
        }

        func resume(_ actions: [DebugAction], _ control: DebugControl) throws(EngineError) {
            try debugging.state.withLock { state throws(EngineError) in
                try state.machine.resumeForDebugger(actions, control)
                // The instruction that is stepped may be the one that resets the machine.
                state.holds = actions.contains(.step)
                state.control = control
            }
        }

        func detach() throws(EngineError) {
            try debugging.state.withLock { state throws(EngineError) in
                try state.machine.detachDebugger()
                (state.isAttached, state.holds) = (false, false)
                state.control = DebugControl()
            }
        }

        func kill() { endRun() }

        func state(of vcpu: Int) throws(EngineError) -> CPUState { try machine.debugState(of: vcpu) }

        func setState(_ state: CPUState, of vcpu: Int) throws(EngineError) {
            try machine.setDebugState(state, of: vcpu)
        }
    }
}

extension DebuggedExit {
    fileprivate init(_ outcome: VirtualMachine.Outcome) {
        switch outcome {
        case .poweredOff, .reset, .stopped: self = .exited(0)
        case .exited(let status): self = .exited(status)
        case .panicked, .tripleFault, .failed: self = .aborted
        }
    }
}

// Who may run when: the state that the callers of a machine, its devices and its vCPU threads share. vCPU threads ask
// here between runs; everybody else changes the phase here and then kicks the vCPUs.

import Foundation

/// How a run ended.
public enum MachineOutcome: Sendable, Equatable {
    /// The guest entered the ACPI state S5.
    case poweredOff
    /// The guest reset the machine.
    case reset
    /// The guest wrote to the exit port; the exit status that this gives.
    case exited(status: UInt8)
    /// The guest reported a panic through pvpanic.
    case panicked
    /// A triple fault.
    case tripleFault
    /// `Machine.stop()` was called.
    case stopped
    /// The engine could not go on.
    case failed(String)
}

/// The phase of a machine, guarded by a condition variable.
// Sendable: `state` is touched with the condition's lock held only.
final class RunControl: @unchecked Sendable {
    enum Phase {
        case ready, running, paused, ended
    }

    struct State {
        var phase = Phase.ready
        var outcome: MachineOutcome?
        var parked = 0
        var pauseWaiters: [CheckedContinuation<Void, Never>] = []
        var standWaiters: [CheckedContinuation<Bool, Never>] = []
        var endWaiters: [CheckedContinuation<MachineOutcome, Never>] = []
        /// A debugger's hold on the vCPUs; nil while none is attached.
        var hold: DebugHold?

        func mayRun(_ vcpu: Int) -> Bool { phase == .running && hold?.released[vcpu] ?? true }
        func mayRun(anyOf vcpus: Range<Int>) -> Bool { vcpus.contains { mayRun($0) } }
    }

    private let threads: Int
    let vcpus: Int
    let condition = NSCondition()
    private var state = State()

    /// Makes control over vCPUs that run on the given number of threads.
    init(threads: Int, vcpus: Int) {
        self.threads = threads
        self.vcpus = vcpus
    }

    func locked<R>(_ body: (inout State) -> R) -> R {
        condition.lock()
        defer { condition.unlock() }
        return body(&state)
    }

    // MARK: Callers

    /// Lets vCPUs run. False when the machine has ended.
    func run() -> Bool {
        locked { state in
            guard state.phase != .ended else { return false }
            state.phase = .running
            condition.broadcast()
            return true
        }
    }

    /// Asks the vCPUs to stand still; `untilParked` waits for them. False unless the machine runs.
    func pause() -> Bool {
        locked { state in
            guard state.phase == .running else { return false }
            state.phase = .paused
            // Threads that were told to run and have not woken yet stand still already, and will not say so.
            finishIfParked(&state)
            return true
        }
    }

    /// Waits until every vCPU thread stands still between two instructions, or the machine has ended.
    func untilParked() async {
        await withCheckedContinuation { continuation in
            let done = locked { state in
                if state.parked == threads || state.phase != .paused { return true }
                state.pauseWaiters.append(continuation)
                return false
            }
            if done { continuation.resume() }
        }
    }

    /// Waits, while the machine runs too, until it stands still. True in a pause, false at the end of the run.
    func untilStanding() async -> Bool {
        await withCheckedContinuation { continuation in
            let paused: Bool? = locked { state in
                if state.parked == threads, state.phase != .running { return state.phase == .paused }
                state.standWaiters.append(continuation)
                return nil
            }
            if let paused { continuation.resume(returning: paused) }
        }
    }

    /// Ends the run; the first outcome counts.
    func end(_ outcome: MachineOutcome) {
        locked { state in
            guard state.phase != .ended else { return }
            state.phase = .ended
            state.outcome = outcome
            condition.broadcast()
            finishIfParked(&state)
        }
    }

    /// Waits for the end: an outcome is there and every vCPU thread has left its loop.
    func ended() async -> MachineOutcome {
        await withCheckedContinuation { continuation in
            let outcome: MachineOutcome? = locked { state in
                if state.phase == .ended, state.parked == threads { return state.outcome }
                state.endWaiters.append(continuation)
                return nil
            }
            if let outcome { continuation.resume(returning: outcome) }
        }
    }

    // MARK: vCPU threads

    /// Whether a vCPU may go on at once, without the lock being worth taking for longer.
    func mayRun(_ vcpu: Int) -> Bool { locked { $0.mayRun(vcpu) } }

    /// Whether any vCPU of several may go on.
    func mayRun(anyOf vcpus: Range<Int>) -> Bool { locked { $0.mayRun(anyOf: vcpus) } }

    /// Blocks while the machine stands still or a debugger holds this vCPU. False when the run is over and the thread has to
    /// leave.
    func park(_ vcpu: Int) -> Bool { park(anyOf: vcpu..<vcpu + 1) }

    /// The same for a thread with several vCPUs: blocks while none of them may run.
    func park(anyOf vcpus: Range<Int>) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        state.parked += 1
        finishIfParked(&state)
        while state.phase != .ended && !state.mayRun(anyOf: vcpus) { condition.wait() }
        // A thread that leaves counts as parked for ever.
        guard state.phase == .running else { return false }
        state.parked -= 1
        return true
    }

    func finishIfParked(_ state: inout State) {
        guard state.parked == threads else { return }
        if state.phase != .ended { state.hold?.reportIfDue() }
        for waiter in state.pauseWaiters { waiter.resume() }
        state.pauseWaiters = []
        guard state.phase != .running else { return }
        for waiter in state.standWaiters { waiter.resume(returning: state.phase == .paused) }
        state.standWaiters = []
        guard state.phase == .ended, let outcome = state.outcome else { return }
        for waiter in state.endWaiters { waiter.resume(returning: outcome) }
        state.endWaiters = []
    }
}

// The changing part of a `VirtualMachine`, which guards it with a mutex: which machine is the current one, what it is
// doing, and who wants to know.

import Machine
import VirtualCPU

/// The state of a run.
struct Run: Sendable {
    /// The machine that runs now; a reset replaces it.
    private(set) var machine: Machine
    private(set) var state = VirtualMachine.State.ready
    private(set) var outcome: VirtualMachine.Outcome?
    /// The plug is pulled: no machine starts any more.
    var stopRequested = false
    private var earlierCounters: [Counters]?
    private var observers: [AsyncStream<VirtualMachine.State>.Continuation] = []

    init(machine: Machine) { self.machine = machine }

    /// Changes the state if it is `old`, and gives the machine that this is about.
    mutating func move(from old: VirtualMachine.State, to new: VirtualMachine.State) -> Machine? {
        guard state == old else { return nil }
        enter(new)
        return machine
    }

    /// After a reset: the machine that goes on. False if it is not to run now.
    mutating func replaceMachine(by next: Machine) -> Bool {
        earlierCounters = counters
        machine = next
        if stopRequested { next.stop() }
        return state == .running && !stopRequested
    }

    /// The run is over.
    mutating func end(_ outcome: VirtualMachine.Outcome) {
        self.outcome = outcome
        enter(.stopped)
    }

    /// The counters of each vCPU, those of machines before a reset included.
    var counters: [Counters] {
        guard let earlierCounters else { return machine.counters() }
        return zip(earlierCounters, machine.counters()).map { $0 + $1 }
    }

    /// Tells the state now, and every one that follows.
    mutating func observe(_ continuation: AsyncStream<VirtualMachine.State>.Continuation) {
        continuation.yield(state)
        if state == .stopped { continuation.finish() } else { observers.append(continuation) }
    }

    private mutating func enter(_ new: VirtualMachine.State) {
        state = new
        for observer in observers {
            observer.yield(new)
            if new == .stopped { observer.finish() }
        }
        if new == .stopped { observers = [] }
    }
}

// A debugger's hold on a machine: which vCPUs it lets run, and the events that it is told once all of them stand. It lies
// beside the machine's phase: a vCPU runs when the phase and the hold permit it, so that pausing, resuming and ending a
// run work whether or not a debugger is attached.

import VirtualCPU

/// The hold.
struct DebugHold {
    /// By vCPU: whether it may run.
    var released: [Bool]
    /// What is to be told, the first to happen first.
    private var events: [DebugEvent] = []
    private let report: @Sendable (DebugEvent) -> Void

    init(vcpus: Int, released: Bool, report: @escaping @Sendable (DebugEvent) -> Void) {
        self.released = Array(repeating: released, count: vcpus)
        self.report = report
    }

    /// Holds all vCPUs because of an event.
    mutating func hold(_ event: DebugEvent) {
        for vcpu in released.indices { released[vcpu] = false }
        events.append(event)
    }

    /// Tells the first event, all vCPUs standing. Those that happened while the vCPUs came to a stand wait for the next
    /// time, but for breakpoints, which are met again.
    mutating func reportIfDue() {
        guard !released.contains(true), !events.isEmpty else { return }
        let event = events.removeFirst()
        events.removeAll { later in
            if case .stopped(_, .watchpoint) = later { return false }
            if case .tripleFault = later { return false }
            return true
        }
        report(event)
    }

    /// Lets vCPUs go on. False if an event is still to be told: none goes on then.
    mutating func release(_ vcpus: [Bool]) -> Bool {
        guard events.isEmpty else { return false }
        released = vcpus
        return true
    }
}

extension RunControl {
    /// Whether the machine's clock is to run.
    var timePasses: Bool { locked { state in state.phase == .running && state.hold?.released.contains(true) ?? true } }

    /// Attaches a debugger. Its vCPUs run on, or are held from now on, which is told as an event of its own.
    func attachDebugger(released: Bool, report: @escaping @Sendable (DebugEvent) -> Void) {
        locked { state in
            state.hold = DebugHold(vcpus: vcpus, released: released, report: report)
            guard !released else { return }
            state.hold?.hold(.asked)
            finishIfParked(&state)
        }
    }

    /// Holds all vCPUs and tells the debugger once they stand. False if there is none. What it asks for itself is left out
    /// when they are held already: another event has come first, and is or will be told.
    func stopForDebugger(_ event: DebugEvent) -> Bool {
        locked { state in
            guard let hold = state.hold else { return false }
            if event == .asked, !hold.released.contains(true) { return true }
            state.hold?.hold(event)
            finishIfParked(&state)
            return true
        }
    }

    /// Lets vCPUs go on, or tells what else has happened.
    func releaseForDebugger(_ vcpus: [Bool]) {
        locked { state in
            if state.hold?.release(vcpus) == true { condition.broadcast() } else { finishIfParked(&state) }
        }
    }

    /// The debugger is gone.
    func detachDebugger() {
        locked { state in
            state.hold = nil
            condition.broadcast()
        }
    }
}

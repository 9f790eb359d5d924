// The machine as the stub holds it, across connections: whether it is attached and stands, and what it is to stop at. A
// connection comes and goes (`Session`); what it leaves behind is undone here.

import VirtualCPU

/// The debugged machine.
package final class Debuggee {
    /// What the stub knows of the machine.
    package enum State: Equatable {
        /// No debugger has to do with it.
        case free
        /// A stop was asked for, or will come, and is not reported yet.
        case running
        /// All vCPUs stand.
        case standing
        /// A stop was asked for only to let go of the machine.
        case leaving
        /// The run is over.
        case ended
    }

    let target: any DebugTarget
    package private(set) var state = State.free
    /// Why the vCPUs stand.
    private(set) var lastEvent = DebugEvent.asked
    /// Whether a debugger has ever let the machine run: until then one that was told to wait does not start by itself.
    private(set) var wasResumed = false
    private let waitsForDebugger: Bool

    /// Breakpoints as GDB set them; which kind makes a difference in what it is told only.
    var softwareBreakpoints: Set<UInt64> = []
    var hardwareBreakpoints: Set<UInt64> = []
    var watchpoints: Set<Watchpoint> = []
    /// Whether interrupts wait while GDB steps.
    var holdsInterrupts = true

    /// A machine that no debugger has attached to, or that waits for one.
    package init(target: any DebugTarget, waitsForDebugger: Bool) {
        self.target = target
        self.waitsForDebugger = waitsForDebugger
        if waitsForDebugger { attach() }
    }

    /// What the vCPUs are to stop at.
    var control: DebugControl {
        var control = DebugControl()
        control.breakpoints = softwareBreakpoints.union(hardwareBreakpoints)
        control.watchpoints = watchpoints
        control.holdsInterrupts = holdsInterrupts
        return control
    }

    /// A debugger is there: the machine stops.
    func attach() {
        switch state {
        case .free:
            state = .running
            target.attach()
        case .leaving: state = .running
        case .running, .standing, .ended: break
        }
    }

    /// Asks for a stop.
    func stop() { if state == .running { target.stop() } }

    /// Lets vCPUs go on.
    func resume(_ actions: [DebugAction]) throws(EngineError) {
        try target.resume(actions, control)
        state = .running
        wasResumed = true
    }

    /// A stop is reported. False if it was only for letting go of the machine.
    package func stopped(_ event: DebugEvent) -> Bool {
        guard state == .running || state == .leaving else { return false }
        target.stands()
        lastEvent = event
        let leaves = state == .leaving
        state = .standing
        if leaves { detach() }
        return !leaves
    }

    /// Lets go of the machine, now that it stands.
    func detach() {
        forgetWishes()
        // An engine that takes wishes can be asked for nothing.
        do throws(EngineError) { try target.detach() } catch { target.kill() }
        wasResumed = true
        state = .free
    }

    /// Ends the run: the machine does not go on before it ends.
    func kill() {
        target.kill()
        state = .ended
    }

    /// The connection broke. The machine runs on, unless it waits for its first start.
    package func connectionLost() {
        forgetWishes()
        if waitsForDebugger, !wasResumed { return }
        switch state {
        case .standing: detach()
        case .running:
            state = .leaving
            target.stop()
        case .free, .leaving, .ended: break
        }
    }

    /// The run is over.
    package func end() { state = .ended }

    private func forgetWishes() {
        softwareBreakpoints = []
        hardwareBreakpoints = []
        watchpoints = []
        holdsInterrupts = true
    }
}

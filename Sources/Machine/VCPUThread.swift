// The loop of one vCPU thread: run, and decide about what came back. With host time the vCPU runs until something
// happens; with counted time it runs from one timer deadline to the next, so that every run is the same.

import Foundation
import VirtualCPU

/// Runs one vCPU on a thread of its own until the run is over.
struct VCPUThread: Sendable {
    let vcpu: any VirtualCPU
    /// Outlives the vCPU's run.
    let vm: any EngineVM
    let control: RunControl
    let clock: Clock
    /// Ends the run for all vCPUs.
    let end: @Sendable (MachineOutcome) -> Void
    /// Stops all vCPUs for a debugger; false if none wants to know.
    let stopForDebugger: @Sendable (DebugEvent) -> Bool

    /// The longest slice in counted time, in instructions: a kick is noticed at its end at the latest.
    private static let longestSlice: UInt64 = 10_000_000

    /// Starts the thread; it parks at once until the machine runs.
    func start() {
        let thread = Thread { body() }
        thread.name = "vcpu\(vcpu.id)"
        thread.stackSize = 8 << 20
        thread.start()
    }

    private func body() {
        guard control.park(vcpu.id) else { return }
        while true {
            let exit = vcpu.run(budget: budget())
            if clock.source == .instructions { clock.advance(to: clock.now()) }
            switch exit {
            case .budgetSpent: break
            case .kicked:
                // The kick may have come for a pause, a debugger or the end of the run.
                if !control.mayRun(vcpu.id), !control.park(vcpu.id) { return }
            case .debug(let stop):
                if stopForDebugger(.stopped(vcpu: vcpu.id, stop)), !control.park(vcpu.id) { return }
            case .halted, .waitingForStartup: idle()
            case .shutdown:
                // A debugger may look at what is left, once.
                if stopForDebugger(.tripleFault(vcpu: vcpu.id)), !control.park(vcpu.id) { return }
                return finish(.tripleFault)
            case .failed(let error): return finish(.failed(error.description))
            }
        }
    }

    /// Ends the run; this thread leaves as all others do.
    private func finish(_ outcome: MachineOutcome) {
        end(outcome)
        _ = control.park(vcpu.id)
    }

    private func budget() -> UInt64? {
        guard clock.source == .instructions else { return nil }
        guard let deadline = clock.nextDeadline() else { return Self.longestSlice }
        let now = clock.now()
        return deadline > now ? min(deadline - now, Self.longestSlice) : 1
    }

    /// Nothing to execute: waits for an event, or lets counted time jump to the next timer.
    private func idle() {
        if clock.source == .instructions, let deadline = clock.nextDeadline() {
            clock.advance(to: deadline)
        } else {
            vcpu.waitForEvent(nanoseconds: nil)
        }
    }
}

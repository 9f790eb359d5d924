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
        guard control.park() else { return }
        while true {
            let exit = vcpu.run(budget: budget())
            if clock.source == .instructions { clock.advance(to: clock.now()) }
            switch exit {
            case .budgetSpent, .debug: break
            case .kicked:
                // The kick may have come for a pause or the end of the run.
                if !control.mayRun, !control.park() { return }
            case .halted, .waitingForStartup: idle()
            case .shutdown: end(.tripleFault)
            case .failed(let error): end(.failed(error.description))
            }
            switch exit {
            case .shutdown, .failed:
                _ = control.park()
                return
            default: break
            }
        }
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

// The loop of one vCPU thread in host time: run, and decide about what came back. In counted time one thread runs all
// vCPUs, see `CountedThread`.

import Foundation
import VirtualCPU

/// Runs one vCPU on a thread of its own until the run is over.
struct VCPUThread: Sendable {
    let vcpu: any VirtualCPU
    /// Outlives the vCPU's run.
    let vm: any EngineVM
    let control: RunControl
    /// Ends the run for all vCPUs.
    let end: @Sendable (MachineOutcome) -> Void
    /// Stops all vCPUs for a debugger; false if none wants to know.
    let stopForDebugger: @Sendable (DebugEvent) -> Bool

    /// Starts the thread; it parks at once until the machine runs.
    func start() {
        let thread = Thread { body() }
        thread.name = "vcpu\(vcpu.id)"
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Gives the calling thread the priority that the user has given the process (nice(1)). A thread has its maker's, and a
    /// machine may be made on one of the host library's workers, which have another.
    static func takePriorityOfProcess() {
        let process = __priority_which_t(PRIO_PROCESS.rawValue)
        // Who may not have it back stays as he is.
        _ = setpriority(process, 0, getpriority(process, id_t(getpid())))
    }

    private func body() {
        Self.takePriorityOfProcess()
        guard control.park(vcpu.id) else { return }
        while true {
            switch vcpu.run(budget: nil) {
            case .budgetSpent: break
            case .kicked:
                // The kick may have come for a pause, a debugger or the end of the run.
                if !control.mayRun(vcpu.id), !control.park(vcpu.id) { return }
            case .debug(let stop):
                if stopForDebugger(.stopped(vcpu: vcpu.id, stop)), !control.park(vcpu.id) { return }
            case .halted, .waitingForStartup: vcpu.waitForEvent(nanoseconds: nil)
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
}

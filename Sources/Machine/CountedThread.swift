// All vCPUs of a machine in counted time, on one thread: they run one at a time, each for its turn, from one timer
// deadline to the next. Nothing but the guest decides who runs how long, so every run is the same.
//
// Time is the sum of all vCPUs' instructions. Turns end at fixed times, or when a vCPU halts; a kick ends none, since
// it may come from anywhere.

import Foundation
import Synchronization
import VirtualCPU

/// Runs the vCPUs in turn until the run is over.
// Sendable: `turn` is changed by the thread alone, and read or set while it is parked or not yet started.
final class CountedThread: @unchecked Sendable {
    private let vcpus: [any VirtualCPU]
    /// Outlives the vCPUs' run.
    private let vm: any EngineVM
    private let control: RunControl
    private let clock: Clock
    private let end: @Sendable (MachineOutcome) -> Void
    private let stopForDebugger: @Sendable (DebugEvent) -> Bool

    /// The vCPU that runs, or runs next.
    var turn = 0

    /// How long a turn lasts, in instructions: short enough that vCPUs that wait for each other do not wait for long.
    private static let turnLength: UInt64 = 10_000
    /// The same for a vCPU that has nobody to wait for.
    private static let longestSlice: UInt64 = 10_000_000
    /// How long the thread sleeps before it looks at the next vCPU, in nanoseconds, while all of them wait for an event
    /// from outside.
    private static let sleep: UInt64 = 5_000_000

    /// Makes the thread's body. `end` ends the run; `stopForDebugger` holds all vCPUs, and is false if there is no debugger.
    init(
        vcpus: [any VirtualCPU], vm: any EngineVM, control: RunControl, clock: Clock,
        end: @escaping @Sendable (MachineOutcome) -> Void, stopForDebugger: @escaping @Sendable (DebugEvent) -> Bool
    ) {
        self.vcpus = vcpus
        self.vm = vm
        self.control = control
        self.clock = clock
        self.end = end
        self.stopForDebugger = stopForDebugger
    }

    /// Starts the thread; it parks at once until the machine runs.
    func start() {
        let thread = Thread { self.body() }
        thread.name = "vcpus"
        thread.stackSize = 8 << 20
        thread.start()
    }

    private func body() {
        VCPUThread.takePriorityOfProcess()
        let all = 0..<vcpus.count
        guard control.park(anyOf: all) else { return }
        /// vCPUs in a row that had nothing to execute.
        var idle = 0
        while true {
            guard control.mayRun(turn) else {
                if !control.mayRun(anyOf: all) {
                    if !control.park(anyOf: all) { return }
                } else {
                    // A debugger holds this one alone.
                    idle += 1
                    passOn(&idle)
                }
                continue
            }
            let before = clock.now()
            let turnEnd = endOfTurn(at: before)
            let exit = vcpus[turn].run(budget: budget(until: turnEnd))
            let now = clock.now()
            clock.advance(to: now)
            if now != before { idle = 0 }
            switch exit {
            case .budgetSpent:
                if now >= turnEnd { passOn(&idle) }
            case .kicked: break  // for a pause, a debugger, the end of the run, or a new deadline
            case .halted, .waitingForStartup:
                idle += 1
                passOn(&idle)
            case .debug(let stop): _ = stopForDebugger(.stopped(vcpu: turn, stop))
            case .shutdown:
                // A debugger may look at what is left, once.
                if stopForDebugger(.tripleFault(vcpu: turn)), !control.park(anyOf: all) { return }
                return finish(.tripleFault)
            case .failed(let error): return finish(.failed(error.description))
            }
        }
    }

    private func finish(_ outcome: MachineOutcome) {
        end(outcome)
        _ = control.park(anyOf: 0..<vcpus.count)
    }

    /// The next vCPU's turn. When all have been found idle, time jumps to the next timer, or the thread waits for an event.
    private func passOn(_ idle: inout Int) {
        turn = (turn + 1) % vcpus.count
        guard idle >= vcpus.count else { return }
        idle = 0
        if let deadline = clock.nextDeadline() {
            clock.advance(to: deadline)
            turn = 0
        } else {
            // An event wakes one vCPU, and nobody knows which: looks at all in turn.
            vcpus[turn].waitForEvent(nanoseconds: vcpus.count == 1 ? nil : Self.sleep)
        }
    }

    private func endOfTurn(at time: UInt64) -> UInt64 {
        guard vcpus.count > 1 else { return time &+ Self.longestSlice }
        return (time / Self.turnLength + 1) * Self.turnLength
    }

    private func budget(until turnEnd: UInt64) -> UInt64 {
        let now = clock.now()
        let stop = min(turnEnd, clock.nextDeadline() ?? .max)
        return stop > now ? stop - now : 1
    }
}

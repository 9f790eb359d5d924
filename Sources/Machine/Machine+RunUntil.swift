// Stopping at a time that was chosen beforehand: with counted time that is an exact instruction, and the same one in
// every run.

import VirtualCPU

extension Machine {
    /// Starts the guest, or lets it go on, and pauses it when the clock reaches `time` (nanoseconds; in counted time
    /// exactly between two instructions). False when the run ended before.
    package func run(until time: UInt64) async -> Bool {
        let control = control
        let vcpus = vcpus
        let timer = ClockTimer(clock: clock) {
            guard control.pause() else { return }
            for vcpu in vcpus { vcpu.kick() }
        }
        timer.arm(at: time)
        start()
        let paused = await control.untilStanding()
        timer.disarm()
        clock.stop()
        return paused
    }
}

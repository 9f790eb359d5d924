// The one lock of the device model, and timers whose actions run under it.
//
// Rules. Every entry into the device model takes the lock: the bus on vCPU threads, timers on the clock's thread, and
// the devices' methods that say "any thread". All other device code runs with it held and never takes it. With it held
// one may read the clock, arm timers, signal interrupts and kick vCPUs, since none of these waits for the device model;
// one may not wait for a vCPU, nor call `Clock.advance`, which fires timers.

import Synchronization
import VirtualCPU

/// Mutual exclusion for all devices of one machine. Not recursive.
package final class DeviceLock: Sendable {
    // Locked and unlocked by hand: `Mutex.withLock` would ask that what is returned can be sent to other threads.
    private let mutex = Mutex(())

    /// Makes an open lock.
    package init() {}

    /// Runs `body` with the lock held.
    @discardableResult package func withLock<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        mutex._unsafeLock()
        defer { mutex._unsafeUnlock() }
        return try body()
    }
}

/// What every device is given: time, the lock, and somewhere to report to.
package struct DeviceEnvironment: Sendable {
    /// The VM's clock.
    package let clock: Clock
    /// The device model's lock.
    package let lock: DeviceLock
    /// Where events that concern the machine go.
    package let events: MachineEventSink

    /// Makes an environment.
    package init(clock: Clock, lock: DeviceLock, events: @escaping MachineEventSink) {
        self.clock = clock
        self.lock = lock
        self.events = events
    }
}

/// A one-shot timer of a device's. Arming and disarming happen under the device lock, and so does the action; hence a
/// firing that was overtaken by either does nothing.
// Sendable: all state is guarded by the device lock.
package final class DeviceTimer: @unchecked Sendable {
    private let environment: DeviceEnvironment
    private var timer: ClockTimer?
    private var action: (() -> Void)?

    /// Clock time of the next expiry in nanoseconds; nil when disarmed.
    package private(set) var deadline: UInt64?

    /// Makes a disarmed timer without an action.
    package init(_ environment: DeviceEnvironment) {
        self.environment = environment
        timer = ClockTimer(clock: environment.clock) { [weak self] in self?.fire() }
    }

    deinit { timer?.disarm() }

    /// Sets what an expiry does.
    package func onExpiry(_ action: @escaping () -> Void) { self.action = action }

    /// Arms at a clock time in nanoseconds, or disarms with nil. Arming for the deadline that stands is free.
    package func arm(at deadline: UInt64?) {
        guard deadline != self.deadline else { return }
        self.deadline = deadline
        if let deadline { timer?.arm(at: deadline) } else { timer?.disarm() }
    }

    /// Expires now if the deadline has passed, for accesses that show what time has brought. With the lock held.
    package func catchUp() {
        guard let deadline, deadline <= environment.clock.now() else { return }
        self.deadline = nil
        action?()
    }

    private func fire() { environment.lock.withLock { catchUp() } }
}

// The one source of time of a VM: host time, or counted guest instructions. Devices and local APICs read it and arm
// timers on it; nothing else in a VM may look at a clock (the CMOS RTC's start date apart).

import Foundation
import Synchronization

/// Nanoseconds since the VM was first started. Thread-safe.
///
/// In host mode a thread of its own fires timers. In instruction mode time passes only through `advance(to:)`, one
/// nanosecond for each guest instruction, and timers fire inside it, so that two runs are identical.
public final class Clock: Sendable {
    /// What drives the clock.
    public enum Source: String, Sendable, Codable {
        /// The host's monotonic clock.
        case host
        /// Retired guest instructions.
        case instructions
    }

    /// What drives this clock.
    public let source: Source

    /// Frequency of the guest's time-stamp counter: it counts this clock's nanoseconds.
    public static let tscFrequency: UInt64 = 1_000_000_000

    private struct State {
        var base: UInt64 = 0  // clock time at `startedAt`, or the time itself while stopped or counted
        var startedAt: UInt64?
        var timers: [ObjectIdentifier: (deadline: UInt64, timer: ClockTimer)] = [:]
        var threadRunning = false
        var wakeAt: UInt64 = .max
    }

    // SAFETY: all access to `state` is between `condition.lock()` and `condition.unlock()`.
    nonisolated(unsafe) private var state = State()
    private let condition = NSCondition()

    /// Makes a stopped clock at time 0.
    public init(source: Source) { self.source = source }

    /// The time in nanoseconds.
    public func now() -> UInt64 {
        condition.lock()
        defer { condition.unlock() }
        return lockedNow()
    }

    /// Sets the time of a stopped clock (restoring a snapshot).
    public func set(to time: UInt64) {
        condition.lock()
        state.base = time
        if state.startedAt != nil { state.startedAt = Self.hostNow() }
        condition.broadcast()
        condition.unlock()
    }

    /// Lets time pass (host mode; counted time passes by `advance` only).
    public func start() {
        condition.lock()
        defer { condition.unlock() }
        guard source == .host, state.startedAt == nil else { return }
        state.startedAt = Self.hostNow()
        if !state.threadRunning {
            state.threadRunning = true
            let thread = Thread { [weak self] in Clock.fireTimers { self } }
            thread.name = "clock"
            thread.start()
        }
        condition.broadcast()
    }

    /// Stops time.
    public func stop() {
        condition.lock()
        defer { condition.unlock() }
        state.base = lockedNow()
        state.startedAt = nil
        condition.broadcast()
    }

    /// The earliest deadline of all armed timers.
    public func nextDeadline() -> UInt64? {
        condition.lock()
        defer { condition.unlock() }
        return state.timers.values.lazy.map(\.deadline).min()
    }

    /// Instruction mode: moves time forward to `time`, firing each timer that comes due at its own deadline.
    public func advance(to time: UInt64) {
        while true {
            condition.lock()
            guard let due = earliest(), due.deadline <= time else {
                state.base = max(state.base, time)
                condition.unlock()
                return
            }
            state.base = max(state.base, due.deadline)
            state.timers[ObjectIdentifier(due.timer)] = nil
            condition.unlock()
            due.timer.fire()
        }
    }

    // MARK: Timers

    func arm(_ timer: ClockTimer, at deadline: UInt64) {
        condition.lock()
        state.timers[ObjectIdentifier(timer)] = (deadline, timer)
        if deadline < state.wakeAt { condition.broadcast() }
        condition.unlock()
    }

    func disarm(_ timer: ClockTimer) {
        condition.lock()
        state.timers[ObjectIdentifier(timer)] = nil
        condition.unlock()
    }

    func deadline(of timer: ClockTimer) -> UInt64? {
        condition.lock()
        defer { condition.unlock() }
        return state.timers[ObjectIdentifier(timer)]?.deadline
    }

    private func earliest() -> (deadline: UInt64, timer: ClockTimer)? {
        state.timers.values.min { $0.deadline < $1.deadline }
    }

    private func lockedNow() -> UInt64 {
        guard let startedAt = state.startedAt else { return state.base }
        return state.base + (Self.hostNow() - startedAt)
    }

    private static func hostNow() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Body of the timer thread. It holds the clock only while it works, so that a clock that is let go ends its thread
    /// within a second.
    private static func fireTimers(_ clock: () -> Clock?) {
        while let self = clock() {
            self.condition.lock()
            if self.state.startedAt == nil {
                self.state.threadRunning = false
                self.condition.unlock()
                return
            }
            let now = self.lockedNow()
            if let due = self.earliest(), due.deadline <= now {
                self.state.timers[ObjectIdentifier(due.timer)] = nil
                self.condition.unlock()
                due.timer.fire()
                continue
            }
            let wait = min((self.earliest()?.deadline ?? .max) - now, 1_000_000_000)
            self.state.wakeAt = now + wait
            _ = self.condition.wait(until: Date(timeIntervalSinceNow: Double(wait) / 1e9))
            self.state.wakeAt = .max
            self.condition.unlock()
        }
    }
}

/// A one-shot timer on a clock. Its action runs on the clock's thread (host mode) or inside `Clock.advance`.
public final class ClockTimer: Sendable {
    private let clock: Clock
    private let action: @Sendable () -> Void

    /// Makes a disarmed timer.
    public init(clock: Clock, action: @escaping @Sendable () -> Void) {
        self.clock = clock
        self.action = action
    }

    /// Fires once when the clock reaches `deadline` (nanoseconds); replaces an earlier deadline.
    public func arm(at deadline: UInt64) { clock.arm(self, at: deadline) }

    /// Takes the deadline back. A firing that has begun may still end.
    public func disarm() { clock.disarm(self) }

    /// The deadline, if armed.
    public var deadline: UInt64? { clock.deadline(of: self) }

    func fire() { action() }
}

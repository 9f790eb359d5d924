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

    // SAFETY: one word for the life of the clock; written by the running vCPU and by `advance`, never at once.
    /// Instruction mode: the time, which the vCPU that runs stores as its instructions retire.
    nonisolated(unsafe) public let counted = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)

    /// Host mode: while time passes, host time minus clock time; otherwise the time at which it stands.
    private let offset = Atomic<UInt64>(0)
    private let standing = Atomic<UInt64>(0)
    private let running = Atomic<Bool>(false)

    private struct State {
        var timers: [ObjectIdentifier: (deadline: UInt64, timer: ClockTimer)] = [:]
        var threadRunning = false
        /// The clock's thread is in a timer's action.
        var isFiring = false
        var earlierDeadline: (@Sendable () -> Void)?
        var wakeAt: UInt64 = .max
        var timersMade: UInt64 = 0
    }

    // SAFETY: all access to `state` is between `condition.lock()` and `condition.unlock()`.
    nonisolated(unsafe) private var state = State()
    private let condition = NSCondition()

    /// Makes a stopped clock at time 0.
    public init(source: Source) {
        self.source = source
        counted.initialize(to: 0)
    }

    deinit { counted.deallocate() }

    /// The time in nanoseconds. Takes no lock.
    public func now() -> UInt64 {
        if source == .instructions { return counted.pointee }
        if running.load(ordering: .acquiring) { return Self.hostNow() &- offset.load(ordering: .relaxed) }
        return standing.load(ordering: .relaxed)
    }

    /// Sets the time of a stopped clock (restoring a snapshot).
    public func set(to time: UInt64) {
        condition.lock()
        counted.pointee = time
        standing.store(time, ordering: .relaxed)
        offset.store(Self.hostNow() &- time, ordering: .relaxed)
        condition.broadcast()
        condition.unlock()
    }

    /// Lets time pass (host mode; counted time passes by `advance` only).
    public func start() {
        condition.lock()
        defer { condition.unlock() }
        guard source == .host, !running.load(ordering: .relaxed) else { return }
        offset.store(Self.hostNow() &- standing.load(ordering: .relaxed), ordering: .relaxed)
        running.store(true, ordering: .releasing)
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
        guard running.load(ordering: .relaxed) else { return }
        standing.store(now(), ordering: .relaxed)
        running.store(false, ordering: .releasing)
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
                counted.pointee = max(counted.pointee, time)
                condition.unlock()
                return
            }
            counted.pointee = max(counted.pointee, due.deadline)
            state.timers[ObjectIdentifier(due.timer)] = nil
            condition.unlock()
            due.timer.fire()
        }
    }

    /// Host mode, while the clock stands still: fires the timers that had come due when it was stopped, and waits for one that
    /// is being fired. Nothing is under way afterwards. Not from a timer's action.
    public func settle() {
        guard source == .host else { return }
        while true {
            condition.lock()
            while state.isFiring { condition.wait() }
            guard let due = earliest(), due.deadline <= now() else { return condition.unlock() }
            state.timers[ObjectIdentifier(due.timer)] = nil
            condition.unlock()
            due.timer.fire()
        }
    }

    /// Instruction mode: calls `action` whenever a timer is armed before all others, so that whoever runs instructions up
    /// to the next deadline can stop and look again.
    public func onEarlierDeadline(_ action: @escaping @Sendable () -> Void) {
        condition.lock()
        state.earlierDeadline = action
        condition.unlock()
    }

    // MARK: Timers

    func arm(_ timer: ClockTimer, at deadline: UInt64) {
        condition.lock()
        let first = source == .instructions && deadline < (earliest()?.deadline ?? .max)
        state.timers[ObjectIdentifier(timer)] = (deadline, timer)
        if deadline < state.wakeAt { condition.broadcast() }
        let observer = first ? state.earlierDeadline : nil
        condition.unlock()
        observer?()
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
        state.timers.values.min { ($0.deadline, $0.timer.number) < ($1.deadline, $1.timer.number) }
    }

    fileprivate func numberTimer() -> UInt64 {
        condition.lock()
        defer { condition.unlock() }
        state.timersMade += 1
        return state.timersMade
    }

    private static func hostNow() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Body of the timer thread. It holds the clock only while it works, so that a clock that is let go ends its thread
    /// within a quarter of a second.
    private static func fireTimers(_ clock: () -> Clock?) {
        while let self = clock() {
            self.condition.lock()
            if !self.running.load(ordering: .relaxed) {
                self.state.threadRunning = false
                self.condition.unlock()
                return
            }
            let now = self.now()
            if let due = self.earliest(), due.deadline <= now {
                self.state.timers[ObjectIdentifier(due.timer)] = nil
                self.state.isFiring = true
                self.condition.unlock()
                due.timer.fire()
                self.condition.lock()
                self.state.isFiring = false
                self.condition.broadcast()
                self.condition.unlock()
                continue
            }
            let wait = min((self.earliest()?.deadline ?? .max) - now, 250_000_000)
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
    /// Timers that come due at once fire in the order in which they were made, so that runs in counted time agree.
    fileprivate let number: UInt64

    /// Makes a disarmed timer.
    public init(clock: Clock, action: @escaping @Sendable () -> Void) {
        self.clock = clock
        number = clock.numberTimer()
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

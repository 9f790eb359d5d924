// The local APIC's timer (SDM volume 3, section 11.5.4): one-shot and periodic counts of a 1 GHz input clock behind the
// divider, and the TSC-deadline mode. Time is the VM's clock; an expiry is posted to the inbox like everything else
// that comes from another thread.

import VirtualCPU

/// What the timer's firing needs, on whatever thread the clock fires it.
struct TimerState {
    /// Set once in `LocalAPIC.init`.
    var timer: ClockTimer?
    /// Clock time of the next expiry, nanoseconds.
    var deadline: UInt64?
    /// Nanoseconds from expiry to expiry; 0 if there is only one.
    var period: UInt64 = 0

    mutating func arm(at deadline: UInt64?) {
        self.deadline = deadline
        if let deadline { timer?.arm(at: deadline) } else { timer?.disarm() }
    }
}

/// Timer modes, bits 18:17 of the LVT timer entry.
private enum TimerMode: UInt32 {
    case oneShot, periodic, tscDeadline, reserved
}

extension LocalAPIC {
    /// Expiries of a periodic timer closer together than this, in nanoseconds, merge, as they would in IRR: a guest must
    /// not be able to keep the clock busy for good.
    static let shortestPeriod: UInt64 = 1000

    /// IA32_TSC_DEADLINE: 0 when disarmed; writes count in TSC-deadline mode only.
    public var tscDeadline: UInt64 {
        get {
            drain()
            return core.pointee.tscDeadline
        }
        set {
            guard mode == .tscDeadline else { return }
            drain()
            core.pointee.tscDeadline = newValue
            armTSCDeadline()
            alertIfDeliverable()
        }
    }

    /// The guest's time-stamp counter minus the clock, modulo 2⁶⁴. A deadline that is armed moves with it.
    public func setTSCOffset(_ offset: UInt64) {
        guard offset != core.pointee.tscOffset else { return }
        core.pointee.tscOffset = offset
        if mode == .tscDeadline, core.pointee.tscDeadline != 0 { armTSCDeadline() }
    }

    // MARK: Registers

    private var mode: TimerMode { TimerMode(rawValue: page[APICRegister.lvtTimer] >> 17 & 3) ?? .reserved }

    /// log2 of the divisor: 000 is 2, …, 110 is 128, 111 is 1 (SDM volume 3, figure 11-10).
    private var divisorShift: UInt64 {
        let value = UInt64(page[APICRegister.divide])
        return ((value >> 1 & 4 | value & 3) + 1) & 7
    }

    func setInitialCount(_ count: UInt32) {
        guard mode == .oneShot || mode == .periodic else { return }
        page[APICRegister.initialCount] = count
        startTimer(remaining: UInt64(count))
    }

    /// A new divisor counts from here on.
    func setDivide(_ value: UInt32) {
        let remaining = UInt64(currentCount())
        page[APICRegister.divide] = value
        if mode == .oneShot || mode == .periodic { startTimer(remaining: remaining) }
    }

    /// CCR: how far the count has come down.
    func currentCount() -> UInt32 {
        let (armed, period) = timer.withLock { ($0.deadline, $0.period) }
        guard mode == .oneShot || mode == .periodic, var deadline = armed else { return 0 }
        let now = clock.now()
        if deadline <= now {
            guard period > 0 else { return 0 }
            // The clock is about to fire it; the count has begun anew already.
            deadline += ((now - deadline) / period + 1) * period
        }
        let shift = divisorShift
        return UInt32(clamping: (deadline - now + (1 << shift) - 1) >> shift)
    }

    /// The LVT entry was written: a change into or out of TSC-deadline mode disarms.
    func timerEntryChanged(from old: UInt32) {
        let oldMode = TimerMode(rawValue: old >> 17 & 3) ?? .reserved
        guard oldMode != mode else { return }
        if mode == .tscDeadline || oldMode == .tscDeadline || mode == .reserved {
            core.pointee.tscDeadline = 0
            page[APICRegister.initialCount] = 0
            stopTimer()
        } else {
            // A one-shot count that has come to its end, though nobody has fired it yet, is not taken up again.
            timerFired()
            let period = self.period
            timer.withLock { state in
                if state.deadline == nil { state.arm(at: nil) }
                state.period = period
            }
        }
    }

    // MARK: Starting and stopping

    private var period: UInt64 {
        mode == .periodic ? UInt64(page[APICRegister.initialCount]) << divisorShift : 0
    }

    private func startTimer(remaining: UInt64) {
        let deadline = remaining == 0 ? nil : clock.now() + remaining << divisorShift
        let period = self.period
        timer.withLock { state in
            state.period = period
            state.arm(at: deadline)
        }
    }

    private func armTSCDeadline() {
        let target = core.pointee.tscDeadline
        guard target != 0 else { return stopTimer() }
        let now = clock.now()
        let tsc = now &+ core.pointee.tscOffset
        if target <= tsc {
            stopTimer()
            inbox.raise(Inbox.timer)
            attention()
        } else {
            let (deadline, beyond) = now.addingReportingOverflow(target - tsc)
            timer.withLock { state in
                state.period = 0
                state.arm(at: beyond ? .max : deadline)
            }
        }
    }

    func stopTimer() {
        timer.withLock { state in
            state.period = 0
            state.arm(at: nil)
        }
    }

    /// After an import: the registers are in place.
    func restoreTimer(deadline: UInt64?) {
        let period = self.period
        timer.withLock { state in
            state.period = period
            state.arm(at: deadline)
        }
    }

    // MARK: Expiry

    /// The clock fired, on any thread. A firing that was overtaken by a new deadline does nothing.
    func timerFired() {
        let now = clock.now()
        let expired = timer.withLock { state in
            guard let deadline = state.deadline, deadline <= now else { return false }
            guard state.period > 0 else {
                state.deadline = nil
                inbox.raise(Inbox.timer)
                return true
            }
            // The next expiry in step with the count; those that are past already merge into this one.
            let late = now - deadline
            let skipped = (late + (state.period < Self.shortestPeriod ? Self.shortestPeriod : 0)) / state.period
            state.arm(at: deadline + (skipped + 1) * state.period)
            inbox.raise(Inbox.timer)
            return true
        }
        if expired { attention() }
    }

    /// The expiry as the vCPU's thread sees it.
    func timerExpired() {
        if mode == .tscDeadline { core.pointee.tscDeadline = 0 }
        let entry = page[APICRegister.lvtTimer]
        if entry & LVT.masked == 0 { request(UInt8(truncatingIfNeeded: entry)) }
    }
}

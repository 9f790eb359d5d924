// One counter of the 8254 (Intel 231164): what it reads, what its output is and when the output rises, all derived from
// the clock. No state changes with time alone except a reload that was waiting for its period to end.

import VirtualCPU

/// Conversion between the clock's nanoseconds and ticks of the PIT's input, 1,193,182 Hz.
enum PITTime {
    static let frequency: UInt64 = 1_193_182
    private static let second: UInt64 = 1_000_000_000

    /// Whole ticks in a span.
    static func ticks(_ nanoseconds: UInt64) -> UInt64 {
        second.dividingFullWidth(nanoseconds.multipliedFullWidth(by: frequency)).quotient
    }

    /// The first nanosecond at which that many ticks have passed.
    static func nanoseconds(_ ticks: UInt64) -> UInt64 {
        let product = ticks.multipliedFullWidth(by: second)
        guard product.high < frequency else { return .max }
        let (quotient, remainder) = frequency.dividingFullWidth(product)
        return remainder == 0 ? quotient : quotient &+ 1
    }
}

/// The behaviour of a counter over its engine-neutral state.
struct PITCounter {
    var state = PITChannelState()

    /// Rising edges closer together than this, in nanoseconds, merge: a guest must not keep the clock busy for good.
    static let shortestPeriod: UInt64 = 2000

    // MARK: Counting

    private var modulus: UInt64 { state.bcd ? 10_000 : 0x1_0000 }
    /// The initial count; 0 stands for the modulus, and 1 is not allowed in periodic modes.
    private var initial: UInt64 {
        let count = state.reload == 0 ? modulus : UInt64(state.reload)
        return periodic ? max(count, 2) : count
    }
    private var periodic: Bool { state.mode == 2 || state.mode == 3 }
    private var startedByGate: Bool { state.mode == 1 || state.mode == 5 }

    private func elapsed(_ now: UInt64) -> UInt64 {
        state.pausedAt ?? PITTime.ticks(now > state.loadTime ? now - state.loadTime : 0)
    }

    /// Lets a reload take over whose time has come.
    mutating func settle(_ now: UInt64) {
        guard let next = state.nextReload, now >= state.nextLoadTime else { return }
        state.reload = next
        state.loadTime = state.nextLoadTime
        state.nextReload = nil
    }

    /// The counting element.
    private func count(_ now: UInt64) -> UInt16 {
        let passed = elapsed(now)
        let value: UInt64
        switch state.mode {
        case 2: value = initial - passed % initial
        case 3:
            // It counts down by two, twice a period; an odd count spends its extra tick in the high half.
            let phase = passed % initial
            let high = (initial + 1) / 2
            let even = initial & ~1
            value = even - 2 * (phase < high ? phase : phase - high)
        default:
            let running = state.loaded && (!startedByGate || state.triggered)
            value = running ? (initial + modulus - passed % modulus) % modulus : initial
        }
        let count = value % modulus
        return UInt16(truncatingIfNeeded: state.bcd ? Self.bcd(count) : count)
    }

    private static func bcd(_ value: UInt64) -> UInt64 {
        (value / 1000 % 10) << 12 | (value / 100 % 10) << 8 | (value / 10 % 10) << 4 | value % 10
    }

    private static func binary(_ bcd: UInt16) -> UInt32 {
        let digits = (0..<4).map { UInt32(bcd >> UInt16($0 * 4) & 0xf) }
        return min(digits[0] + 10 * digits[1] + 100 * digits[2] + 1000 * digits[3], 9999)
    }

    // MARK: Output

    /// OUT (8254, figures 15 to 20).
    func output(_ now: UInt64) -> Bool {
        let passed = elapsed(now)
        switch state.mode {
        case 0: return state.loaded && passed >= initial
        case 1: return !state.triggered || passed >= initial
        case 2: return !state.loaded || !state.gate || passed % initial != initial - 1
        case 3: return !state.loaded || !state.gate || passed % initial < (initial + 1) / 2
        case 4: return !state.loaded || passed != initial
        default: return !state.triggered || passed != initial
        }
    }

    /// When OUT rises next after `now`, as long as nothing is written; nil if it does not.
    func nextRise(after now: UInt64) -> UInt64? {
        guard state.loaded, state.pausedAt == nil, !startedByGate || state.triggered else { return nil }
        if periodic {
            if state.nextReload != nil { return state.nextLoadTime }
            var period = elapsed(now) / initial + 1
            var rise = riseTime(period * initial)
            while rise <= now || rise - now < Self.shortestPeriod && initial < 3 {
                period += 1
                rise = riseTime(period * initial)
            }
            return rise
        }
        let rise = riseTime(state.mode == 4 || state.mode == 5 ? initial + 1 : initial)
        return rise > now ? rise : nil
    }

    private func riseTime(_ ticks: UInt64) -> UInt64 {
        let (time, beyond) = state.loadTime.addingReportingOverflow(PITTime.nanoseconds(ticks))
        return beyond ? .max : time
    }

    // MARK: Gate

    /// Drives GATE.
    mutating func setGate(_ gate: Bool, _ now: UInt64) {
        guard gate != state.gate else { return }
        settle(now)
        let passed = elapsed(now)
        state.gate = gate
        switch (state.mode, gate) {
        case (1, true), (5, true):
            guard state.loaded else { return }
            if let next = state.nextReload { state.reload = next }
            state.nextReload = nil
            state.triggered = true
            state.loadTime = now
        case (2, true), (3, true):
            if let next = state.nextReload { state.reload = next }
            state.nextReload = nil
            state.pausedAt = nil
            state.loadTime = now
        case (_, true):
            guard let paused = state.pausedAt else { return }
            state.pausedAt = nil
            let before = PITTime.nanoseconds(paused)
            state.loadTime = now > before ? now - before : 0
        case (1, false), (5, false): break
        case (_, false):
            if state.loaded { state.pausedAt = passed }
        }
    }

    // MARK: Ports

    /// A control word for this counter; access 0 latches the count.
    mutating func control(_ word: UInt8, _ now: UInt64) {
        settle(now)
        let access = word >> 4 & 3
        guard access != 0 else { return latchCount(now) }
        let mode = word >> 1 & 7
        let gate = state.gate
        state = PITChannelState()
        state.gate = gate
        state.access = access
        state.mode = mode > 5 ? mode - 4 : mode
        state.bcd = word & 1 != 0
        state.loadTime = now
    }

    /// Latches the count until it is read.
    mutating func latchCount(_ now: UInt64) {
        settle(now)
        if state.latchedCount == nil { state.latchedCount = count(now) }
    }

    /// Latches the status until it is read (8254, figure 12).
    mutating func latchStatus(_ now: UInt64) {
        settle(now)
        guard state.latchedStatus == nil else { return }
        let null: UInt8 = !state.loaded || state.nextReload != nil ? 1 << 6 : 0
        let mode = state.access << 4 | state.mode << 1 | (state.bcd ? 1 : 0)
        state.latchedStatus = (output(now) ? 1 << 7 : 0) | null | mode
    }

    /// Reads the counter's port.
    mutating func read(_ now: UInt64) -> UInt8 {
        settle(now)
        if let status = state.latchedStatus {
            state.latchedStatus = nil
            return status
        }
        let value = state.latchedCount ?? count(now)
        let high = state.access == 2 || state.access == 3 && state.readHigh
        if state.access == 3 { state.readHigh.toggle() }
        if state.access != 3 || high { state.latchedCount = nil }
        return UInt8(truncatingIfNeeded: high ? value >> 8 : value)
    }

    /// Writes the counter's port.
    mutating func write(_ value: UInt8, _ now: UInt64) {
        settle(now)
        switch state.access {
        case 1: load(UInt16(value), now)
        case 2: load(UInt16(value) << 8, now)
        default:
            if let low = state.writeLow {
                state.writeLow = nil
                load(UInt16(low) | UInt16(value) << 8, now)
            } else {
                state.writeLow = value
                // The first byte of a two-byte count stops mode 0 with OUT low.
                if state.mode == 0 { state.loaded = false }
            }
        }
    }

    /// A count is complete.
    private mutating func load(_ value: UInt16, _ now: UInt64) {
        let reload = state.bcd ? Self.binary(value) : UInt32(value)
        if periodic, state.loaded, state.pausedAt == nil {
            // It takes over when the period ends. (The 8254 takes it at the half in mode 3; nobody can tell but by ear.)
            state.nextReload = reload
            state.nextLoadTime = riseTime((elapsed(now) / initial + 1) * initial)
            return
        }
        if startedByGate, state.triggered {
            // The running one-shot keeps its length; the next trigger takes the new one.
            state.nextReload = reload
            state.nextLoadTime = .max
            return
        }
        state.reload = reload
        state.loaded = true
        state.loadTime = now
        state.pausedAt = state.gate || startedByGate ? nil : 0
    }

    /// Whether a state is one that a counter can be in.
    static func isValid(_ state: PITChannelState) -> Bool {
        let limit: UInt32 = state.bcd ? 10_000 : 0x1_0000
        return state.mode <= 5 && (1...3).contains(state.access) && state.reload <= limit
            && state.nextReload ?? 0 <= limit && state.pausedAt ?? 0 < 1 << 60
    }
}

// Where the translator's time goes: the time-stamp counter read at the border between two stages, and the difference
// added to the stage that ends there. Only if somebody asked for it: entering generated code costs about as much as
// the two readings around it.

import CPrimitives
import Glibc

/// A stage of the pipeline, or what interrupts it.
enum TranslationStage {
    case lookup, decode, lower, encode, link, execute, interpret, events
}

/// Host time by stage, in ticks of the host's time-stamp counter.
struct StageTimes {
    let isOn: Bool
    private var mark: UInt64 = 0
    private(set) var lookup: UInt64 = 0
    private(set) var decode: UInt64 = 0
    private(set) var lower: UInt64 = 0
    private(set) var encode: UInt64 = 0
    private(set) var link: UInt64 = 0
    private(set) var execute: UInt64 = 0
    private(set) var interpret: UInt64 = 0
    private(set) var events: UInt64 = 0
    private let start: (ticks: UInt64, nanoseconds: UInt64)

    init(isOn: Bool) {
        self.isOn = isOn
        start = (tz_read_tsc(), Self.now())
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) &* 1_000_000_000 &+ UInt64(time.tv_nsec)
    }

    /// The first stage begins.
    @inline(__always) mutating func begin() { if isOn { mark = tz_read_tsc() } }

    /// A stage ends, and the next one begins.
    @inline(__always) mutating func end(_ stage: TranslationStage) { if isOn { charge(stage) } }

    @inline(never) private mutating func charge(_ stage: TranslationStage) {
        let now = tz_read_tsc()
        let ticks = now &- mark
        mark = now
        switch stage {
        case .lookup: lookup &+= ticks
        case .decode: decode &+= ticks
        case .lower: lower &+= ticks
        case .encode: encode &+= ticks
        case .link: link &+= ticks
        case .execute: execute &+= ticks
        case .interpret: interpret &+= ticks
        case .events: events &+= ticks
        }
    }

    /// Nanoseconds in a tick, by the host's clock since this value was made.
    var tick: Double {
        let ticks = tz_read_tsc() &- start.ticks
        return ticks > 0 ? Double(Self.now() &- start.nanoseconds) / Double(ticks) : 0
    }
}

// The CMOS clock (MC146818A) and the battery-backed memory behind ports 0x70 and 0x71. The date runs with the VM's clock
// from a start that the machine is given; flags are brought up to date when something looks at them.

import VirtualCPU

/// The clock's registers and memory.
package struct CMOSState: Codable, Equatable, Sendable {
    /// The register that the data port means.
    var index: UInt8 = 0
    /// Register A without UIP.
    var registerA: UInt8 = 0x26
    var registerB: UInt8 = 0x02
    /// PF, AF and UF of register C.
    var flags: UInt8 = 0
    /// Seconds, minutes and hours of the alarm, as written.
    var alarm: [UInt8] = [0, 0, 0]
    /// Date minus the whole seconds of the clock, in seconds since 1970.
    var secondsOffset: Int64
    /// Where in a second the clock's zero lies, in nanoseconds.
    var phase: UInt64
    /// Weekday as set minus that of the date, modulo 7.
    var weekdayOffset = 0
    /// The date while updates are inhibited.
    var held: CalendarTime?
    /// The last second and the last periodic tick whose flags are set.
    var seenSecond: UInt64 = 0
    var seenTick: UInt64 = 0
    /// The 128 bytes; what the clock occupies of them is unused.
    var memory = [UInt8](repeating: 0, count: 128)
}

/// The clock. Its port offsets: 0 is the index, 1 the data.
package final class CMOSRTC: PortDevice, StatefulDevice {
    private enum B {
        static let hours24: UInt8 = 1 << 1
        static let binary: UInt8 = 1 << 2
        static let updateEnable: UInt8 = 1 << 4
        static let alarmEnable: UInt8 = 1 << 5
        static let periodicEnable: UInt8 = 1 << 6
        static let set: UInt8 = 1 << 7
    }
    private enum C {
        static let update: UInt8 = 1 << 4
        static let alarm: UInt8 = 1 << 5
        static let periodic: UInt8 = 1 << 6
        static let request: UInt8 = 1 << 7
    }
    private static let second: UInt64 = 1_000_000_000
    /// UIP warns this long before an update (MC146818A, table 6), in nanoseconds.
    private static let updateWarning: UInt64 = 244_000
    private static let century: UInt8 = 0x32

    private let environment: DeviceEnvironment
    private let line: InterruptLine
    private let timer: DeviceTimer
    private var state: CMOSState

    /// Makes a clock that shows `date`, nanoseconds since 1970 UTC, at the VM's time 0, in a machine with `memorySize` bytes
    /// of RAM.
    package init(_ environment: DeviceEnvironment, line: InterruptLine, date: UInt64, memorySize: UInt64) {
        self.environment = environment
        self.line = line
        timer = DeviceTimer(environment)
        state = CMOSState(secondsOffset: Int64(date / Self.second), phase: date % Self.second)
        state.memory = Self.memory(describing: memorySize)
        timer.onExpiry { [weak self] in self?.refresh() }
    }

    /// The bytes in which firmware finds the memory's size.
    private static func memory(describing size: UInt64) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 128)
        func store(_ value: UInt64, at index: Int, bytes count: Int) {
            let limited = min(value, (1 << UInt64(count * 8)) - 1)
            for byte in 0..<count { bytes[index + byte] = UInt8(truncatingIfNeeded: limited >> UInt64(byte * 8)) }
        }
        let low = min(size, 0xc000_0000)
        bytes[0x14] = 0x02  // a floating-point unit, no floppy drives
        store(min(low >> 10, 640), at: 0x15, bytes: 2)
        let extended = low > 1 << 20 ? (low - 1 << 20) >> 10 : 0
        store(extended, at: 0x17, bytes: 2)
        store(extended, at: 0x30, bytes: 2)
        store(low > 16 << 20 ? (low - 16 << 20) >> 16 : 0, at: 0x34, bytes: 2)
        store((size - low) >> 16, at: 0x5b, bytes: 3)
        let sum = bytes[0x10...0x2d].reduce(UInt16(0)) { $0 &+ UInt16($1) }
        (bytes[0x2e], bytes[0x2f]) = (UInt8(sum >> 8), UInt8(truncatingIfNeeded: sum))
        return bytes
    }

    // MARK: Time

    private var now: UInt64 { environment.clock.now() }
    private var divided: UInt64 { now &+ state.phase }
    private var secondIndex: UInt64 { divided / Self.second }
    private var dividerReset: Bool { state.registerA & 0x60 == 0x60 }

    private var date: CalendarTime {
        state.held ?? CalendarTime(secondsSince1970: Int64(secondIndex) &+ state.secondsOffset)
    }

    private func setDate(_ date: CalendarTime) {
        let date = date.limited
        if state.held != nil {
            state.held = date
        } else {
            state.secondsOffset = date.secondsSince1970 &- Int64(secondIndex)
        }
    }

    /// SET and the divider's reset stop the date; when neither does, it goes on from where it was or was set to.
    private func holdOrRelease() {
        let hold = state.registerB & B.set != 0 || dividerReset
        if hold, state.held == nil {
            state.held = date
        } else if !hold, let held = state.held {
            state.held = nil
            setDate(held)
        }
    }

    // MARK: Flags and interrupts

    /// Frequency of the periodic interrupt in hertz; 0 for none.
    private var periodicRate: UInt64 {
        switch state.registerA & 0xf {
        case 0: 0
        case 1, 2: 512 >> UInt64(state.registerA & 0xf)
        default: 65_536 >> UInt64(state.registerA & 0xf)
        }
    }

    private var tickIndex: UInt64 {
        let product = divided.multipliedFullWidth(by: periodicRate)
        return Self.second.dividingFullWidth(product).quotient
    }

    /// Sets the flags of everything that has happened since the last look.
    private func catchUp() {
        let second = secondIndex
        if state.held == nil, second > state.seenSecond {
            state.flags |= C.update
            let before = Int64(state.seenSecond) &+ state.secondsOffset
            if let alarm = nextAlarm(after: before), alarm <= Int64(second) &+ state.secondsOffset {
                state.flags |= C.alarm
            }
        }
        state.seenSecond = second
        guard !dividerReset else { return }
        let tick = tickIndex
        if tick > state.seenTick { state.flags |= C.periodic }
        state.seenTick = tick
    }

    /// The first second after `seconds` (since 1970) that the alarm matches; nil if there is none.
    private func nextAlarm(after seconds: Int64) -> Int64? {
        let encoding = encoding
        // 0xc0 and above match anything.
        func value(_ register: UInt8, _ decode: (UInt8) -> Int) -> Int? { register >= 0xc0 ? nil : decode(register) }
        let second = value(state.alarm[0], encoding.decode)
        let minute = value(state.alarm[1], encoding.decode)
        let hour = value(state.alarm[2], encoding.decodeHour)
        var candidate = seconds + 1
        while candidate <= seconds + 86_400 {
            let time = CalendarTime(secondsSince1970: candidate)
            if let hour, time.hour != hour {
                candidate += Int64(3600 - time.minute * 60 - time.second)
            } else if let minute, time.minute != minute {
                candidate += Int64(60 - time.second)
            } else if let second, time.second != second {
                candidate += 1
            } else {
                return candidate
            }
        }
        return nil
    }

    /// Brings flags, interrupt and timer up to date.
    private func refresh() {
        catchUp()
        line.set(state.flags & state.registerB & 0x70 != 0)
        schedule()
    }

    /// Arms the timer for the next flag that is to interrupt and is not set yet.
    private func schedule() {
        let awaited = state.registerB & 0x70 & ~state.flags
        var next: UInt64?
        func consider(_ time: UInt64) { next = min(next ?? .max, time) }
        if state.held == nil {
            if awaited & B.updateEnable != 0 { consider((secondIndex + 1) * Self.second - state.phase) }
            if awaited & B.alarmEnable != 0,
                let alarm = nextAlarm(after: Int64(secondIndex) &+ state.secondsOffset)
            {
                consider(UInt64(alarm &- state.secondsOffset) * Self.second - state.phase)
            }
        }
        if awaited & B.periodicEnable != 0, periodicRate != 0, !dividerReset {
            consider(tickTime(tickIndex + 1) - state.phase)
        }
        timer.arm(at: next)
    }

    /// The first nanosecond of the divider chain at which that many periodic ticks have passed.
    private func tickTime(_ ticks: UInt64) -> UInt64 {
        let rate = periodicRate
        let product = ticks.multipliedFullWidth(by: Self.second)
        guard product.high < rate else { return .max }
        let (quotient, remainder) = rate.dividingFullWidth(product)
        return remainder == 0 ? quotient : quotient + 1
    }

    // MARK: Registers

    private var encoding: CMOSEncoding {
        CMOSEncoding(binary: state.registerB & B.binary != 0, hours24: state.registerB & B.hours24 != 0)
    }

    private func read(_ index: UInt8) -> UInt8 {
        let (date, encoding) = (date, encoding)
        switch index {
        case 0: return encoding.encode(date.second)
        case 2: return encoding.encode(date.minute)
        case 4: return encoding.encodeHour(date.hour)
        case 1, 3, 5: return state.alarm[Int(index) / 2]
        case 6: return encoding.encode((date.weekday - 1 + state.weekdayOffset) % 7 + 1)
        case 7: return encoding.encode(date.day)
        case 8: return encoding.encode(date.month)
        case 9: return encoding.encode(((date.year % 100) + 100) % 100)
        case Self.century: return encoding.encode(date.year / 100)
        case 0x0a:
            let left = Self.second - divided % Self.second
            return state.registerA | (state.held == nil && left <= Self.updateWarning ? 0x80 : 0)
        case 0x0b: return state.registerB
        case 0x0c: return readFlags()
        case 0x0d: return 0x80  // the battery is good
        default: return state.memory[Int(index)]
        }
    }

    /// Register C clears when it is read.
    private func readFlags() -> UInt8 {
        catchUp()
        let flags = state.flags
        state.flags = 0
        // The line falls even if the next tick is due by now: without an edge there is no further interrupt.
        line.set(false)
        refresh()
        return flags | (flags & state.registerB & 0x70 != 0 ? C.request : 0)
    }

    private func write(_ index: UInt8, _ value: UInt8) {
        catchUp()
        var date = date
        let number = encoding.decode(value)
        switch index {
        case 0: date.second = number
        case 2: date.minute = number
        case 4: date.hour = encoding.decodeHour(value)
        case 7: date.day = number
        case 8: date.month = number
        case 9: date.year = date.year / 100 * 100 + number % 100
        case Self.century: date.year = number % 100 * 100 + date.year % 100
        case 1, 3, 5: state.alarm[Int(index) / 2] = value
        case 6: state.weekdayOffset = ((number - date.weekday) % 7 + 7) % 7
        case 0x0a: writeA(value & 0x7f)
        case 0x0b: writeB(value)
        case 0x0c, 0x0d: break
        default: state.memory[Int(index)] = value
        }
        switch index {
        case 0, 2, 4, 7, 8, 9, Self.century: setDate(date)
        default: break
        }
        refresh()
    }

    private func writeA(_ value: UInt8) {
        let wasReset = dividerReset
        if wasReset, value & 0x60 != 0x60 {
            // The first update comes half a second after the divider starts (MC146818A, "divider control").
            let intoSecond = now % Self.second
            state.phase = (Self.second + Self.second / 2 - intoSecond) % Self.second
        }
        state.registerA = value
        holdOrRelease()
        state.seenTick = tickIndex
        state.seenSecond = secondIndex
    }

    private func writeB(_ value: UInt8) {
        // Setting SET clears the update interrupt's enable.
        let sets = value & ~state.registerB & B.set != 0
        state.registerB = sets ? value & ~B.updateEnable : value
        holdOrRelease()
    }

    // MARK: Ports

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        offset == 1 ? UInt32(read(state.index)) : 0xff
    }

    /// OUT. Bit 7 of the index, which masks NMIs on a PC, has no effect.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        if offset == 0 { state.index = value & 0x7f } else { write(state.index, value) }
    }

    // MARK: State

    /// Registers, date and memory.
    package func exportState() -> CMOSState { state }

    /// Puts them back and arms the next interrupt.
    package func importState(_ state: CMOSState) throws(DeviceStateError) {
        let plausible = Int64(-1) << 40...Int64(1) << 40
        guard state.index < 128, state.registerA < 0x80, state.alarm.count == 3, state.memory.count == 128,
            state.phase < Self.second, (0..<7).contains(state.weekdayOffset), plausible.contains(state.secondsOffset),
            state.held.map({ $0 == $0.limited }) ?? true
        else { throw DeviceStateError("not the state of a CMOS clock") }
        self.state = state
        schedule()
    }
}

// Calendar arithmetic for the CMOS clock: seconds since 1970 to date and back, in the proleptic Gregorian calendar, and
// the encodings of the clock's registers (MC146818A, tables 2 and 3).

/// A date and time of day, UTC.
struct CalendarTime: Equatable, Codable, Sendable {
    var year: Int
    /// 1…12.
    var month: Int
    /// 1…31.
    var day: Int
    /// 0…23.
    var hour: Int
    /// 0…59.
    var minute: Int
    /// 0…59.
    var second: Int

    /// The date that lies `seconds` after 1970 began.
    init(secondsSince1970 seconds: Int64) {
        let days = Int(seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400)
        let rest = Int(seconds) - days * 86_400
        (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
        // Years begin in March here, so that the leap day is a year's last; eras are 400 years of 146,097 days.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let march = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * march + 2) / 5 + 1
        month = march < 10 ? march + 3 : march - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Seconds since 1970; a day beyond the month's last carries over.
    var secondsSince1970: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = shiftedYear.floorDivided(by: 400)
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return Int64(days * 86_400 + hour * 3600 + minute * 60 + second)
    }

    /// Every field within what a date can have; what a guest may write is anything.
    var limited: CalendarTime {
        var date = self
        date.year = min(max(year, 0), 9999)
        date.month = min(max(month, 1), 12)
        date.day = min(max(day, 1), 31)
        date.hour = min(max(hour, 0), 23)
        date.minute = min(max(minute, 0), 59)
        date.second = min(max(second, 0), 59)
        return date
    }

    /// 1 for Sunday … 7 for Saturday.
    var weekday: Int {
        let days = Int(secondsSince1970).floorDivided(by: 86_400)
        return days + 4 - (days + 4).floorDivided(by: 7) * 7 + 1
    }
}

extension Int {
    fileprivate func floorDivided(by divisor: Int) -> Int {
        self >= 0 ? self / divisor : (self - divisor + 1) / divisor
    }
}

/// How register B says that times are encoded.
struct CMOSEncoding {
    /// DM: binary rather than BCD.
    let binary: Bool
    /// 24/12.
    let hours24: Bool

    func encode(_ value: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: binary ? value : (value / 10 % 10) << 4 | value % 10)
    }

    func decode(_ register: UInt8) -> Int {
        binary ? Int(register) : Int(register >> 4) * 10 + Int(register & 0xf)
    }

    /// In 12-hour mode bit 7 is PM, and midnight and noon are 12.
    func encodeHour(_ hour: Int) -> UInt8 {
        guard !hours24 else { return encode(hour) }
        let twelve = hour % 12
        return encode(twelve == 0 ? 12 : twelve) | (hour >= 12 ? 0x80 : 0)
    }

    func decodeHour(_ register: UInt8) -> Int {
        guard !hours24 else { return decode(register) }
        return decode(register & 0x7f) % 12 + (register & 0x80 != 0 ? 12 : 0)
    }
}

// Hexadecimal digits as the remote protocol has them: numbers with the most significant digit first, data byte by byte.

extension UInt8 {
    /// The value of a hexadecimal digit.
    static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The byte that two digits stand for.
    init?(hex high: UInt8, _ low: UInt8) {
        guard let high = Self.nibble(high), let low = Self.nibble(low) else { return nil }
        self = high << 4 | low
    }

    /// Two digits.
    var hexDigits: [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return [digits[Int(self >> 4)], digits[Int(self & 15)]]
    }
}

enum Hex {
    /// Data as digits.
    static func text(_ data: some Sequence<UInt8>) -> [UInt8] { data.flatMap(\.hexDigits) }

    /// The data that digits stand for; nil for an odd count or anything that is no digit.
    static func data(_ digits: some Collection<UInt8>) -> [UInt8]? {
        guard digits.count % 2 == 0 else { return nil }
        var data: [UInt8] = []
        data.reserveCapacity(digits.count / 2)
        var rest = digits[...]
        while let high = rest.popFirst(), let low = rest.popFirst() {
            guard let byte = UInt8(hex: high, low) else { return nil }
            data.append(byte)
        }
        return data
    }

    /// The number that 1 to 16 digits stand for.
    static func number(_ digits: some Collection<UInt8>) -> UInt64? {
        guard (1...16).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard let nibble = UInt8.nibble(digit) else { return nil }
            value = value << 4 | UInt64(nibble)
        }
        return value
    }

    /// A number without leading zeros.
    static func text(_ number: UInt64) -> String { String(number, radix: 16) }
}

/// Takes a packet apart from left to right.
struct PacketReader {
    private(set) var rest: ArraySlice<UInt8>

    init(_ packet: some Sequence<UInt8>) { rest = Array(packet)[...] }

    var isAtEnd: Bool { rest.isEmpty }

    /// Passes over `text` if it is next.
    mutating func skip(_ text: String) -> Bool {
        guard rest.starts(with: text.utf8) else { return false }
        rest = rest.dropFirst(text.utf8.count)
        return true
    }

    /// A hexadecimal number.
    mutating func number() -> UInt64? {
        let digits = rest.prefix { UInt8.nibble($0) != nil }
        guard let value = Hex.number(digits) else { return nil }
        rest = rest.dropFirst(digits.count)
        return value
    }

    /// Everything up to a separator, which is passed over, or to the end.
    mutating func field(until separator: Character) -> ArraySlice<UInt8> {
        let field = rest.prefix { $0 != separator.asciiValue }
        rest = rest.dropFirst(field.count + 1)
        return field
    }
}

// What both buses share: widths of accesses, and the errors of laying devices out.

/// Widths in which a device takes accesses; the raw value is the sum of the byte counts.
package struct AccessSizes: OptionSet, Sendable {
    /// Sum of the byte counts.
    package let rawValue: UInt8
    /// Makes a set of widths.
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// 1 byte.
    package static let byte = AccessSizes(rawValue: 1)
    /// 2 bytes.
    package static let word = AccessSizes(rawValue: 2)
    /// 4 bytes.
    package static let dword = AccessSizes(rawValue: 4)
    /// 8 bytes; MMIO only.
    package static let qword = AccessSizes(rawValue: 8)
    /// 1, 2 and 4 bytes.
    package static let upToDword: AccessSizes = [.byte, .word, .dword]

    /// Whether accesses of `size` bytes are taken.
    @inline(__always) package func contains(size: Int) -> Bool { Int(rawValue) & size != 0 }
}

/// Errors of placing devices.
package enum BusError: Error, Equatable, CustomStringConvertible {
    /// Two ranges meet: what was asked for, what is there.
    case overlap(new: String, existing: String)
    /// A range is empty, wraps around, or has no width.
    case invalid(String)
    /// The bus has no handle left.
    case full(String)

    /// The message in one line.
    package var description: String {
        switch self {
        case .overlap(let new, let existing): "\(new) would overlap \(existing)"
        case .invalid(let claim): "\(claim) is not a range that a device can have"
        case .full(let claim): "no room on the bus for \(claim)"
        }
    }
}

extension FixedWidthInteger {
    /// Hexadecimal with its prefix, for messages.
    var hex: String { "0x" + String(self, radix: 16) }
}

// What a guest says in a form that can be compared: lines of its console that it marks as results or as measurements.
// Everything else is text for people.

/// A guest's console, taken apart.
///
/// A line `result: TEXT` is a result: the same on every engine, or an engine is wrong. A line `measured: NAME = NUMBER UNIT`
/// is a number that is expected to differ; the unit may be missing. Marks stand at the beginning of a line.
public struct GuestReport: Sendable, Equatable {
    /// The texts of the results, in the order in which they came.
    public private(set) var results: [String] = []
    /// The measurements, likewise.
    public private(set) var measurements: [Measurement] = []
    /// All other lines, without their ends.
    public private(set) var otherLines: [String] = []

    /// A number that a guest has measured.
    public struct Measurement: Sendable, Equatable {
        /// What was measured.
        public var name: String
        /// How much.
        public var value: Double
        /// In which unit; empty if the guest gave none.
        public var unit: String

        /// Makes a measurement.
        public init(name: String, value: Double, unit: String) {
            self.name = name
            self.value = value
            self.unit = unit
        }
    }

    /// Takes a console apart. Lines end in LF or CR LF; bytes that are no UTF-8 become replacement characters.
    public init(console: some Collection<UInt8>) {
        let lines = console.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, bytes) in lines.enumerated() {
            var line = String(decoding: bytes, as: UTF8.self)
            while line.utf8.last == UInt8(ascii: "\r") { line.unicodeScalars.removeLast() }
            // What follows the last end is a line only if there is something in it.
            if index == lines.count - 1, line.isEmpty { break }
            if let text = Self.text(of: line, after: "result:") {
                results.append(text)
            } else if let measurement = Measurement(line) {
                measurements.append(measurement)
            } else {
                otherLines.append(line)
            }
        }
    }

    fileprivate static func text(of line: String, after mark: String) -> String? {
        guard line.hasPrefix(mark) else { return nil }
        return line.dropFirst(mark.count).trimmed
    }
}

extension GuestReport.Measurement {
    /// Reads a marked line; nil if it is none, or has no finite number.
    init?(_ line: String) {
        guard let text = GuestReport.text(of: line, after: "measured:"), let equals = text.lastIndex(of: "=") else {
            return nil
        }
        name = text[..<equals].trimmed
        let words = text[text.index(after: equals)...].split(separator: " ", maxSplits: 1)
        guard !name.isEmpty, let number = words.first.flatMap({ Double($0) }), number.isFinite else { return nil }
        value = number
        unit = words.count > 1 ? words[1].trimmed : ""
    }
}

extension StringProtocol {
    fileprivate var trimmed: String {
        guard let first = firstIndex(where: { !$0.isWhitespace }), let last = lastIndex(where: { !$0.isWhitespace })
        else { return "" }
        return String(self[first...last])
    }
}

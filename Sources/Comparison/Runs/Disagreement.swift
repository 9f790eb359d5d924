// Whether two runs of one guest came to the same: how they ended, and every line that the guest marks as a result.

/// The first thing in which a run does not agree with the run that it is compared with.
public enum Disagreement: Sendable, Equatable {
    /// They ended in different ways.
    case ending(expected: String, found: String)
    /// A result differs; nil stands for one that is missing. Results are numbered from 1.
    case result(number: Int, expected: String?, found: String?)

    /// Compares two runs; nil if they agree.
    public init?(
        expectedEnding: String, expected: GuestReport, foundEnding: String, found: GuestReport
    ) {
        let count = max(expected.results.count, found.results.count)
        for index in 0..<count {
            let a = index < expected.results.count ? expected.results[index] : nil
            let b = index < found.results.count ? found.results[index] : nil
            if a != b {
                self = .result(number: index + 1, expected: a, found: b)
                return
            }
        }
        guard expectedEnding != foundEnding else { return nil }
        self = .ending(expected: expectedEnding, found: foundEnding)
    }

    /// What differs, for people: its name, and both sides.
    public var sides: (what: String, expected: String, found: String) {
        switch self {
        case .ending(let expected, let found): ("the end", expected, found)
        case .result(let number, let expected, let found):
            ("result \(number)", expected ?? "missing", found ?? "missing")
        }
    }
}

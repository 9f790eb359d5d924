// What the environment asks of tests: more cases than the suite's, or a seed.

import Foundation

/// The whole number in an environment variable; `standard` if it is unset or no number.
public func setting<Number: FixedWidthInteger>(_ name: String, default standard: Number) -> Number {
    ProcessInfo.processInfo.environment[name].flatMap { Number($0) } ?? standard
}

/// How many random accesses a fuzz test makes: `TRAPEZE_FUZZ_CASES`, 100,000 unless told.
public let fuzzCases = setting("TRAPEZE_FUZZ_CASES", default: 100_000)

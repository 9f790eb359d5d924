// Random choices of the differential test.

import TestSupport

extension SplitMix64 {
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    /// True once in `n` times.
    mutating func once(in n: Int) -> Bool { below(n) == 0 }
    mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

    /// Operand values: the edges of each width as often as random bits.
    mutating func operand() -> UInt64 {
        switch below(8) {
        case 0: UInt64(below(4))
        case 1: 0 &- UInt64(below(4))
        case 2: 1 << UInt64(below(64)) &- UInt64(below(3))
        case 3: UInt64(below(256))
        case 4: UInt64(bitPattern: Int64(Int32(truncatingIfNeeded: next())))
        case 5: next() & next() & next()
        default: next()
        }
    }
}

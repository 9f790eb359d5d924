// A small seeded generator: a failing case must come again from its seed, on every host.

struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

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

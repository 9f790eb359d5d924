// Repeated measurements of one thing: the middle, and how far they spread.

/// At least one number, in order of size.
public struct Samples: Sendable, Equatable {
    private let sorted: [Double]

    /// Nil if there are none.
    public init?(_ values: [Double]) {
        guard !values.isEmpty else { return nil }
        sorted = values.sorted()
    }

    /// The middle one; of an even number, the mean of the two in the middle.
    public var median: Double {
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// The smallest and the largest.
    public var range: ClosedRange<Double> { sorted[0]...sorted[sorted.count - 1] }

    /// How many there are.
    public var count: Int { sorted.count }
}

// From linear instruction address to decoded block in one probe: a direct-mapped cache in front of the page walk and the
// code cache. An entry holds for one translation context, one mode and one generation; flushing is starting a new
// generation.

/// The cache of one vCPU.
struct JumpCache: ~Copyable {
    private struct Entry {
        var key: UInt64
        var block: UnsafeMutablePointer<Block>?
    }

    private static let count = 4096
    // SAFETY: `count` entries, owned by this value.
    private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: count)
    private var generation: UInt64 = 1

    init() { entries.initialize(repeating: Entry(key: 0, block: nil), count: Self.count) }
    deinit { entries.deallocate() }

    /// Linear addresses are canonical, so their upper 16 bits repeat bit 47: context and generation fit in there.
    @inline(__always) private func key(_ linear: UInt64, _ context: UInt64) -> UInt64 {
        linear ^ (generation &<< 56 | context &<< 48)
    }

    @inline(__always) private func entry(_ linear: UInt64) -> UnsafeMutablePointer<Entry> {
        entries + Int(truncatingIfNeeded: (linear ^ linear &>> 12) & UInt64(Self.count - 1))
    }

    /// The block at a linear address in a context (less than 256).
    @inline(__always) func find(_ linear: UInt64, context: UInt64) -> UnsafeMutablePointer<Block>? {
        let entry = entry(linear)
        return entry.pointee.key == key(linear, context) ? entry.pointee.block : nil
    }

    func insert(_ block: UnsafeMutablePointer<Block>, at linear: UInt64, context: UInt64) {
        entry(linear).pointee = Entry(key: key(linear, context), block: block)
    }

    /// Forgets everything: translations, modes or blocks changed.
    mutating func flush() {
        generation += 1
        guard generation == 256 else { return }
        generation = 1
        entries.update(repeating: Entry(key: 0, block: nil), count: Self.count)
    }
}

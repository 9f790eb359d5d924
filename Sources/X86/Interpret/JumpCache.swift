// From linear instruction address to decoded block in one probe: a direct-mapped cache in front of the page walk and the
// code cache. An entry holds for one translation context, one mode and one generation; flushing is starting a new
// generation, of the entries for user code, of those for supervisor code, or of both.

import CPrimitives

/// The cache of one vCPU.
struct JumpCache: ~Copyable {
    private struct Entry {
        var key: UInt64
        var block: UnsafeMutablePointer<Block>?
    }

    private static let count = 4096
    // SAFETY: `count` entries, owned by this value.
    private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: count)
    private var userGeneration: UInt64 = 1
    private var supervisorGeneration: UInt64 = 1

    init() { entries.initialize(repeating: Entry(key: 0, block: nil), count: Self.count) }
    deinit { entries.deallocate() }

    /// Linear addresses are canonical, so their upper 16 bits repeat bit 47: context and generation fit in there.
    @inline(__always) private func key(_ linear: UInt64, _ context: UInt64) -> UInt64 {
        let generation = context >> 4 == UInt64(TZ_TLB_USER) ? userGeneration : supervisorGeneration
        return linear ^ (generation &<< 56 | context &<< 48)
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

    /// Forgets what was found for user code, supervisor code, or both: translations, modes or blocks changed.
    mutating func flush(user: Bool, supervisor: Bool) {
        if user { userGeneration += 1 }
        if supervisor { supervisorGeneration += 1 }
        guard userGeneration == 256 || supervisorGeneration == 256 else { return }
        userGeneration = 1
        supervisorGeneration = 1
        entries.update(repeating: Entry(key: 0, block: nil), count: Self.count)
    }
}

/// The pages in which blocks were found, so that forgetting one page need not forget all of them.
struct JumpPages {
    var user = PageFilter()
    var supervisor = PageFilter()
    /// All supervisor pages among them were global.
    var supervisorIsGlobal = true
}

/// A set of linear pages that may seem to contain more than it does.
struct PageFilter {
    private static let bits = 1 << 14
    private var words = [UInt64](repeating: 0, count: bits / 64)

    private static func bit(_ linear: UInt64) -> Int {
        Int(truncatingIfNeeded: linear >> 12 ^ linear >> 26) & (bits - 1)
    }

    func mayContain(_ linear: UInt64) -> Bool {
        let bit = Self.bit(linear)
        return words[bit >> 6] >> UInt64(bit & 63) & 1 != 0
    }

    mutating func insert(_ linear: UInt64) {
        let bit = Self.bit(linear)
        words[bit >> 6] |= 1 << UInt64(bit & 63)
    }

    mutating func removeAll() {
        for index in words.indices { words[index] = 0 }
    }
}

// From linear instruction address to decoded block in one probe: a direct-mapped cache in front of the page walk and the
// code cache. An entry holds for one translation context, one mode and one generation; flushing is starting a new
// generation, of the entries for user code, of those for supervisor code, or of both.

import CPrimitives
import Glibc
import Memory

/// The cache of one vCPU.
package struct JumpCache: ~Copyable {
    private struct Entry {
        var key: UInt64
        var block: UnsafeMutablePointer<Block>?
    }

    private static let count = 1 << 15
    // SAFETY: `count` entries, owned by this value. All zeros is an entry that no address has: generations count from 1.
    private let entries: UnsafeMutablePointer<Entry>
    private var userGeneration: UInt64 = 1
    private var supervisorGeneration: UInt64 = 1

    package init() { entries = zeroed(Self.count) }
    deinit { free(entries) }

    /// Linear addresses are canonical, so their upper 16 bits repeat bit 47: context and generation fit in there.
    @inline(__always) private func key(_ linear: UInt64, _ context: UInt64) -> UInt64 {
        let isUser = context & UInt64(TZ_MODE_CONTEXT) == UInt64(TZ_TLB_USER) << 4
        let generation = isUser ? userGeneration : supervisorGeneration
        return linear ^ (generation &<< 56 | context &<< 48)
    }

    @inline(__always) private func entry(_ linear: UInt64) -> UnsafeMutablePointer<Entry> {
        entries + Int(truncatingIfNeeded: (linear ^ linear &>> 12) & UInt64(Self.count - 1))
    }

    /// The block at a linear address in a context: a `code_mode`, and the TLB context in bits 5:4.
    @inline(__always) package func find(_ linear: UInt64, context: UInt64) -> UnsafeMutablePointer<Block>? {
        let entry = entry(linear)
        return entry.pointee.key == key(linear, context) ? entry.pointee.block : nil
    }

    package func insert(_ block: UnsafeMutablePointer<Block>, at linear: UInt64, context: UInt64) {
        entry(linear).pointee = Entry(key: key(linear, context), block: block)
    }

    /// Forgets what was found for user code, supervisor code, or both: translations, modes or blocks changed.
    package mutating func flush(user: Bool, supervisor: Bool) {
        if user { userGeneration += 1 }
        if supervisor { supervisorGeneration += 1 }
        guard userGeneration == 256 || supervisorGeneration == 256 else { return }
        userGeneration = 1
        supervisorGeneration = 1
        entries.update(repeating: Entry(key: 0, block: nil), count: Self.count)
    }
}

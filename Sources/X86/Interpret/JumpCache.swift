// From linear instruction address to decoded block in one probe: a direct-mapped cache in front of the page walk and the
// code cache. An entry holds for one translation context, one mode and one generation; flushing is starting a new
// generation, of the entries for user code, of those for supervisor code, or of both.

import CPrimitives

/// The cache of one vCPU.
package struct JumpCache: ~Copyable {
    private struct Entry {
        var key: UInt64
        var block: UnsafeMutablePointer<Block>?
    }

    private static let count = 4096
    // SAFETY: `count` entries, owned by this value.
    private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: count)
    private var userGeneration: UInt64 = 1
    private var supervisorGeneration: UInt64 = 1

    package init() { entries.initialize(repeating: Entry(key: 0, block: nil), count: Self.count) }
    deinit { entries.deallocate() }

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

/// The pages in which blocks were found since that was last forgotten.
struct JumpPages {
    var user = FoundPages()
    var supervisor = FoundPages()
    /// All supervisor pages among them were global.
    var supervisorIsGlobal = true
}

/// Linear pages, and the guest-physical pages that they led to. When translations are flushed, few enough pages are looked at
/// again: most flushes change where data are, and what was found in code holds on.
struct FoundPages {
    private static let bits = 1 << 14
    private static let maximum = 256

    private struct Page {
        var linear: UInt64
        var physical: UInt64
    }

    /// A set that may seem to contain more than it does.
    private var filter = [UInt64](repeating: 0, count: bits / 64)
    private var pages: [Page] = []
    /// All are in `pages`, and each led to one place.
    private var isComplete = true

    private static func bit(_ linear: UInt64) -> Int {
        Int(truncatingIfNeeded: linear >> 12 ^ linear >> 26) & (bits - 1)
    }

    func mayContain(_ linear: UInt64) -> Bool {
        let bit = Self.bit(linear)
        return filter[bit >> 6] >> UInt64(bit & 63) & 1 != 0
    }

    /// Whether the page is among them, or may be where not all are known.
    func contains(_ linear: UInt64) -> Bool {
        mayContain(linear) && (!isComplete || pages.contains { $0.linear == linear & ~0xfff })
    }

    mutating func insert(_ linear: UInt64, physical: UInt64) {
        let page = Page(linear: linear & ~0xfff, physical: physical & ~0xfff)
        let isNew = !mayContain(linear)
        let bit = Self.bit(linear)
        filter[bit >> 6] |= 1 << UInt64(bit & 63)
        guard isComplete else { return }
        // Code that is run was found lately.
        if !isNew, let known = pages.lastIndex(where: { $0.linear == page.linear }) {
            if pages[known].physical != page.physical { isComplete = false }
        } else if pages.count < Self.maximum {
            pages.append(page)
        } else {
            isComplete = false
        }
    }

    /// Whether every page is known to lead where it led, for fetches with a context's rights.
    func stillLead(_ cpu: CPU, context: Int) -> Bool {
        isComplete && pages.allSatisfy { cpu.fetchLeads($0.linear, to: $0.physical, context: context) }
    }

    mutating func removeAll() {
        for index in filter.indices { filter[index] = 0 }
        pages.removeAll(keepingCapacity: true)
        isComplete = true
    }
}

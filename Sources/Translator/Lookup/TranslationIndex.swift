// Translations by guest-physical address, for gates in which the jump table has no answer: it forgets whenever addresses may
// lead elsewhere, and mostly they do not. A cache of one entry for each slot; who finds nothing asks `Translator`.

import CPrimitives
import X86

/// The index of one vCPU.
struct TranslationIndex: ~Copyable {
    private static let count = Int(TZ_INDEX_ENTRIES)

    // SAFETY: `count` entries, owned by this value; the gates read them on the vCPU's thread.
    private let entries: UnsafeMutablePointer<tz_index_entry>
    private let pages = CodePages()

    init(_ state: UnsafeMutablePointer<tz_cpu>) {
        entries = .allocate(capacity: Self.count)
        entries.initialize(repeating: tz_index_entry(), count: Self.count)
        state.pointee.translated.index = entries
        state.pointee.translated.code_epochs = (1, 1)
    }

    deinit { entries.deallocate() }

    /// What is known of the place of a block's page.
    func page(of block: UnsafeMutablePointer<Block>) -> UnsafeMutablePointer<tz_code_page> {
        pages[block.pointee.address >> 12, isUser: BlockMode(block.pointee.mode).isUser]
    }

    private static func key(_ block: UnsafeMutablePointer<Block>) -> UInt64 {
        block.pointee.address | UInt64(block.pointee.mode) << UInt64(TZ_INDEX_MODE_SHIFT)
    }

    /// Enters a translation, unless finding it takes more than its first byte's page.
    func insert(
        _ translation: UnsafeMutablePointer<Translation>, landing: UnsafePointer<UInt8>
    ) {
        let block = translation.pointee.block
        guard block.pointee.secondPage == Block.noPage, block.pointee.isRemembered else { return }
        entries[Int(tz_index_slot(block.pointee.address))] = tz_index_entry(
            key: Self.key(block), landing: landing, page: translation.pointee.page,
            head_registers: translation.pointee.landingRegisters, reserved: 0)
    }

    func remove(_ block: UnsafeMutablePointer<Block>) {
        let slot = Int(tz_index_slot(block.pointee.address))
        if entries[slot].key == Self.key(block) { entries[slot] = tz_index_entry() }
    }

    /// Forgets everything, pages included.
    func removeAll() {
        entries.update(repeating: tz_index_entry(), count: Self.count)
        pages.removeAll()
    }
}

/// Where pages of code were last found, for user and for supervisor code apart.
private final class CodePages {
    private var pages: [UInt64: UnsafeMutablePointer<tz_code_page>] = [:]

    deinit { removeAll() }

    subscript(physical: UInt64, isUser isUser: Bool) -> UnsafeMutablePointer<tz_code_page> {
        let key = physical << 1 | (isUser ? 1 : 0)
        if let known = pages[key] { return known }
        let page = UnsafeMutablePointer<tz_code_page>.allocate(capacity: 1)
        // Epochs count from 1.
        page.initialize(to: tz_code_page())
        pages[key] = page
        return page
    }

    func removeAll() {
        for page in pages.values { page.deallocate() }
        pages.removeAll(keepingCapacity: true)
    }
}

// What was translated in a run, kept for showing: guest code, host code, links, and how often each block ran. Filled by
// the translators on their vCPUs' threads; read when the machine has ended.

import CPrimitives
import Synchronization
import X86

/// A translated block, or a trace of several, as it was recorded.
struct RecordedBlock {
    /// The same code at the same place, whenever it was translated and by which vCPU.
    struct Key: Hashable {
        var linear: UInt64
        var mode: UInt8
        var guest: [UInt8]
    }

    struct Exit {
        /// The number of its link.
        var link: Int
        var target: UInt64
        /// It led to a block when it was last looked at.
        var isLinked: Bool
    }

    var key: Key
    /// Guest-physical address.
    var physical: UInt64
    /// Blocks that were translated together.
    var blockCount: Int
    var counts: Bool
    var source: HostCodeSource
    var exits: [Exit]
    var executions: UInt64 = 0
    var translations = 1
}

/// Collects the blocks of a run.
package final class TranslationRecorder: Sendable {
    private struct State {
        var blocks: [RecordedBlock.Key: RecordedBlock] = [:]
        var journals: [TranslationJournal] = []
        var model: CPUModel?
    }

    private let state = Mutex(State())

    /// An empty one.
    package init() {}

    func makeJournal(_ translator: Translator) -> TranslationJournal {
        let journal = TranslationJournal(self, translator)
        state.withLock { state in
            state.journals.append(journal)
            state.model = translator.cpu.vm.model
        }
        return journal
    }

    func take(_ blocks: [RecordedBlock]) {
        state.withLock { state in
            for block in blocks {
                guard let known = state.blocks[block.key] else {
                    state.blocks[block.key] = block
                    continue
                }
                var merged = block
                merged.executions &+= known.executions
                merged.translations += known.translations
                state.blocks[block.key] = merged
            }
        }
    }

    /// All that was recorded. To be called once, when the vCPUs have ended.
    package func finish() -> TranslationRecord {
        let journals = state.withLock { state in
            defer { state.journals = [] }
            return state.journals
        }
        for journal in journals { journal.hand() }
        return state.withLock { TranslationRecord(Array($0.blocks.values), model: $0.model) }
    }
}

/// What one translator has made since its code memory was last emptied.
// Sendable: used on the vCPU's thread, and when that has ended.
final class TranslationJournal: @unchecked Sendable {
    private let recorder: TranslationRecorder
    private unowned let translator: Translator
    private var blocks: [RecordedBlock] = []
    // SAFETY: one counter for each translation that code memory has room for, owned by this object; generated code adds to
    // them, and the translator whose code it is holds this object.
    private let counters: UnsafeMutablePointer<UInt64>

    fileprivate init(_ recorder: TranslationRecorder, _ translator: Translator) {
        self.recorder = recorder
        self.translator = translator
        counters = .allocate(capacity: CodeMemory.translationCapacity)
        counters.initialize(repeating: 0, count: CodeMemory.translationCapacity)
    }

    deinit { counters.deallocate() }

    /// What the next translation's code is to count in.
    var nextCounter: UnsafeMutablePointer<UInt64> { counters + blocks.count }

    /// Notes a trace that was translated.
    func note(
        _ trace: Trace, linear: UInt64, counts: Bool, edges: [Edge], firstLink: Int,
        _ source: HostCodeSource
    ) {
        let block = trace[0]
        let page = linear &- block.pointee.address & 0xfff
        let guest = (0..<trace.count).flatMap { translator.cpu.guestCode(of: trace[$0]) }
        blocks.append(
            RecordedBlock(
                key: RecordedBlock.Key(
                    linear: linear, mode: block.pointee.mode, guest: guest),
                physical: block.pointee.address, blockCount: trace.count, counts: counts, source: source,
                exits: edges.enumerated().filter { !$1.isLookup }.map { number, edge in
                    RecordedBlock.Exit(
                        link: firstLink + number, target: page &+ UInt64(bitPattern: Int64(edge.target)),
                        isLinked: false)
                }))
    }

    /// Hands over what there is, before code memory is emptied or when all is over.
    func hand() {
        for n in blocks.indices {
            blocks[n].executions = counters[n]
            counters[n] = 0
            for exit in blocks[n].exits.indices {
                let link = blocks[n].exits[exit].link
                blocks[n].exits[exit].isLinked = translator.code.links[link].destination != nil
            }
        }
        recorder.take(blocks)
        blocks.removeAll(keepingCapacity: true)
    }
}

// What other threads have posted to a local APIC and its vCPU has not looked at yet. Lock-free: one word of flags says
// whether there is anything, so that looking costs one load.

import Synchronization
import VirtualCPU

/// The posted-interrupt descriptor of one local APIC.
// SAFETY: `words` is allocated in init, freed in deinit and holds atomics only.
struct Inbox: ~Copyable, @unchecked Sendable {
    /// Vectors were posted.
    static let vectors: UInt32 = 1 << 0
    /// The timer expired.
    static let timer: UInt32 = 1 << 1
    /// A vector below 16 arrived.
    static let illegalVector: UInt32 = 1 << 2
    /// LINT0 rose.
    static let lint0Edge: UInt32 = 1 << 3
    static let nmi: UInt32 = 1 << 4
    static let initialise: UInt32 = 1 << 5
    /// A startup IPI; its vector is in bits 15:8.
    static let startup: UInt32 = 1 << 6
    /// An ExtINT message arrived; it stands until INTR falls.
    static let extINT: UInt32 = 1 << 7
    static let startupVector: UInt32 = 0xff << 8
    /// A second NMI arrived before the first was taken.
    static let secondNMI: UInt32 = 1 << 17
    /// Level of LINT0.
    static let lint0: UInt32 = 1 << 16
    /// What the vCPU's thread merges into its registers.
    static let mergeable = vectors | timer | illegalVector | lint0Edge

    let flags = Atomic<UInt32>(0)
    /// Words 0…3: posted vectors. Words 4…7: which of them are level-triggered.
    private let words: UnsafeMutablePointer<Atomic<UInt64>>

    init() {
        words = .allocate(capacity: 8)
        for index in 0..<8 { (words + index).initialize(to: Atomic(0)) }
    }

    deinit { words.deallocate() }

    // MARK: Any thread

    /// Posts a vector. Its trigger mode is visible before it is.
    func post(_ vector: UInt8, levelTriggered: Bool) {
        let word = Int(vector >> 6)
        let bit: UInt64 = 1 << UInt64(vector & 63)
        if levelTriggered { words[4 + word].bitwiseOr(bit, ordering: .relaxed) }
        words[word].bitwiseOr(bit, ordering: .releasing)
        raise(Self.vectors)
    }

    /// Sets flags.
    func raise(_ bits: UInt32) { flags.bitwiseOr(bits, ordering: .sequentiallyConsistent) }

    /// Of NMIs that come before the CPU can take one, one is served and one waits; others are lost.
    func postNMI() { update { $0 | ($0 & Self.nmi != 0 ? Self.secondNMI : Self.nmi) } }

    /// INIT cancels a startup IPI that came before it.
    func postINIT() { update { $0 & ~(Self.startup | Self.startupVector) | Self.initialise } }

    /// The latest startup IPI wins.
    func postSIPI(_ vector: UInt8) { update { $0 & ~Self.startupVector | Self.startup | UInt32(vector) << 8 } }

    /// Sets LINT0's level; a fall ends an ExtINT message.
    func setLINT0(_ asserted: Bool) {
        if asserted {
            let old = flags.bitwiseOr(Self.lint0, ordering: .sequentiallyConsistent).oldValue
            if old & Self.lint0 == 0 { raise(Self.lint0Edge) }
        } else {
            flags.bitwiseAnd(~(Self.lint0 | Self.extINT), ordering: .sequentiallyConsistent)
        }
    }

    /// Takes `bits` out; the flags as they were before.
    func take(_ bits: UInt32) -> UInt32 { flags.bitwiseAnd(~bits, ordering: .sequentiallyConsistent).oldValue }

    /// Takes one NMI out; false if there is none.
    func takeNMI() -> Bool {
        var taken = false
        update { bits in
            taken = bits & Self.nmi != 0
            return bits & Self.secondNMI != 0 ? bits & ~Self.secondNMI : bits & ~Self.nmi
        }
        return taken
    }

    private func update(_ change: (UInt32) -> UInt32) {
        var old = flags.load(ordering: .relaxed)
        while true {
            let attempt = flags.compareExchange(
                expected: old, desired: change(old), ordering: .sequentiallyConsistent)
            if attempt.exchanged { return }
            old = attempt.original
        }
    }

    // MARK: The vCPU's thread

    /// Takes the 64 posted vectors of one word with those among them that are level-triggered.
    func takeVectors(word: Int) -> (posted: UInt64, level: UInt64) {
        guard words[word].load(ordering: .relaxed) != 0 else { return (0, 0) }
        let posted = words[word].exchange(0, ordering: .acquiring)
        let level = words[4 + word].bitwiseAnd(~posted, ordering: .relaxed).oldValue
        return (posted, level & posted)
    }

    /// Forgets everything but LINT0's level.
    func clear() {
        _ = take(~Self.lint0)
        for index in 0..<8 { words[index].store(0, ordering: .relaxed) }
    }

    /// Writes what has not been taken into `state`; vectors have been merged before.
    func export(to state: inout LocalAPICState) {
        let bits = flags.load(ordering: .sequentiallyConsistent)
        state.lint0 = bits & Self.lint0 != 0
        state.pendingNMI = bits & Self.nmi != 0
        state.pendingSecondNMI = bits & Self.secondNMI != 0
        state.pendingINIT = bits & Self.initialise != 0
        state.pendingSIPI = bits & Self.startup != 0 ? UInt8(bits >> 8 & 0xff) : nil
        state.pendingExtINT = bits & Self.extINT != 0
    }

    /// The reverse of `export(to:)`.
    func `import`(_ state: LocalAPICState) {
        var bits: UInt32 = 0
        if state.lint0 { bits |= Self.lint0 }
        if state.pendingNMI { bits |= state.pendingSecondNMI ? Self.nmi | Self.secondNMI : Self.nmi }
        if state.pendingINIT { bits |= Self.initialise }
        if let vector = state.pendingSIPI { bits |= Self.startup | UInt32(vector) << 8 }
        if state.pendingExtINT { bits |= Self.extINT }
        for index in 0..<8 { words[index].store(0, ordering: .relaxed) }
        flags.store(bits, ordering: .sequentiallyConsistent)
    }
}

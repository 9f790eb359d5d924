// The table in which generated code looks up the targets of indirect jumps: from linear address to landing. It lies at a
// fixed distance from the vCPU's state. An entry holds for one generation and one kind of block; forgetting all entries
// of user or of supervisor code is starting a new generation.

import CPrimitives
import X86

/// The table of one vCPU.
struct JumpTable {
    static let count = 1 << 14

    private struct Entry {
        var key: UInt64
        var landing: UnsafePointer<UInt8>?
    }

    // SAFETY: `count` entries in the allocation of the vCPU's state, which outlives its translator.
    private let entries: UnsafeMutablePointer<Entry>
    private var userGeneration: UInt64 = 1
    private var supervisorGeneration: UInt64 = 1

    init(_ state: UnsafeMutablePointer<tz_cpu>) {
        let table = UnsafeMutableRawPointer(state) + SoftwareCPU.jumpTableOffset
        entries = table.bindMemory(to: Entry.self, capacity: Self.count)
        entries.initialize(repeating: Entry(key: 0, landing: nil), count: Self.count)
    }

    /// What keys are mixed with for blocks of a mode (less than 256): linear addresses are canonical, so their upper 16
    /// bits repeat bit 47.
    @inline(__always) func salt(mode: UInt8) -> UInt64 {
        (Translation.isUser(mode) ? userGeneration : supervisorGeneration) << 56 | UInt64(mode) << 48
    }

    @inline(__always) func insert(_ landing: UnsafePointer<UInt8>, at linear: UInt64, mode: UInt8) {
        let index = Int(truncatingIfNeeded: (linear ^ linear >> 12) & UInt64(Self.count - 1))
        entries[index] = Entry(key: linear ^ salt(mode: mode), landing: landing)
    }

    /// Forgets the entries for user code, supervisor code, or both.
    mutating func removeAll(user: Bool, supervisor: Bool) {
        if user { userGeneration += 1 }
        if supervisor { supervisorGeneration += 1 }
        guard userGeneration == 256 || supervisorGeneration == 256 else { return }
        userGeneration = 1
        supervisorGeneration = 1
        entries.update(repeating: Entry(key: 0, landing: nil), count: Self.count)
    }
}

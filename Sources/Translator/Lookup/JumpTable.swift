// The table in which generated code looks up the targets of indirect jumps: from linear address to landing. It lies at a
// fixed distance from the vCPU's state. An entry holds for one generation and one kind of block; forgetting all of them
// is starting a new generation.

import CPrimitives
import X86

/// The table of one vCPU.
struct JumpTable {
    static let count = 4096

    private struct Entry {
        var key: UInt64
        var landing: UnsafePointer<UInt8>?
    }

    // SAFETY: `count` entries in the allocation of the vCPU's state, which outlives its translator.
    private let entries: UnsafeMutablePointer<Entry>
    private var generation: UInt64 = 1

    init(_ state: UnsafeMutablePointer<tz_cpu>) {
        let table = UnsafeMutableRawPointer(state) + SoftwareCPU.jumpTableOffset
        entries = table.bindMemory(to: Entry.self, capacity: Self.count)
        entries.initialize(repeating: Entry(key: 0, landing: nil), count: Self.count)
    }

    /// What keys are mixed with for blocks of a mode (less than 256): linear addresses are canonical, so their upper 16
    /// bits repeat bit 47.
    @inline(__always) func salt(mode: UInt8) -> UInt64 { generation << 56 | UInt64(mode) << 48 }

    @inline(__always) func insert(_ landing: UnsafePointer<UInt8>, at linear: UInt64, mode: UInt8) {
        let index = Int(truncatingIfNeeded: (linear ^ linear >> 12) & UInt64(Self.count - 1))
        entries[index] = Entry(key: linear ^ salt(mode: mode), landing: landing)
    }

    /// Forgets everything.
    mutating func removeAll() {
        generation += 1
        guard generation == 256 else { return }
        generation = 1
        entries.update(repeating: Entry(key: 0, landing: nil), count: Self.count)
    }
}

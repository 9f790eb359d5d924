// What CPUID has answered on one vCPU: guests ask for the same few leaves again and again, and working an answer out takes
// longer than everything else about the instruction.

import CPrimitives

/// The answers that hold while what they depend on, besides leaf and subleaf, is what it was.
struct CPUIDAnswers: ~Copyable {
    private struct Entry {
        var leaf: UInt32 = 0
        var subleaf: UInt32 = 0
        var generation: UInt64 = 0
        var answer = tz_cpuid_result()
    }

    /// The part of the vCPU's state that shows in CPUID.
    struct Conditions: Equatable {
        var xcr0: UInt64 = 0
        /// Bits of CR4 and of IA32_APIC_BASE.
        var bits: UInt64 = 0
        var in64BitMode = false
    }

    private static let count = 64
    // SAFETY: `count` entries and one each of the others, owned by this value. Pointers, so that a look needs no access to the
    // vCPU's object.
    private let entries = UnsafeMutablePointer<Entry>.allocate(capacity: count)
    private let conditions = UnsafeMutablePointer<Conditions>.allocate(capacity: 1)
    private let generation = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)

    init() {
        entries.initialize(repeating: Entry(), count: Self.count)
        conditions.initialize(to: Conditions())
        generation.initialize(to: 1)
    }

    deinit {
        entries.deallocate()
        conditions.deallocate()
        generation.deallocate()
    }

    /// Leaves differ in their lowest and in their highest bits.
    @inline(__always) private func entry(_ leaf: UInt32, _ subleaf: UInt32) -> UnsafeMutablePointer<Entry> {
        entries + Int(truncatingIfNeeded: (leaf ^ leaf &>> 26 ^ subleaf &<< 3) & UInt32(Self.count - 1))
    }

    /// The answer, if it was given under the same conditions.
    @inline(__always) func find(_ leaf: UInt32, _ subleaf: UInt32, _ conditions: Conditions) -> tz_cpuid_result? {
        let entry = entry(leaf, subleaf)
        guard conditions == self.conditions.pointee, entry.pointee.generation == generation.pointee,
            entry.pointee.leaf == leaf, entry.pointee.subleaf == subleaf
        else { return nil }
        return entry.pointee.answer
    }

    /// Notes an answer that was given under the conditions.
    func note(_ leaf: UInt32, _ subleaf: UInt32, _ conditions: Conditions, _ answer: tz_cpuid_result) {
        if conditions != self.conditions.pointee {
            forgetAll()
            self.conditions.pointee = conditions
        }
        entry(leaf, subleaf).pointee = Entry(
            leaf: leaf, subleaf: subleaf, generation: generation.pointee, answer: answer)
    }

    /// The VM has changed.
    func forgetAll() { generation.pointee += 1 }
}

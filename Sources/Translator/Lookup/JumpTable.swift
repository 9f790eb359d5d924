// The table in which generated code looks up the targets of indirect jumps: from RIP to landing. It lies at a
// fixed distance from the vCPU's state. An entry holds for one generation and one kind of block; forgetting all entries
// of user or of supervisor code is starting a new generation. Neither is a secret, but the salt that stands for both is.

import CPrimitives
import X86

/// The table of one vCPU.
struct JumpTable {
    static let count = Int(TZ_JUMP_ENTRIES)

    // Generated code finds an entry by eighths of its offset in the table, in the spare register.
    static let key = HostOperand.indexed(Host.state, Host.spare, 3, StateLayout.jumpTable)
    static let landing = HostOperand.indexed(Host.state, Host.spare, 3, StateLayout.jumpTable + 8)
    static let codeBase = HostOperand.indexed(Host.state, Host.spare, 3, StateLayout.jumpTable + 16)
    static let headRegisters = HostOperand.indexed(Host.state, Host.spare, 3, StateLayout.jumpTable + 24)
    /// Such eighths of all entries.
    static let mask = Int32(count - 1) * 4

    // SAFETY: `count` entries in the allocation of the vCPU's state, which outlives its translator.
    private let entries: UnsafeMutablePointer<tz_jump_entry>
    private let state: UnsafeMutablePointer<tz_cpu>

    init(_ state: UnsafeMutablePointer<tz_cpu>) {
        self.state = state
        let table = UnsafeMutableRawPointer(state) + SoftwareCPU.jumpTableOffset
        entries = table.bindMemory(to: tz_jump_entry.self, capacity: Self.count)
        entries.initialize(repeating: tz_jump_entry(), count: Self.count)
        state.pointee.translated.jump_table = entries
        state.pointee.translated.salt_secret = .random(in: 1 ... .max)
        state.pointee.translated.no_salt = tz_jump_salt(state, TZ_NO_MODE)
        restart()
    }

    @inline(__always) func insert(
        _ landing: UnsafePointer<UInt8>, headRegisters: UInt32, at rip: UInt64, base: UInt64, mode: UInt8
    ) {
        let index = Int(truncatingIfNeeded: rip & UInt64(Self.count - 1))
        entries[index] = tz_jump_entry(
            key: rip ^ tz_jump_salt(state, tz_jump_mode(state, UInt64(mode))), landing: landing, code_base: base,
            head_registers: headRegisters, reserved: 0)
    }

    /// Forgets the entries for user code, supervisor code, or both.
    func removeAll(user: Bool, supervisor: Bool) {
        // The number of a generation is in the upper 8 bits; at its last one all begins anew.
        if user { state.pointee.translated.jump_generations.1 &+= 1 << 56 }
        if supervisor { state.pointee.translated.jump_generations.0 &+= 1 << 56 }
        let generations = state.pointee.translated.jump_generations
        guard generations.0 == 0 || generations.1 == 0 else { return }
        restart()
        entries.update(repeating: tz_jump_entry(), count: Self.count)
    }

    private func restart() { state.pointee.translated.jump_generations = (1 << 56, 1 << 56) }
}

// Where generated code finds things, as displacements from the state pointer.

import CPrimitives
import X86

enum StateLayout {
    static let arithmetic = offset(\.arithmetic)
    static let systemFlags = offset(\.system_flags)
    static let kernelGSBase = offset(\.kernel_gs_base)
    static let gsBase = offset(\.segments.5.base)
    static let attention = offset(\.attention)
    static let interruptWaits = offset(\.interrupt_waits)
    static let codeBase = offset(\.translated.code_base)
    static let poll = offset(\.translated.poll)
    static let counted = offset(\.translated.counted)
    static let behind = offset(\.translated.behind)
    static let sseGate = offset(\.translated.vector_gates.0)
    static let avxGate = offset(\.translated.vector_gates.1)
    static let x87Gate = offset(\.translated.x87_gate)
    static let x87Opcode = offset(\.fxsave) + 6
    static let x87InstructionPointer = offset(\.fxsave) + 8
    static let x87DataPointer = offset(\.fxsave) + 16
    static let x87CodeSelector = offset(\.fcs)
    static let x87DataSelector = offset(\.fds)
    static let flagSource = offset(\.translated.flag_source)
    static let flagCarry = offset(\.translated.flag_carry)
    static let sharedProbes = offset(\.translated.shared_probes)
    static let microTLB = offset(\.translated.micro_tlb)
    static let scratch = offset(\.translated.scratch)
    static let gatherIndices = offset(\.translated.gather_indices)
    static let gathered = offset(\.translated.gathered)
    static let effectiveBase = offset(\.effective_base)
    static let jumpTable = Int32(SoftwareCPU.jumpTableOffset)

    static func jumpSalt(context: Int) -> Int32 { offset(\.translated.jump_salts) + Int32(context) * 8 }

    /// An entry of the micro-TLB: its tag, with the addend behind it.
    static func microTLB(_ slot: UInt8, context: Int, write: Bool) -> Int32 {
        microTLB + Int32((context * 2 + (write ? 1 : 0)) * Int(TZ_MICRO_SLOTS) + Int(slot)) * 16
    }

    /// A guest register's place in memory.
    static func gpr(_ number: UInt8) -> Int32 { Int32(number) * 8 }

    /// How many bytes of a segment may be read, or written, without another look.
    static func segmentTop(_ segment: UInt8, write: Bool) -> Int32 {
        offset(\.translated.segment_tops) + Int32(segment) * 16 + (write ? 8 : 0)
    }

    /// A segment register's selector.
    static func selector(_ segment: Int) -> Int32 {
        offset(\.segments) + Int32(segment * MemoryLayout<tz_segment>.stride)
            + Int32(MemoryLayout<tz_segment>.offset(of: \.selector) ?? 0)
    }

    private static func offset<T>(_ path: KeyPath<tz_cpu, T>) -> Int32 {
        // Every field of a C struct has an offset.
        Int32(MemoryLayout<tz_cpu>.offset(of: path) ?? 0)
    }
}

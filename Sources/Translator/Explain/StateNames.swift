// Names for what generated code finds at fixed distances from the state, for those who read it.

import CPrimitives
import X86

enum StateNames {
    /// The name of what lies at a displacement from the state pointer; nil if nothing there has one.
    static func name(of displacement: Int32) -> String? {
        if let known = fields[displacement] { return known }
        if displacement >= 0, displacement < 128, displacement % 8 == 0 { return registers[Int(displacement / 8)] }
        return nil
    }

    private static let registers = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ].map { "gpr." + $0 }

    /// The name of a slot of the micro-TLB.
    static func microSlot(_ slot: UInt8) -> String {
        switch Int(slot) {
        case Int(TZ_MICRO_FS): "fs"
        case Int(TZ_MICRO_GS): "gs"
        case Int(TZ_MICRO_FIXED): "fixed"
        case Int(TZ_MICRO_FRAME): "frame"
        case 0..<registers.count: String(registers[Int(slot)].dropFirst(4))
        default: String(slot)
        }
    }

    private static let fields: [Int32: String] = {
        var names: [Int32: String] = [
            StateLayout.arithmetic: "arithmetic", StateLayout.systemFlags: "system_flags",
            StateLayout.kernelGSBase: "kernel_gs_base", StateLayout.gsBase: "segments[gs].base",
            StateLayout.attention: "attention", StateLayout.codeBase: "code_base",
            StateLayout.interruptWaits: "interrupt_waits",
            StateLayout.poll: "poll", StateLayout.counted: "counted", StateLayout.behind: "behind",
            StateLayout.sseGate: "gate.sse", StateLayout.avxGate: "gate.avx", StateLayout.x87Gate: "gate.x87",
            StateLayout.x87Opcode: "x87.opcode", StateLayout.x87InstructionPointer: "x87.rip",
            StateLayout.x87DataPointer: "x87.rdp", StateLayout.x87CodeSelector: "x87.fcs",
            StateLayout.x87DataSelector: "x87.fds", StateLayout.jumpTable: "jumps.key",
            StateLayout.flagSource: "flag_source", StateLayout.flagCarry: "flag_carry",
            StateLayout.jumpTable + 8: "jumps.landing", StateLayout.jumpTable + 16: "jumps.code_base",
            StateLayout.jumpTable + 24: "jumps.head",
        ]
        for n in 0..<8 { names[StateLayout.sharedProbes + Int32(n) * 8] = "shared[\(n)]" }
        for n in 0..<Int(TZ_TLB_CONTEXTS) { names[StateLayout.jumpSalt(context: n)] = "jump_salts[\(n)]" }
        for n in 0..<8 {
            names[StateLayout.gatherIndices + Int32(n) * 4] = "gather.indices + \(n * 4)"
            names[StateLayout.gathered + Int32(n) * 4] = "gathered + \(n * 4)"
        }
        for (context, suffix) in [(TZ_TLB_SUPERVISOR, ""), (TZ_TLB_USER, ".user"), (TZ_TLB_SUPERVISOR_AC, ".ac")] {
            for (write, kind) in [(false, "read"), (true, "write")] {
                for slot in 0..<UInt8(TZ_MICRO_SLOTS) {
                    let offset = StateLayout.microTLB(slot, context: Int(context), write: write)
                    let name = "micro.\(kind)\(suffix)[\(microSlot(slot))]"
                    names[offset] = name + ".tag"
                    names[offset + 8] = name + ".addend"
                }
            }
        }
        for n in 0..<4 { names[StateLayout.scratch + Int32(n) * 8] = "scratch[\(n)]" }
        for (number, segment) in ["es", "cs", "ss", "ds", "fs", "gs"].enumerated() {
            names[StateLayout.effectiveBase + Int32(number) * 8] = "base.\(segment)"
            names[StateLayout.selector(number)] = "selector.\(segment)"
            names[StateLayout.segmentTop(UInt8(number), write: false)] = "top.\(segment).read"
            names[StateLayout.segmentTop(UInt8(number), write: true)] = "top.\(segment).write"
        }
        for (kind, table) in [(TZ_TLB_READ, "read"), (TZ_TLB_WRITE, "write")] {
            for (context, suffix) in [(TZ_TLB_SUPERVISOR, ""), (TZ_TLB_USER, ".user"), (TZ_TLB_SUPERVISOR_AC, ".ac")] {
                let offset = Int32(SoftwareCPU.tlbTable(Int(kind), context: Int(context)))
                names[offset] = "tlb.\(table)\(suffix).tag"
                names[offset + 8] = "tlb.\(table)\(suffix).addend"
            }
        }
        return names
    }()
}

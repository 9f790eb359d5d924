// x87 instructions, whose registers are in the host's. Its pointers to the last instruction and operand are the guest's
// and kept in the state: the operand's after each instruction that has one, the instruction's once for several, where
// something may look. When generated code is left between, the dispatcher works them out (`Translator.recoverX87`).

import CPrimitives
import X86

extension BlockEncoder {
    /// The instruction, with its memory operand at [R15] and the operand's address in the state's scratch.
    mutating func emitX87(_ operation: Operation, opcode: UInt8, extension: UInt8) {
        guard operation.kind == .access else {
            code.bytes(opcode, operation.instruction.pointee.modrm)
            lastX87 = operation
            return
        }
        code.instruction(HostEncoding(opcode), reg: `extension`, .memory(Host.address, 0))
        lastX87 = operation
        code.load(Host.spare, Self.x87Operand)
        code.store(Host.spare, .memory(Host.state, StateLayout.x87DataPointer))
        emitSelector(Int(operation.instruction.pointee.segment), to: StateLayout.x87DataSelector)
    }

    /// An instruction on the control or status word.
    mutating func emitX87Control(_ operation: Operation) {
        let i = operation.instruction
        if operation.kind == .access {
            code.instruction(HostEncoding(i.pointee.opcode), reg: i.pointee.modrm >> 3 & 7, .memory(Host.address, 0))
        } else if i.pointee.mnemonic == Mnemonic.fwait.rawValue {
            code.byte(i.pointee.opcode)
        } else {
            code.bytes(0xdf, 0xe0)
        }
    }

    /// Where an operand's address waits until the instruction is done.
    static let x87Operand = HostOperand.memory(Host.state, StateLayout.scratch + 24)

    /// Stores what the last x87 instruction leaves of itself.
    mutating func emitX87Record() {
        guard let last = lastX87 else { return }
        lastX87 = nil
        code.load(Host.address, .memory(Host.state, StateLayout.codeBase))
        code.lea(Host.address, .memory(Host.address, last.offset))
        code.store(Host.address, .memory(Host.state, StateLayout.x87InstructionPointer))
        code.move32(Host.spare, immediate: UInt32(last.x87Opcode))
        code.store16(Host.spare, .memory(Host.state, StateLayout.x87Opcode))
        emitSelector(Int(TZ_CS), to: StateLayout.x87CodeSelector)
    }

    private mutating func emitSelector(_ segment: Int, to place: Int32) {
        code.instruction(
            HostEncoding(0xb7, map: 1), reg: Host.spare, .memory(Host.state, StateLayout.selector(segment)))
        code.store16(Host.spare, .memory(Host.state, place))
    }
}

extension Operation {
    /// The last x87 opcode as FXSAVE stores it (SDM volume 1, section 8.1.9).
    var x87Opcode: UInt16 { UInt16(instruction.pointee.opcode & 7) << 8 | UInt16(instruction.pointee.modrm) }
}

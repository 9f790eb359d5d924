// Flags that were lost and are needed after all are made anew from the registers that they follow from (`FlagRecipe`): the
// comparison once more, or the addition once more on a copy. That is less than to save and to restore them.

import CPrimitives
import X86

extension BlockEncoder {
    private static let add: UInt8 = 0
    private static let sub: UInt8 = 5
    private static let compare: UInt8 = 7

    /// Puts the flags that an operation wrote into the host's. Uses the spare register.
    mutating func emitFlagsAnew(_ producer: FlagProducer) {
        let i = trace[Int(producer.place)].instruction
        let form = OperandForm(rawValue: i.pointee.form) ?? .none
        let (rm, reg) = (i.pointee.rm / 8, i.pointee.reg / 8)
        let destination = form == .r_rm ? reg : rm
        let source: UInt8? = form == .rm_i ? nil : form == .r_rm ? rm : reg
        let width = i.pointee.width
        func calculate(_ encoder: inout BlockEncoder, _ group: UInt8, _ register: UInt8) {
            if let source {
                encoder.emitGroup(group << 3 | 3, width, register, Self.operand(source))
            } else {
                encoder.emitGroup(group, width, register, immediate: i.pointee.immediate)
            }
        }
        func copy(_ encoder: inout BlockEncoder) {
            if producer.stackMoved == 0 { return encoder.code.load(Host.spare, Self.operand(destination)) }
            encoder.code.lea(Host.spare, .memory(Host.guestRSP, -producer.stackMoved))
        }
        func negate(_ encoder: inout BlockEncoder) {
            encoder.code.instruction(Self.encoding(0xf7, width), reg: 3, .register(Host.spare))
        }
        switch Mnemonic(rawValue: i.pointee.mnemonic) {
        case .cmp: calculate(&self, Self.compare, register(destination))
        case .test:
            let first = register(destination)
            if let source {
                code.instruction(Self.encoding(0x85, width), reg: first, Self.operand(source))
            } else {
                code.instruction(Self.encoding(0xf7, width), reg: 0, .register(first))
                emitImmediate(i.pointee.immediate, width)
            }
        case .add:
            copy(&self)
            calculate(&self, Self.sub, Host.spare)
            calculate(&self, Self.add, Host.spare)
        case .sub:
            copy(&self)
            calculate(&self, Self.add, Host.spare)
            calculate(&self, Self.sub, Host.spare)
        case .neg:
            copy(&self)
            negate(&self)
            negate(&self)
        default:
            let result = register(destination)
            code.instruction(Self.encoding(0x85, width), reg: result, .register(result))
        }
    }

    private static func operand(_ number: UInt8) -> HostOperand {
        host(number).map(HostOperand.register) ?? .memory(Host.state, StateLayout.gpr(number))
    }

    /// A guest register's own host register, or the spare one with its value.
    private mutating func register(_ number: UInt8) -> UInt8 {
        if let host = Self.host(number) { return host }
        code.load(Host.spare, Self.operand(number))
        return Host.spare
    }

    /// An opcode's form for an operand size in bytes; that for bytes is the one below it.
    private static func encoding(_ opcode: UInt8, _ width: UInt8) -> HostEncoding {
        var encoding = HostEncoding(width == 1 ? opcode - 1 : opcode, w: width == 8)
        encoding.operandSize = width == 2
        encoding.forcesREX = width == 1
        return encoding
    }

    private mutating func emitGroup(_ opcode: UInt8, _ width: UInt8, _ register: UInt8, _ operand: HostOperand) {
        code.instruction(Self.encoding(opcode, width), reg: register, operand)
    }

    private mutating func emitGroup(_ group: UInt8, _ width: UInt8, _ register: UInt8, immediate: Int64) {
        code.instruction(Self.encoding(0x81, width), reg: group, .register(register))
        emitImmediate(immediate, width)
    }

    private mutating func emitImmediate(_ value: Int64, _ width: UInt8) {
        for n in 0..<Int64(min(width, 4)) { code.byte(UInt8(truncatingIfNeeded: value >> (8 * n))) }
    }
}

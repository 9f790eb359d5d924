// One memory access: from the linear address in R9 to the host address in R9, by a probe of the software TLB. What the
// probe does not settle (misses, page crossings, devices, pages with code) goes out of line, where the interpreter's
// handler executes the whole instruction.
//
//     mov r10d, r9d; shr r10d, 8; and r10d, 1FF0H    the entry's offset in its table
//     xor r9, [state + r10 + tag]                    the offset in the page, if the tag is this page
//     cmp r9, 4096 - size; ja slow                   a page crossing fails here too
//     add r9, [state + r10 + addend]

import CPrimitives
import X86

extension BlockEncoder {
    /// The probe, which destroys the flags: those that have to be kept are saved first. Needs the spare register.
    mutating func emitCheck(_ operation: Operation, size: Int32, write: Bool) {
        if operation.keepsFlags { saveFlags() }
        let table = write ? writeTable : readTable
        code.instruction(HostEncoding(0x8b), reg: Host.spare, .register(Host.address))
        code.instruction(HostEncoding(0xc1), reg: 5, .register(Host.spare))
        code.byte(8)
        code.arithmetic(4, .register(Host.spare), Int32(TZ_TLB_ENTRIES - 1) << 4, wide: false)
        code.instruction(
            HostEncoding(0x33, w: true), reg: Host.address, .indexed(Host.state, Host.spare, 0, table))
        code.arithmetic(7, .register(Host.address), 4096 - size)
        slowPaths.append(
            SlowPath(displacement: code.jump(if: Condition.above), operation: operation, flags: destroyedFlags))
        code.instruction(
            HostEncoding(0x03, w: true), reg: Host.address, .indexed(Host.state, Host.spare, 0, table + 8))
        hostFlags = false
    }

    // MARK: Stack

    /// The host address of the quadword below the guest's stack pointer, for writing.
    mutating func emitPushAddress(_ operation: Operation) {
        code.lea(Host.address, .memory(Host.guestRSP, -8))
        emitCheck(operation, size: 8, write: true)
    }

    mutating func emitPush(_ operation: Operation) {
        let i = operation.instruction
        let place = HostOperand.memory(Host.address, 0)
        if i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0 {
            emitAddress(operation)
            emitCheck(operation, size: 8, write: false)
            code.load(Host.address, place)
            code.store(Host.address, .memory(Host.state, StateLayout.scratch))
            emitPushAddress(operation)
            code.load(Host.spare, .memory(Host.state, StateLayout.scratch))
            code.store(Host.spare, place)
        } else if i.pointee.form == OperandForm.i.rawValue {
            emitPushAddress(operation)
            code.instruction(HostEncoding(0xc7, w: true), reg: 0, place)
            code.int32(Int32(truncatingIfNeeded: i.pointee.immediate))
        } else {
            emitPushAddress(operation)
            let number = i.pointee.rm / 8
            if let host = Self.host(number) {
                code.store(host, place)
            } else {
                code.load(Host.spare, .memory(Host.state, StateLayout.gpr(number)))
                code.store(Host.spare, place)
            }
        }
        code.lea(Host.guestRSP, .memory(Host.guestRSP, -8))
    }

    mutating func emitPop(_ operation: Operation) {
        code.move(Host.address, Host.guestRSP)
        emitCheck(operation, size: 8, write: false)
        let number = operation.instruction.pointee.rm / 8
        guard number != 4 else { return code.load(Host.guestRSP, .memory(Host.address, 0)) }
        if let host = Self.host(number) {
            code.load(host, .memory(Host.address, 0))
        } else {
            code.load(Host.spare, .memory(Host.address, 0))
            code.store(Host.spare, .memory(Host.state, StateLayout.gpr(number)))
        }
        code.lea(Host.guestRSP, .memory(Host.guestRSP, 8))
    }

    mutating func emitLeave(_ operation: Operation) {
        let rbp: UInt8 = 5
        code.move(Host.address, rbp)
        emitCheck(operation, size: 8, write: false)
        code.load(Host.address, .memory(Host.address, 0))
        code.lea(Host.guestRSP, .memory(rbp, 8))
        code.move(rbp, Host.address)
    }
}

/// Condition codes of the host that generated code uses.
enum Condition {
    static let notEqual: UInt8 = 5
    static let above: UInt8 = 7
    static let greater: UInt8 = 15
}

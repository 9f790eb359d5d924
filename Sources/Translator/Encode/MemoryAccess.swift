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
    /// What an access reaches: the instruction's operand, or what the stack pointer or RBP points to.
    enum Target { case operand, pushed, popped, frame }

    /// Sets `operand` to where the `size` bytes are that an operation reaches, at the address register or near it. Uses the
    /// spare register.
    mutating func emitReach(_ operation: Operation, _ target: Target, size: Int32, write: Bool, shares: Bool = true) {
        guard sharesProbes, shares, let shared = operation.shared else {
            emitLinear(operation, target, before: 0)
            if operation.isX87 { code.store(Host.address, Self.x87Operand) }
            let missed = emitProbe(operation, size: size, write: write)
            slowPaths.append(SlowPath(displacement: missed, operation: operation, flags: destroyedFlags))
            operand = .memory(Host.address, 0)
            return
        }
        let place = HostOperand.memory(Host.state, StateLayout.sharedProbes + 8 * Int32(shared.slot))
        if shared.probes {
            emitLinear(operation, target, before: shared.displacement)
            let failed = emitProbe(operation, size: shared.span, write: shared.writes)
            failedGroups.append((failed, index, destroyedFlags))
            code.store(Host.address, place)
        } else if addressedSlot != shared.slot || code.hasTouchedAddress {
            code.load(Host.address, place)
        }
        addressedSlot = shared.slot
        code.hasTouchedAddress = false
        operand = .memory(Host.address, shared.displacement)
    }

    /// The linear address that lies so many bytes before what is reached, into the address register.
    private mutating func emitLinear(_ operation: Operation, _ target: Target, before distance: Int32) {
        func lea(_ base: UInt8, _ displacement: Int32) {
            if displacement == 0 {
                code.move(Host.address, base)
            } else {
                code.lea(Host.address, .memory(base, displacement))
            }
        }
        switch target {
        case .operand: emitAddress(operation, before: distance)
        case .pushed: lea(Host.guestRSP, -8 - distance)
        case .popped: lea(Host.guestRSP, -distance)
        case .frame: lea(Self.rbp, -distance)
        }
    }

    /// The probe, which destroys the flags: those that have to be kept are saved first. Needs the spare register. Returns the
    /// displacement of the jump that is taken when it fails.
    private mutating func emitProbe(
        _ operation: Operation, size: Int32, write: Bool
    ) -> UnsafeMutablePointer<UInt8> {
        if operation.keepsFlags { saveFlags() }
        let table = write ? writeTable : readTable
        code.instruction(HostEncoding(0x8b), reg: Host.spare, .register(Host.address))
        code.instruction(HostEncoding(0xc1), reg: 5, .register(Host.spare))
        code.byte(8)
        code.arithmetic(4, .register(Host.spare), Int32(TZ_TLB_ENTRIES - 1) << 4, wide: false)
        code.instruction(
            HostEncoding(0x33, w: true), reg: Host.address, .indexed(Host.state, Host.spare, 0, table))
        code.arithmetic(7, .register(Host.address), 4096 - size)
        let failed = code.jump(if: Condition.above)
        code.instruction(
            HostEncoding(0x03, w: true), reg: Host.address, .indexed(Host.state, Host.spare, 0, table + 8))
        hostFlags = false
        return failed
    }

    // MARK: Stack

    private static let rbp: UInt8 = 5

    /// Reaches the quadword below the guest's stack pointer, for writing.
    mutating func emitReachPushed(_ operation: Operation) {
        emitReach(operation, .pushed, size: 8, write: true)
    }

    mutating func emitPush(_ operation: Operation) {
        let i = operation.instruction
        if i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0 {
            emitReach(operation, .operand, size: 8, write: false)
            code.load(Host.address, operand)
            code.store(Host.address, .memory(Host.state, StateLayout.scratch))
            emitReachPushed(operation)
            code.load(Host.spare, .memory(Host.state, StateLayout.scratch))
            code.store(Host.spare, operand)
        } else if i.pointee.form == OperandForm.i.rawValue {
            emitReachPushed(operation)
            code.instruction(HostEncoding(0xc7, w: true), reg: 0, operand)
            code.int32(Int32(truncatingIfNeeded: i.pointee.immediate))
        } else {
            emitReachPushed(operation)
            let number = i.pointee.rm / 8
            if let host = Self.host(number) {
                code.store(host, operand)
            } else {
                code.load(Host.spare, .memory(Host.state, StateLayout.gpr(number)))
                code.store(Host.spare, operand)
            }
        }
        code.lea(Host.guestRSP, .memory(Host.guestRSP, -8))
    }

    mutating func emitPop(_ operation: Operation) {
        emitReach(operation, .popped, size: 8, write: false)
        let number = operation.instruction.pointee.rm / 8
        guard number != 4 else { return code.load(Host.guestRSP, operand) }
        if let host = Self.host(number) {
            code.load(host, operand)
        } else {
            code.load(Host.spare, operand)
            code.store(Host.spare, .memory(Host.state, StateLayout.gpr(number)))
        }
        code.lea(Host.guestRSP, .memory(Host.guestRSP, 8))
    }

    mutating func emitLeave(_ operation: Operation) {
        emitReach(operation, .frame, size: 8, write: false)
        code.load(Host.address, operand)
        code.lea(Host.guestRSP, .memory(Self.rbp, 8))
        code.move(Self.rbp, Host.address)
    }
}

/// Condition codes of the host that generated code uses.
enum Condition {
    static let notEqual: UInt8 = 5
    static let above: UInt8 = 7
    static let greater: UInt8 = 15
}

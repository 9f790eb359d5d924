// One memory access: from the linear address in R15 to the host address in R15, by a probe of the software TLB. What the
// probe does not settle (misses, page crossings, devices, pages with code) goes out of line, where the interpreter's
// handler executes the whole instruction, unless a gate can reach the bytes of many that lie in two pages.
//
//     mov r13d, r15d; shr r13d, 8; and r13d, 0FFF0H   the entry's offset in its table
//     xor r15, [state + r13 + tag]                    the offset in the page, if the tag is this page
//     cmp r15, 4096 - size; ja slow                   a page crossing fails here too
//     add r15, [state + r13 + addend]
//
// Where the page is likely that of the access before (`MicroTLBPlan`), the micro-TLB is tried first, whose entry is known when the
// code is made; the TLB is probed out of line then.
//
//     xor r15, [state + micro tag]
//     cmp r15, 4096 - size; ja out of line
//     add r15, [state + micro addend]

import CPrimitives
import X86

extension BlockEncoder {
    /// What an access reaches: the instruction's operand, or what the stack pointer or RBP points to.
    enum Target { case operand, pushed, popped, frame }

    /// Sets `operand` to where the `size` bytes are that an operation reaches, at the address register or near it. Uses the
    /// spare register.
    mutating func emitReach(_ operation: Operation, _ target: Target, size: Int32, write: Bool, shares: Bool = true) {
        let checks = target == .operand ? operation.checksSegment : operation.checksStack
        guard sharesProbes, shares, !checks, let shared = operation.shared else {
            emitOffset(operation, target, before: 0)
            if operation.isX87 { code.store(Host.address, Self.x87Operand) }
            if checks { emitSegmentCheck(operation, target, size: size, write: write) }
            let slot = microSlot(operation, target)
            let missed = emitProbe(operation, size: size, write: write, microSlot: slot)
            var slow = SlowPath(displacement: missed, operation: operation, flags: destroyedFlags)
            slow.micro = slot.map { microMiss($0, size: size, write: write) }
            if size >= Self.spanning { slow.span = FailedSpan(size: size, writes: write, resume: code.cursor) }
            slowPaths.append(slow)
            operand = .memory(Host.address, 0)
            return
        }
        let place = HostOperand.memory(Host.state, StateLayout.sharedProbes + 8 * Int32(shared.slot))
        if shared.probes {
            emitOffset(operation, target, before: shared.displacement)
            let slot = microSlot(operation, target)
            let failed = emitProbe(operation, size: shared.span, write: shared.writes, microSlot: slot)
            failedGroups.append(
                FailedGroup(
                    displacement: failed, index: index, flags: destroyedFlags,
                    micro: slot.map { microMiss($0, size: shared.span, write: shared.writes) },
                    span: FailedSpan(size: shared.span, writes: shared.writes, resume: code.cursor)))
            code.store(Host.address, place)
        } else if addressedSlot != shared.slot || code.hasTouchedAddress {
            code.load(Host.address, place)
        }
        addressedSlot = shared.slot
        code.hasTouchedAddress = false
        operand = .memory(Host.address, shared.displacement)
    }

    /// Accesses of so many bytes cross pages often enough, where programs do not align them, to have code for it.
    private static let spanning: Int32 = 16

    /// Behind a probe that failed, out of line: goes on where it would have succeeded if a gate can reach the bytes.
    mutating func emitSpan(_ span: FailedSpan, _ read: UnsafePointer<UInt8>, _ write: UnsafePointer<UInt8>) {
        emitSpanCall(span, span.writes ? write : read)
        HostAssembler.patch(code.jump(if: Condition.carryClear), to: span.resume)
    }

    private mutating func emitSpanCall(_ span: FailedSpan, _ gate: UnsafePointer<UInt8>) {
        // The address again.
        code.instruction(
            HostEncoding(0x33, w: true), reg: Host.address,
            .indexed(Host.state, Host.spare, 0, span.writes ? writeTable : readTable))
        code.move32(Host.spare, immediate: UInt32(span.size))
        code.call(gate)
    }

    /// The same for one access, which a copy of the bytes serves as well: a store is done here then.
    mutating func emitSplit(_ span: FailedSpan, _ slow: SlowPath) {
        guard span.writes, slow.operation.storesAlone, span.size <= 64, let rejoin = slow.rejoin else {
            return emitSpan(span, span.size <= 64 ? gates.splitRead : gates.spanRead, gates.spanWrite)
        }
        emitSpanCall(span, gates.splitWrite)
        let failed = code.jump(if: Condition.carry)
        operand = .memory(Host.address, 0)
        if slow.operation.maySignal {
            note(offset: slow.operation.offset, behind: slow.operation.remaining, flags: slow.flags)
        }
        emitNative(slow.operation)
        code.call(gates.splitEnd)
        code.jump(to: rejoin)
        code.land(failed)
    }

    /// The offset in its segment that lies so many bytes before what is reached, into the address register: the linear address
    /// where the segment needs no check.
    private mutating func emitOffset(_ operation: Operation, _ target: Target, before distance: Int32) {
        switch target {
        case .operand: emitAddress(operation, before: distance)
        case .pushed: emitStackOffset(Host.guestRSP, -Int32(operation.instruction.pointee.width) - distance)
        case .popped: emitStackOffset(Host.guestRSP, -distance)
        case .frame: emitStackOffset(Self.rbp, -distance)
        }
    }

    private mutating func emitStackOffset(_ base: UInt8, _ displacement: Int32) {
        switch mode.width {
        case 8 where displacement == 0: code.move(Host.address, base)
        case 2 where displacement == 0: code.load(Host.address, .register(base), width: 2)
        default:
            code.lea(Host.address, .memory(base, displacement), wide: mode.width == 8)
            if mode.width == 2 { code.load(Host.address, .register(Host.address), width: 2) }
        }
    }

    /// From an offset in a segment to the linear address, both in the address register; out of line where the access does not
    /// lie within the segment as it is. Destroys the flags like the probe, and uses the spare register.
    private mutating func emitSegmentCheck(_ operation: Operation, _ target: Target, size: Int32, write: Bool) {
        let segment = target == .operand ? operation.instruction.pointee.segment : UInt8(TZ_SS)
        if operation.keepsFlags { saveFlags() }
        code.lea(Host.spare, .memory(Host.address, size))
        code.instruction(
            HostEncoding(0x3b, w: true), reg: Host.spare,
            .memory(Host.state, StateLayout.segmentTop(segment, write: write)))
        hostFlags = false
        slowPaths.append(
            SlowPath(displacement: code.jump(if: Condition.above), operation: operation, flags: destroyedFlags))
        code.instruction(
            HostEncoding(0x03), reg: Host.address,
            .memory(Host.state, StateLayout.effectiveBase + Int32(segment) * 8))
    }

    /// The probe, which destroys the flags: those that have to be kept are saved first. Needs the spare register. Returns the
    /// displacement of the jump that is taken when it fails.
    mutating func emitProbe(
        _ operation: Operation, size: Int32, write: Bool, microSlot: UInt8? = nil
    ) -> UnsafeMutablePointer<UInt8> {
        if operation.keepsFlags { saveFlags() }
        if let microSlot {
            let entry = StateLayout.microTLB(microSlot, context: mode.context, write: write)
            code.instruction(HostEncoding(0x33, w: true), reg: Host.address, .memory(Host.state, entry))
            code.arithmetic(7, .register(Host.address), 4096 - size)
            let failed = code.jump(if: Condition.above)
            code.instruction(HostEncoding(0x03, w: true), reg: Host.address, .memory(Host.state, entry + 8))
            // The gate that the code comes back from uses both temporaries.
            code.forgetHeld()
            hostFlags = false
            return failed
        }
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

    // MARK: Micro-TLB

    private func microSlot(_ operation: Operation, _ target: Target) -> UInt8? {
        switch target {
        case .operand: operation.microSlot
        case .pushed, .popped: 4
        case .frame: Self.rbp
        }
    }

    /// What `emitMicroMiss` has to know, at the place behind the probe.
    private func microMiss(_ slot: UInt8, size: Int32, write: Bool) -> MicroMiss {
        MicroMiss(
            entry: StateLayout.microTLB(slot, context: mode.context, write: write), size: size, writes: write,
            resume: code.cursor)
    }

    /// Out of line, tries the TLB, and goes on where the probe would have succeeded if that has the page.
    mutating func emitMicroMiss(_ miss: MicroMiss) {
        code.move32(
            Host.spare, immediate: UInt32(miss.entry - StateLayout.microTLB) | UInt32(4096 - miss.size) << 16)
        code.call(miss.writes ? gates.microWrite : gates.microRead)
        HostAssembler.patch(code.jump(if: Condition.carryClear), to: miss.resume)
    }

    // MARK: Stack

    private static let rbp: UInt8 = 5

    /// Reaches what an operation pushes, for writing.
    mutating func emitReachPushed(_ operation: Operation) {
        emitReach(operation, .pushed, size: Int32(operation.instruction.pointee.width), write: true)
    }

    /// Adds to the stack pointer, at the width of the stack. Uses the spare register for one of 16 bits, or the address register
    /// while the spare one names an entry of the jump table.
    mutating func emitMoveStackPointer(_ distance: Int32, entryInSpare: Bool = false) {
        guard mode.width == 2 else {
            stackLag += distance
            if nextMovesStackToo { return }
            code.lea(Host.guestRSP, .memory(Host.guestRSP, stackLag), wide: mode.width == 8)
            return stackLag = 0
        }
        guard entryInSpare else {
            code.lea(Host.spare, .memory(Host.guestRSP, distance))
            return code.store(Host.spare, .register(Host.guestRSP), width: 2)
        }
        code.store(Host.spare, .memory(Host.state, StateLayout.scratch))
        emitMoveStackPointer(distance)
        code.load(Host.spare, .memory(Host.state, StateLayout.scratch))
    }

    /// Nothing comes between this operation and the next that could show the stack pointer, which is moved once for both. A
    /// handler that does all of the operation would be such a thing.
    private var nextMovesStackToo: Bool {
        guard sharesProbes, !pollsNext, !isLast, slowPaths.count == openSlowPaths else { return false }
        let next = trace[index + 1]
        guard next.begins == nil, let shared = next.shared, !shared.probes, !next.checksStack else { return false }
        switch next.kind {
        case .call: return true
        case .push:
            let isMemory = next.instruction.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0
            let isImmediate = next.instruction.pointee.form == OperandForm.i.rawValue
            return !isMemory && (isImmediate || next.instruction.pointee.rm / 8 != 4)
        case .pop: return next.instruction.pointee.rm / 8 != 4
        default: return false
        }
    }

    mutating func emitPush(_ operation: Operation) {
        let i = operation.instruction
        let width = i.pointee.width
        if i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0 {
            emitReach(operation, .operand, size: Int32(width), write: false)
            code.load(Host.address, operand, width: width)
            code.store(Host.address, .memory(Host.state, StateLayout.scratch))
            emitReachPushed(operation)
            code.load(Host.spare, .memory(Host.state, StateLayout.scratch))
            code.store(Host.spare, operand, width: width)
        } else if i.pointee.form == OperandForm.i.rawValue {
            emitReachPushed(operation)
            emitStoreImmediate(Int32(truncatingIfNeeded: i.pointee.immediate), width: width)
        } else {
            emitReachPushed(operation)
            let number = i.pointee.rm / 8
            if let host = Self.host(number) {
                code.store(host, operand, width: width)
            } else {
                loadFromMemory(number, Host.spare)
                code.store(Host.spare, operand)
            }
        }
        emitMoveStackPointer(-Int32(width))
    }

    mutating func emitPushFlags(_ operation: Operation) {
        saveFlags()
        emitReachPushed(operation)
        code.call(gates.flags)
        code.noteWrite(Host.spare)
        hostFlags = false
        code.store(Host.spare, operand)
        emitMoveStackPointer(-Int32(operation.instruction.pointee.width))
    }

    private mutating func emitStoreImmediate(_ value: Int32, width: UInt8) {
        var encoding = HostEncoding(0xc7, w: width == 8)
        encoding.operandSize = width == 2
        code.instruction(encoding, reg: 0, operand)
        for n in 0..<min(Int32(width), 4) { code.byte(UInt8(truncatingIfNeeded: value >> (8 * n))) }
    }

    mutating func emitPop(_ operation: Operation) {
        let width = operation.instruction.pointee.width
        emitReach(operation, .popped, size: Int32(width), write: false)
        let number = operation.instruction.pointee.rm / 8
        if let host = Self.host(number) {
            var encoding = HostEncoding(0x8b, w: width == 8)
            encoding.operandSize = width == 2
            code.instruction(encoding, reg: host, operand)
            // What was popped stands.
            if number == 4 { return }
        } else {
            code.load(Host.spare, operand)
            writeBack(number, Host.spare)
        }
        emitMoveStackPointer(Int32(width))
    }

    mutating func emitLeave(_ operation: Operation) {
        let width = mode.width
        emitReach(operation, .frame, size: Int32(width), write: false)
        code.load(Host.address, operand, width: width)
        if width == 2 {
            code.lea(Host.spare, .memory(Self.rbp, 2))
            code.store(Host.spare, .register(Host.guestRSP), width: 2)
            code.store(Host.address, .register(Self.rbp), width: 2)
        } else {
            code.lea(Host.guestRSP, .memory(Self.rbp, Int32(width)), wide: width == 8)
            code.move(Self.rbp, Host.address)
        }
    }
}

/// Condition codes of the host that generated code uses.
enum Condition {
    static let carry: UInt8 = 2
    static let carryClear: UInt8 = 3
    static let notEqual: UInt8 = 5
    static let above: UInt8 = 7
    static let greater: UInt8 = 15
}

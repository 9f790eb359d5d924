// Transfers of control. Direct ones are jumps that link blocks; indirect ones look their target up in a table of the
// vCPU's. Backward ones look whether the vCPU is wanted elsewhere.

import CPrimitives
import X86

extension BlockEncoder {
    // MARK: Direct

    /// A jump to the block at an offset from `code_base`, in line, whose RIP is truncated to `mask`.
    mutating func emitEdge(_ target: Int32, from operation: Operation, mask: UInt64) {
        if !savedFlags { restoreFlags() }
        var edge = edge(to: target, from: operation, mask: mask)
        edge.isBackward = target <= operation.offset || pollsNext
        emitPreparation(&edge, number: edges.count)
        edges.append(edge)
    }

    private func edge(to target: Int32, from operation: Operation, mask: UInt64) -> Edge {
        Edge(
            displacement: code.cursor, target: target, crossesPages: target & ~0xfff != 0, mask: mask,
            flags: EdgeFlags(
                inHost: hostFlags, inState: savedFlags, operation: UInt8(truncatingIfNeeded: index),
                registers: hostFlags ? operation.recipeRegisters : 0, lacksCarry: operation.recipeLacksCarry))
    }

    /// What has to happen on the way to a block, and the jump. `number` is the edge's among those of its trace.
    mutating func emitPreparation(_ edge: inout Edge, number: Int) {
        let page = edge.target & ~0xfff
        if edge.isBackward {
            emitPoll(at: edge.target, behind: 0)
            emitFlagSource(&edge.flags, link: firstLink + number)
        } else if edge.flags.lacksCarry {
            edge.flags.registers = 0
        }
        if page != 0 {
            code.load(Host.address, .memory(Host.state, StateLayout.codeBase))
            code.lea(Host.address, .memory(Host.address, page))
            code.store(Host.address, .memory(Host.state, StateLayout.codeBase))
        }
        edge.displacement = code.jump()
    }

    /// A load that faults when the vCPU's attention is asked for, between two instructions.
    mutating func emitPoll(at offset: Int32, behind: UInt8) {
        code.load(Host.address, .memory(Host.state, StateLayout.poll))
        note(offset: offset, behind: behind)
        code.instruction(HostEncoding(0x8b), reg: Host.address, .memory(Host.address, 0))
    }

    mutating func emitJumpIf(_ operation: Operation) {
        let target = target(operation)
        var edge = edge(to: target, from: operation, mask: mode.branchMask)
        edge.isBackward = target <= operation.offset || pollsNext
        edge.needsPreparation = edge.isBackward || edge.crossesPages
        edge.displacement = code.jump(if: operation.instruction.pointee.opcode & 15)
        if !edge.needsPreparation, edge.flags.lacksCarry { edge.flags.registers = 0 }
        edges.append(edge)
        if isLast { emitEdge(operation.next, from: operation, mask: .max) }
    }

    mutating func emitCall(_ operation: Operation) {
        emitReachPushed(operation)
        emitReturnAddress(operation)
        // The stack pointer has moved.
        producer = operation.producerBehind
        emitEdge(target(operation), from: operation, mask: mode.branchMask)
    }

    /// Stores the return address and moves the stack pointer.
    private mutating func emitReturnAddress(_ operation: Operation) {
        code.load(Host.spare, .memory(Host.state, StateLayout.codeBase))
        code.lea(Host.spare, .memory(Host.spare, operation.next))
        let width = operation.instruction.pointee.width
        code.store(Host.spare, operand, width: width)
        emitMoveStackPointer(-Int32(width))
    }

    // MARK: Indirect

    /// Looks up the RIP in R15; the jump table's entry is in R13 afterwards. Where there is none, a gate may find one; if not, and
    /// when the vCPU's attention is asked for, leaves by the handler, which does all of the instruction's work. No entry has the
    /// salt that is in force then.
    private mutating func emitLookup(_ operation: Operation) {
        code.lea(Host.spare, .scaled(Host.address, 2, 0), wide: false)
        code.arithmetic(4, .register(Host.spare), JumpTable.mask, wide: false)
        code.instruction(
            HostEncoding(0x33, w: true), reg: Host.address,
            .memory(Host.state, StateLayout.jumpSalt(context: mode.context)))
        code.instruction(HostEncoding(0x3b, w: true), reg: Host.address, JumpTable.key)
        var slow = SlowPath(
            displacement: code.jump(if: Condition.notEqual), operation: operation, flags: destroyedFlags)
        if mode.width == 8 { slow.found = code.cursor }
        slowPaths.append(slow)
        emitHandOverFlags()
    }

    private mutating func emitJumpToLanding() { code.instruction(HostEncoding(0xff), reg: 4, JumpTable.landing) }

    mutating func emitReturn(_ operation: Operation) {
        let i = operation.instruction
        emitReach(operation, .popped, size: Int32(i.pointee.width), write: false)
        code.load(Host.address, operand, width: i.pointee.width)
        emitFlagsForLookup(operation)
        hostFlags = false
        emitLookup(operation)
        emitMoveStackPointer(operation.stackDistance ?? 0, entryInSpare: true)
        emitJumpToLanding()
    }

    /// The target of an indirect jump or call into R15, with the flags seen to.
    private mutating func emitTarget(_ operation: Operation) {
        let i = operation.instruction
        if i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0 {
            let width = i.pointee.width
            emitReach(operation, .operand, size: Int32(width), write: false, shares: false)
            code.load(Host.address, operand, width: width)
            emitFlagsForLookup(operation)
        } else {
            emitFlagsForLookup(operation)
            let number = i.pointee.rm / 8
            if let host = Self.host(number) {
                code.load(Host.address, .register(host), width: i.pointee.width)
            } else {
                loadFromMemory(number, Host.address)
            }
        }
        hostFlags = false
    }

    mutating func emitJumpIndirect(_ operation: Operation) {
        emitTarget(operation)
        emitLookup(operation)
        emitJumpToLanding()
    }

    mutating func emitCallIndirect(_ operation: Operation) {
        emitTarget(operation)
        emitLookup(operation)
        let entry = HostOperand.memory(Host.state, StateLayout.scratch + 8)
        code.store(Host.spare, entry)
        emitReachPushed(operation)
        emitReturnAddress(operation)
        code.load(Host.spare, entry)
        emitJumpToLanding()
    }
}

// Which probes try the micro-TLB first: those whose page is likely that of the last access by the same register. These are the
// stack's, and in a loop those whose address moves by little from one round to the next. A slot belongs to a register, so that all
// traces find the stack's page in the same place; within a trace it serves one address.

import CPrimitives
import X86

/// Decides which operations' accesses try the micro-TLB.
struct MicroTLBPlan {
    /// The most bytes that an address may move in one round.
    private static let longestStep: Int64 = 64
    /// How far apart the addresses may be that a slot serves, in bytes.
    private static let reach: Int64 = 2048

    /// What makes up the address for which a slot is used.
    private struct Use {
        var index: UInt8
        var scale: UInt8
        var displacement: Int64
        var slot: UInt8 = 0
    }

    /// The registers that change by nothing but small constants.
    private var steady: UInt16 = 0
    private var uses = InlineArray<17, Use?>(repeating: nil)
    /// For a loop, the next of its slots, counted from the first that loops have.
    private var loop: Int?
    private static let loopSlots = Int(TZ_MICRO_SLOTS - TZ_MICRO_LOOPS)

    /// Sets `microSlot` of every operation.
    static func apply(to operations: inout [Operation]) {
        var plan = MicroTLBPlan()
        if let first = operations.first, loops(operations) {
            // Any number that tells it from other loops.
            plan.loop = (Int(first.offset) &* 0x9e37_79b1 >> 12) % loopSlots
        }
        plan.noteSteadyRegisters(operations)
        for index in operations.indices { operations[index].microSlot = plan.slot(of: operations[index]) }
    }

    /// Whether the trace leads to its own beginning.
    private static func loops(_ operations: [Operation]) -> Bool {
        guard let first = operations.first else { return false }
        return operations.contains { operation in
            guard operation.kind == .jump || operation.kind == .jumpIf else { return false }
            return operation.next &+ Int32(truncatingIfNeeded: operation.instruction.pointee.immediate) == first.offset
        }
    }

    private mutating func noteSteadyRegisters(_ operations: [Operation]) {
        steady = Operation.allRegisters
        var steps = InlineArray<16, Int64>(repeating: 0)
        for operation in operations {
            if let (register, distance) = Self.step(operation) { steps[register] += distance }
        }
        for register in 0..<16 where abs(steps[register]) > Self.longestStep || loop == nil && steps[register] == 0 {
            steady &= ~(1 << UInt16(register))
        }
        // The stack pointer's accesses have their slot anyway.
        if steady & ~(1 << 4) == 0 { return }
        var before: UInt16
        repeat {
            before = steady
            for operation in operations where Self.step(operation) == nil {
                if let sources = Self.sources(operation), sources & ~steady == 0 { continue }
                steady &= ~operation.changedRegisters
            }
        } while steady != before
    }

    /// The registers of which an operation makes the address or the copy that it changes another to.
    private static func sources(_ operation: Operation) -> UInt16? {
        let i = operation.instruction
        func mask(_ offset: UInt8) -> UInt16 { offset < UInt8(TZ_RIP_OFFSET) ? 1 << UInt16(offset / 8) : 0 }
        var sources: UInt16
        switch (operation.kind, Mnemonic(rawValue: i.pointee.mnemonic), OperandForm(rawValue: i.pointee.form)) {
        case (.lea, _, _): sources = mask(i.pointee.base) | mask(i.pointee.index)
        case (.compute, .mov, .rm_r) where i.pointee.width >= 4: sources = mask(i.pointee.reg)
        case (.compute, .mov, .r_rm) where i.pointee.width >= 4: sources = mask(i.pointee.rm)
        case (.compute, .movsxd, _): sources = mask(i.pointee.rm)
        default: return nil
        }
        return sources & operation.changedRegisters == 0 ? sources : nil
    }

    /// The register to which an operation adds a constant, and that.
    private static func step(_ operation: Operation) -> (register: Int, distance: Int64)? {
        if let distance = operation.stackDistance, operation.changedRegisters == 1 << 4 { return (4, Int64(distance)) }
        let i = operation.instruction
        let isWide = i.pointee.width == (operation.isLegacy ? 4 : 8)
        switch operation.kind {
        case .lea:
            guard i.pointee.reg == i.pointee.base, i.pointee.index == UInt8(TZ_ZERO_OFFSET) else { return nil }
            return (Int(i.pointee.reg / 8), Int64(i.pointee.displacement))
        case .compute where !operation.isNative && isWide:
            let register = Int(i.pointee.rm / 8)
            switch (Mnemonic(rawValue: i.pointee.mnemonic), OperandForm(rawValue: i.pointee.form)) {
            case (.add, .rm_i): return (register, i.pointee.immediate)
            case (.sub, .rm_i): return (register, -i.pointee.immediate)
            case (.inc, _): return (register, 1)
            case (.dec, _): return (register, -1)
            default: return nil
            }
        default: return nil
        }
    }

    /// The slot for an operand in memory; nil if its page is anybody's guess.
    private mutating func slot(of operation: Operation) -> UInt8? {
        let i = operation.instruction
        guard i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0 else { return nil }
        let base = i.pointee.base
        let index = i.pointee.index == UInt8(TZ_ZERO_OFFSET) ? nil : i.pointee.index / 8
        var use = Use(
            index: index ?? .max, scale: index == nil ? 0 : i.pointee.scale,
            displacement: Int64(i.pointee.displacement))
        if base == UInt8(TZ_ZERO_OFFSET) || base == UInt8(TZ_RIP_OFFSET) {
            if operation.kind == .jumpIndirect { return index == nil ? nil : take(Self.fixed, use) }
            guard index == nil else { return nil }
            switch Int(i.pointee.segment) {
            case Int(TZ_FS): return UInt8(TZ_MICRO_FS)
            case Int(TZ_GS): return UInt8(TZ_MICRO_GS)
            default: break
            }
            guard loop != nil else { return nil }
            if base == UInt8(TZ_RIP_OFFSET) { use.displacement += Int64(operation.next) }
            return take(Self.fixed, use)
        }
        let register = Int(base / 8)
        if register == 4 { return abs(use.displacement) < Self.reach ? UInt8(TZ_MICRO_FRAME) : nil }
        // Tables of jumps are small.
        if operation.kind == .jumpIndirect, index != nil { return take(register, use) }
        guard steady >> UInt16(register) & 1 != 0, index.map({ steady >> UInt16($0) & 1 != 0 }) ?? true else {
            return nil
        }
        if let slot = take(register, use) { return slot }
        return index.flatMap { take(Int($0), use) }
    }

    /// Stands for the register that fixed addresses don't have.
    private static let fixed = 16

    /// The slot for a register, unless it serves other addresses.
    private mutating func take(_ register: Int, _ use: Use) -> UInt8? {
        if let known = uses[register] {
            let isNear = abs(known.displacement - use.displacement) <= Self.reach
            return known.index == use.index && known.scale == use.scale && isNear ? known.slot : nil
        }
        var use = use
        if let next = loop {
            use.slot = UInt8(Int(TZ_MICRO_LOOPS) + next)
            loop = (next + 1) % Self.loopSlots
        } else {
            use.slot = UInt8(register == Self.fixed ? Int(TZ_MICRO_FIXED) : register)
        }
        uses[register] = use
        return use.slot
    }
}

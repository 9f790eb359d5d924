// Sharing probes: accesses of a block to [base + index × scale + displacement] with the same base and index and different
// displacements mostly lie in one page. The first of them probes the TLB for the bytes of all, and the others use the host
// address that it found. Where the bytes do not lie in one page, or the page does not permit all of the accesses, the
// code is left, and next time goes on in a second version, in which every access has a probe of its own.
//
// What base and index are is followed along the block: a register's value is an unknown, numbered, plus a constant.

import CPrimitives
import X86

/// How an operation's access is part of a group.
struct SharedProbe {
    /// Where the group's host address is kept.
    var slot: UInt8
    /// The access's distance from the first byte of the group.
    var displacement: Int32
    /// For the access that probes: the bytes of the group; 0 for the others.
    var span: Int32 = 0
    /// For the access that probes: some access of the group writes.
    var writes = false

    var probes: Bool { span != 0 }
}

/// Decides which accesses share probes.
struct ProbePlan {
    /// The most bytes of a group: the longer, the likelier is a page's end among them.
    private static let longestSpan: Int64 = 512
    /// As many groups as the state has places for.
    private static let slots = 8

    /// A register's value: a numbered unknown plus an offset.
    private struct Value: Equatable {
        var number: UInt16
        var offset: Int64
    }

    /// An address but for its constant part.
    private struct Key: Equatable {
        var base: UInt16
        var index: UInt16
        var scale: UInt8
        var segment: UInt8
    }

    private struct Group {
        var key: Key
        var first: Int64
        var end: Int64
        var writes = false
        var members = 0
        var leader: Int
    }

    private static let none: UInt16 = 0xfffe
    /// The page in which the block begins.
    private static let page: UInt16 = 0xffff

    private var values: InlineArray<16, Value>
    private var nextNumber: UInt16 = 16
    private var groups: [Group] = []
    /// The groups that may still grow.
    private var open: [Int] = []
    /// For each operation, the group and the constant part of its address.
    private var members: [(operation: Int, group: Int, offset: Int64)] = []

    private init() { values = InlineArray { Value(number: UInt16($0), offset: 0) } }

    /// Sets `shared` of every operation.
    static func apply(to operations: inout [Operation]) {
        var plan = ProbePlan()
        plan.groups.reserveCapacity(operations.count)
        plan.open.reserveCapacity(operations.count)
        plan.members.reserveCapacity(operations.count)
        for index in operations.indices {
            operations[index].shared = nil
            plan.note(operations[index], at: index)
            plan.follow(operations[index])
        }
        var slots = [UInt8?](repeating: nil, count: plan.groups.count)
        var used: UInt8 = 0
        for (number, group) in plan.groups.enumerated() where group.members > 1 && used < Self.slots {
            slots[number] = used
            used += 1
        }
        for (index, number, offset) in plan.members {
            guard let slot = slots[number] else { continue }
            let group = plan.groups[number]
            var shared = SharedProbe(slot: slot, displacement: Int32(offset - group.first))
            if group.leader == index {
                shared.span = Int32(group.end - group.first)
                shared.writes = group.writes
            }
            operations[index].shared = shared
        }
    }

    // MARK: Accesses

    private mutating func note(_ operation: Operation, at index: Int) {
        let i = operation.instruction
        switch operation.kind {
        case .access:
            guard !operation.usesX87, let (key, offset) = address(operation) else { return }
            add(index, key, offset, size: Int64(operation.size), writes: operation.writes)
        case .push where i.pointee.flags & UInt8(TZ_INSN_MEMORY) == 0, .pushFlags, .call, .callIndirect:
            addStack(operation, at: index, 4, -Int64(i.pointee.width), writes: true)
        case .pop where i.pointee.rm / 8 != 4, .ret: addStack(operation, at: index, 4, 0, writes: false)
        case .leave: addStack(operation, at: index, 5, 0, writes: false)
        default: break
        }
    }

    private mutating func addStack(
        _ operation: Operation, at index: Int, _ register: Int, _ displacement: Int64, writes: Bool
    ) {
        guard !operation.checksStack else { return }
        let size = Int64(operation.instruction.pointee.width)
        let base = values[register]
        let key = Key(base: base.number, index: Self.none, scale: 0, segment: 0)
        add(index, key, base.offset + displacement, size: size, writes: writes)
    }

    /// As wide as addresses are, in bytes: what register values are followed by. Outside 64-bit mode all is modulo 2^32.
    private func addressWidth(_ operation: Operation) -> UInt8 { operation.isLegacy ? 4 : 8 }

    /// What the address of an operand is made of; nil for those of less than the mode's width, in segments that have to be
    /// checked, or so far off that they might wrap.
    private func address(_ operation: Operation) -> (Key, Int64)? {
        let i = operation.instruction
        let mask: UInt64 = operation.isLegacy ? 0xffff_ffff : .max
        guard i.pointee.address_mask == mask, !operation.checksSegment || operation.kind == .lea else { return nil }
        if operation.isAbsoluteMove {
            let offset = Int64(Int32(truncatingIfNeeded: i.pointee.immediate))
            return (Key(base: Self.none, index: Self.none, scale: 0, segment: 0), offset)
        }
        guard operation.isLegacy || abs(Int64(i.pointee.displacement)) < 1 << 30 else { return nil }
        let isBased = !operation.isLegacy && (i.pointee.segment == UInt8(TZ_FS) || i.pointee.segment == UInt8(TZ_GS))
        var key = Key(base: Self.none, index: Self.none, scale: 0, segment: isBased ? i.pointee.segment : 0)
        var offset = Int64(i.pointee.displacement)
        if i.pointee.base == UInt8(TZ_RIP_OFFSET) {
            key.base = Self.page
            offset += Int64(operation.next)
        } else if i.pointee.base != UInt8(TZ_ZERO_OFFSET) {
            let base = values[Int(i.pointee.base / 8)]
            key.base = base.number
            offset += base.offset
        }
        if i.pointee.index != UInt8(TZ_ZERO_OFFSET) {
            let index = values[Int(i.pointee.index / 8)]
            key.index = index.number
            key.scale = i.pointee.scale
            offset += index.offset << Int64(i.pointee.scale)
        }
        return (key, offset)
    }

    private mutating func add(_ index: Int, _ key: Key, _ offset: Int64, size: Int64, writes: Bool) {
        if let position = open.firstIndex(where: { groups[$0].key == key }) {
            let number = open[position]
            let first = min(groups[number].first, offset)
            let end = max(groups[number].end, offset + size)
            if end - first <= Self.longestSpan {
                groups[number].first = first
                groups[number].end = end
                groups[number].writes = groups[number].writes || writes
                groups[number].members += 1
                return members.append((index, number, offset))
            }
            open.remove(at: position)
        }
        open.append(groups.count)
        members.append((index, groups.count, offset))
        groups.append(Group(key: key, first: offset, end: offset + size, writes: writes, members: 1, leader: index))
    }

    // MARK: Values

    private mutating func follow(_ operation: Operation) {
        let i = operation.instruction
        switch operation.kind {
        case .move, .store, .step, .stepAndLeave, .systemCall, .systemReturn:
            // A handler may do anything, to where addresses lead too.
            open.removeAll(keepingCapacity: true)
            forget(Operation.allRegisters)
        case .swapGS: open.removeAll { groups[$0].key.segment == UInt8(TZ_GS) }
        case .push, .pushFlags, .call, .callIndirect: move(4, by: -Int64(i.pointee.width))
        case .pop:
            move(4, by: Int64(i.pointee.width))
            forget(1 << UInt16(i.pointee.rm / 8))
        case .leave:
            values[4] = values[5]
            move(4, by: Int64(i.pointee.width))
            forget(1 << 5)
        case .lea:
            if i.pointee.width == addressWidth(operation), let (key, offset) = address(operation),
                key.base != Self.none,
                key.base != Self.page, key.index == Self.none
            {
                set(Int(i.pointee.reg / 8), Value(number: key.base, offset: offset))
            } else {
                forget(1 << UInt16(i.pointee.reg / 8))
            }
        case .compute: followCompute(operation)
        default: forget(operation.changedRegisters)
        }
    }

    private mutating func followCompute(_ operation: Operation) {
        let i = operation.instruction
        let changed = operation.changedRegisters
        guard !operation.isNative, i.pointee.width == addressWidth(operation),
            let form = OperandForm(rawValue: i.pointee.form)
        else {
            return forget(changed)
        }
        let rm = Int(i.pointee.rm / 8)
        switch (Mnemonic(rawValue: i.pointee.mnemonic), form) {
        case (.mov, .rm_r): set(rm, values[Int(i.pointee.reg / 8)])
        case (.mov, .r_rm): set(Int(i.pointee.reg / 8), values[rm])
        case (.add, .rm_i): move(rm, by: i.pointee.immediate)
        case (.sub, .rm_i): move(rm, by: -i.pointee.immediate)
        default: forget(changed)
        }
    }

    private mutating func move(_ register: Int, by amount: Int64) {
        set(register, Value(number: values[register].number, offset: values[register].offset + amount))
    }

    private mutating func set(_ register: Int, _ value: Value) {
        // Far below overflow, whatever is added to it.
        if abs(value.offset) < 1 << 30 { values[register] = value } else { forget(1 << UInt16(register)) }
    }

    private mutating func forget(_ registers: UInt16) {
        for register in 0..<16 where registers >> UInt16(register) & 1 != 0 {
            values[register] = Value(number: nextNumber, offset: 0)
            nextNumber += 1
        }
    }
}

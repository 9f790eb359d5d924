// Where a trace is entered, and what jumps to it say of the flags.
//
// A trace whose first access comes before anything has written the flags needs them only for a fault to show. Whoever
// enters it need not have them in the host's then: they may be in the state already, or follow from registers that the
// trace does not change before it writes them. Which it is, is said by `flag_source`, one store, for the dispatcher.

import CPrimitives
import X86

/// The ways into a trace.
struct Entries {
    /// `code_base` is in place, and the flags are in the host's.
    var entry: UnsafeMutablePointer<UInt8>
    /// The same behind the calls of the gates that the trace needs open.
    var openEntry: UnsafeMutablePointer<UInt8>
    /// The flags are in the state, and not in the host's.
    var savedEntry: UnsafeMutablePointer<UInt8>
    var savedOpenEntry: UnsafeMutablePointer<UInt8>
    /// Behind the gates, with the flags in the host's: `flag_source` says how they follow from registers. Nil if the trace does
    /// not inherit them.
    var inheritingEntry: UnsafeMutablePointer<UInt8>?

    init(at start: UnsafeMutablePointer<UInt8>) {
        (entry, openEntry, savedEntry, savedOpenEntry) = (start, start, start, start)
    }
}

/// Where the flags are when control leaves a trace by a jump.
struct EdgeFlags {
    var inHost: Bool
    var inState: Bool
    /// The jump's place among the operations of its trace.
    var operation: UInt8
    /// The registers from which they follow; 0 if they don't.
    var registers: UInt16
    /// CF does not.
    var lacksCarry: Bool
    /// The jump has stored its number in `flag_source`, and CF if that is lacking.
    var storesSource = false
}

extension BlockEncoder {
    /// The landing (the way in for indirect jumps, with the jump table's entry in R13), the other ways in, and the gates.
    /// Whoever comes by the landing has said in `flag_source` where the flags are.
    mutating func emitEntries(_ operations: [Operation]) {
        let inherits = operations.first?.inheritsFlags ?? false
        code.load(Host.address, JumpTable.codeBase)
        // Mostly it is that already. A store would be waited for by the next call, whose return address the next return waits
        // for: a chain through a whole program.
        code.instruction(
            HostEncoding(0x3b, w: true), reg: Host.address, .memory(Host.state, StateLayout.codeBase))
        otherCodeBase = code.jump(if: Condition.notEqual)
        if isOpenToFlags(operations) {
            let start = code.cursor
            (hostFlags, savedFlags) = (!inherits, false)
            entries = Entries(at: start)
            if inherits { entries.inheritingEntry = start }
            return
        }
        if leavesFlagsInState(operations) {
            entries = Entries(at: code.cursor)
            (hostFlags, savedFlags) = (false, true)
            return
        }
        entries.savedEntry = code.cursor
        entries.savedOpenEntry = code.cursor
        emitFlagsFromState()
        (hostFlags, savedFlags) = (true, false)
        entries.entry = code.cursor
        emitVectorGates(operations)
        entries.openEntry = code.cursor
        guard inherits else { return }
        saveFlags()
        emitFlagSource(0)
        entries.inheritingEntry = code.cursor
        (hostFlags, savedFlags) = (false, false)
    }

    /// The landing needs no flags, wherever they are: neither a gate, nor the budget's end, nor the trace itself does.
    private func isOpenToFlags(_ operations: [Operation]) -> Bool {
        !counts && openedGates.isEmpty && !(operations.first?.keepsFlags ?? true)
    }

    /// The trace has to keep flags that it does not use, or wants them in the state: whoever comes with them there need not load
    /// them.
    private func leavesFlagsInState(_ operations: [Operation]) -> Bool {
        guard !counts, openedGates.isEmpty, operations.first?.keepsFlags ?? true else { return false }
        let end = operations.firstIndex { $0.flags == .writes } ?? operations.count
        return !operations[..<end].contains { $0.takesFlags && !$0.takesCarryAlone && !$0.takesSavedFlags }
    }

    /// What the trace changes before the last place that may show the flags with which the landing is reached; all registers if
    /// the landing takes flags from the state alone.
    func headRegisters(_ operations: [Operation]) -> UInt32 {
        isOpenToFlags(operations) ? UInt32(FlagPlan.headRegisters(operations)) : .max
    }

    /// The ways in that do not lie on that of the landing.
    mutating func emitOtherEntries(_ operations: [Operation]) {
        if let displacement = otherCodeBase {
            code.land(displacement)
            code.store(Host.address, .memory(Host.state, StateLayout.codeBase))
            code.jump(to: displacement + 4)
        }
        if isOpenToFlags(operations) {
            guard let inheriting = entries.inheritingEntry else { return }
            entries.entry = code.cursor
            entries.openEntry = code.cursor
            (hostFlags, savedFlags) = (true, false)
            saveFlags()
            entries.savedEntry = code.cursor
            entries.savedOpenEntry = code.cursor
            emitFlagSource(0)
            return code.jump(to: inheriting)
        }
        if leavesFlagsInState(operations) {
            let start = entries.entry
            entries.entry = code.cursor
            entries.openEntry = code.cursor
            (hostFlags, savedFlags) = (true, false)
            saveFlags()
            return code.jump(to: start)
        }
        guard !openedGates.isEmpty else { return }
        // Behind the gates, with the flags in the state.
        entries.savedOpenEntry = code.cursor
        if counts || operations.first?.keepsFlags ?? true { emitFlagsFromState() }
        if let inheriting = entries.inheritingEntry {
            emitFlagSource(0)
            code.jump(to: inheriting)
        } else {
            code.jump(to: entries.openEntry)
        }
    }

    /// Says where the flags are for whoever is reached next by a lookup: in the state, where they are put unless they follow from
    /// registers. What the target makes of those is not known before the table's entry is.
    mutating func emitFlagsForLookup(_ operation: Operation) {
        lookupRegisters = 0
        let follows = operation.recipeRegisters != 0 && !operation.recipeLacksCarry && operation.producer.isKnown
        if savedFlags || !follows {
            saveFlags()
            return emitFlagSource(0)
        }
        lookupRegisters = operation.recipeRegisters
        emitFlagSource(Link.source(firstLink + edges.count))
        edges.append(
            Edge(
                displacement: code.cursor, target: 0, crossesPages: false, mask: .max,
                flags: EdgeFlags(
                    inHost: false, inState: false, operation: UInt8(truncatingIfNeeded: index),
                    registers: lookupRegisters, lacksCarry: false), isLookup: true))
    }

    /// With an entry of the jump table in R13: saves flags that the entry's trace may lose.
    mutating func emitHandOverFlags() {
        guard lookupRegisters != 0 else { return }
        code.instruction(HostEncoding(0xf7), reg: 0, JumpTable.headRegisters)
        code.int32(Int32(lookupRegisters))
        let displacement = code.jump(if: Condition.notEqual)
        flagRescues.append(FlagRescue(displacement: displacement, rejoin: code.cursor, producer: producer))
    }

    /// Out of line, flags that a jump's target may lose are made anew and saved.
    mutating func emitFlagRescues() {
        for rescue in flagRescues {
            code.land(rescue.displacement)
            let entry = HostOperand.memory(Host.state, StateLayout.scratch)
            code.store(Host.spare, entry)
            producer = rescue.producer
            (hostFlags, savedFlags) = (false, false)
            saveFlags()
            emitFlagSource(0)
            code.load(Host.spare, entry)
            code.jump(to: rescue.rejoin)
        }
        flagRescues.removeAll(keepingCapacity: true)
    }

    private mutating func emitFlagSource(_ value: UInt32) {
        code.store32(immediate: value, .memory(Host.state, StateLayout.flagSource))
    }

    /// Notes on the way to another trace how the flags follow from registers, if they do.
    mutating func emitFlagSource(_ flags: inout EdgeFlags, link: Int) {
        guard flags.registers != 0 else { return }
        if flags.lacksCarry {
            code.instruction(HostEncoding(0x92, map: 1), reg: 0, .memory(Host.state, StateLayout.flagCarry))
        }
        emitFlagSource(Link.source(link))
        flags.storesSource = true
    }
}

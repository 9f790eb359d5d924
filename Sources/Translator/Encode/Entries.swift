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
    /// The landing (the way in for indirect jumps, with the jump table's entry in R10 and flags saved in the state), the other
    /// ways in, and the gates.
    mutating func emitEntries(_ operations: [Operation]) {
        let inherits = operations.first?.inheritsFlags ?? false
        code.load(Host.address, JumpTable.codeBase)
        code.store(Host.address, .memory(Host.state, StateLayout.codeBase))
        entries.savedEntry = code.cursor
        entries.savedOpenEntry = code.cursor
        let isOpen = openedGates.isEmpty
        // Gates and the budget's end have them from the host's.
        if counts || !isOpen || operations.first?.keepsFlags ?? true { emitFlagsFromState() }
        hostFlags = true
        savedFlags = false
        entries.entry = code.cursor
        emitVectorGates(operations)
        entries.openEntry = code.cursor
        guard inherits else { return }
        if !isOpen { saveFlags() }
        emitFlagSource(0)
        entries.inheritingEntry = code.cursor
        hostFlags = false
        savedFlags = false
    }

    /// The ways in that do not lie on that of the landing.
    mutating func emitOtherEntries(_ operations: [Operation]) {
        guard !openedGates.isEmpty else {
            guard let inheriting = entries.inheritingEntry else { return }
            entries.entry = code.cursor
            entries.openEntry = code.cursor
            (hostFlags, savedFlags) = (true, false)
            saveFlags()
            emitFlagSource(0)
            return code.jump(to: inheriting)
        }
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

// Working out flags that generated code has lost, when an instruction faulted before anything else wrote them.

import CPrimitives
import X86

extension Translator {
    /// Puts the flags at which a gate was left into the state: those before its instruction if that faulted, and those behind it
    /// otherwise.
    func recoverFlagsAtGate() {
        guard let instruction = UnsafePointer<tz_instruction>(bitPattern: UInt(state.pointee.translated.exit_value)),
            let translation = code.translation(at: state.pointee.translated.exit_address)
        else { return }
        let behind = state.pointee.fault_pending == 0 ? 1 : 0
        recoverFlags(at: instruction, behind: behind, in: translation.pointee.trace)
    }

    /// The same for those that an indirect jump handed over to a trace that is gone.
    func recoverFlagsAtLanding() { state.pointee.arithmetic = inheritedFlags() }

    /// Puts the flags before an instruction, or behind it, into the state, from the registers as they are.
    private func recoverFlags(at instruction: UnsafePointer<tz_instruction>, behind: Int, in trace: Trace) {
        recall(trace)
        let operations = recovered.operations
        guard let place = operations.firstIndex(where: { UnsafePointer($0.instruction) == instruction }) else { return }
        let index = place + behind
        guard let recipe = FlagRecipe(before: index, in: operations, inherits: true), recipe.isKnown else { return }
        state.pointee.arithmetic = flags(by: recipe, of: operations)
    }

    /// The flags with which the trace was entered. Whatever became of the trace that they come from meanwhile,
    /// what is known of it lasts until links get new numbers.
    private func inheritedFlags() -> UInt64 {
        let saved = state.pointee.arithmetic
        let number = Int(state.pointee.translated.flag_source) - 1
        guard number >= 0, number < code.linkCount else { return saved }
        let link = code.links + number
        let place = UInt64(UInt(bitPattern: code.executable(link.pointee.displacement)))
        guard let source = code.translation(at: place) else { return saved }
        recall(source.pointee.trace)
        let operations = recovered.operations
        let behind = Int(link.pointee.flags.operation) + 1
        guard behind <= operations.count,
            let recipe = FlagRecipe(before: behind, in: operations, inherits: false)
        else { return saved }
        return flags(by: recipe, of: operations)
    }

    /// Has the operations of a trace in `recovered`: faults come again and again from the same.
    private func recall(_ trace: Trace) {
        // A block may be translated again, and its trace be longer then.
        guard recovered.trace != trace[0] || recovered.count != trace.count else { return }
        lowering.lower(trace, into: &recovered.operations)
        recovered.trace = trace[0]
        recovered.count = trace.count
    }

    /// The same for an instruction that a signal stopped.
    func recoverFlags(at site: Site) {
        guard let (instruction, trace) = place(of: site) else { return }
        recoverFlags(at: instruction, behind: 0, in: trace)
    }

    /// The instruction at which a signal stopped generated code, and its trace; nil if it lies behind the trace.
    func place(of site: Site) -> (instruction: UnsafePointer<tz_instruction>, trace: Trace)? {
        guard let trace = code.translation(at: state.pointee.translated.exit_address)?.pointee.trace else { return nil }
        var offset = Int32(trace[0].pointee.address & 0xfff)
        for index in 0..<trace.count {
            let block = trace[index]
            for n in 0..<Int(block.pointee.count) {
                let instruction = UnsafePointer(block.pointee.instructions + n)
                if offset == site.offset { return (instruction, trace) }
                offset += Int32(instruction.pointee.length)
            }
        }
        return nil
    }

    private static let carryFlag: UInt64 = 1 << 8

    private func flags(by recipe: FlagRecipe, of operations: [Operation]) -> UInt64 {
        if recipe.producer < 0 { return inheritedFlags() }
        let known = flags(of: operations[recipe.producer], stackMoved: recipe.stackMoved)
        let carry: UInt64 =
            switch recipe.carry {
            case .own: known & Self.carryFlag
            case .of(let producer): flags(of: operations[producer], stackMoved: 0) & Self.carryFlag
            case .inherited: inheritedFlags() & Self.carryFlag
            case .unknown: state.pointee.translated.flag_carry != 0 ? Self.carryFlag : 0
            }
        return known & ~Self.carryFlag | carry
    }

    /// The flags that an operation wrote, all registers of whose recipe are unchanged since; INC and DEC leave CF to others.
    private func flags(of operation: Operation, stackMoved: Int32) -> UInt64 {
        let i = operation.instruction
        let form = OperandForm(rawValue: i.pointee.form) ?? .none
        let rm = register(i.pointee.rm) &- UInt64(bitPattern: Int64(stackMoved))
        let other = form == .rm_i ? UInt64(bitPattern: i.pointee.immediate) : register(i.pointee.reg)
        // The destination's value as it is now, and the source's.
        let (destination, source) = form == .r_rm ? (other, rm) : (rm, other)
        let width = i.pointee.width
        switch Mnemonic(rawValue: i.pointee.mnemonic) {
        case .cmp: return HostFlags.sub(destination, source, width)
        case .test: return HostFlags.and(destination, source, width)
        case .add: return HostFlags.add(destination &- source, source, width)
        case .sub: return HostFlags.sub(destination &+ source, source, width)
        case .inc: return HostFlags.add(destination &- 1, 1, width)
        case .dec: return HostFlags.sub(destination &+ 1, 1, width)
        case .neg: return HostFlags.sub(0, 0 &- destination, width)
        default: return HostFlags.and(destination, destination, width)
        }
    }

    private func register(_ offset: UInt8) -> UInt64 {
        UnsafeRawPointer(state).load(fromByteOffset: Int(offset & ~7), as: UInt64.self)
    }
}

/// The host's flags for an operation at a width in bytes.
private enum HostFlags {
    static func add(_ a: UInt64, _ b: UInt64, _ width: UInt8) -> UInt64 {
        switch width {
        case 1: tz_add8(UInt8(truncatingIfNeeded: a), UInt8(truncatingIfNeeded: b), 0).flags
        case 2: tz_add16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), 0).flags
        case 4: tz_add32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), 0).flags
        default: tz_add64(a, b, 0).flags
        }
    }

    static func sub(_ a: UInt64, _ b: UInt64, _ width: UInt8) -> UInt64 {
        switch width {
        case 1: tz_sub8(UInt8(truncatingIfNeeded: a), UInt8(truncatingIfNeeded: b), 0).flags
        case 2: tz_sub16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), 0).flags
        case 4: tz_sub32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), 0).flags
        default: tz_sub64(a, b, 0).flags
        }
    }

    static func and(_ a: UInt64, _ b: UInt64, _ width: UInt8) -> UInt64 {
        switch width {
        case 1: tz_and8(UInt8(truncatingIfNeeded: a), UInt8(truncatingIfNeeded: b), 0).flags
        case 2: tz_and16(UInt16(truncatingIfNeeded: a), UInt16(truncatingIfNeeded: b), 0).flags
        case 4: tz_and32(UInt32(truncatingIfNeeded: a), UInt32(truncatingIfNeeded: b), 0).flags
        default: tz_and64(a, b, 0).flags
        }
    }
}

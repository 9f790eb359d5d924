// Working out flags that generated code has lost, when an instruction faulted before anything else wrote them.

import CPrimitives
import X86

extension Translator {
    /// Puts the flags that an instruction found into the state, from the registers as they are before it.
    func recoverFlags(before instruction: UnsafePointer<tz_instruction>, in trace: Trace) {
        lowering.lower(trace, into: &operations)
        guard let index = operations.firstIndex(where: { UnsafePointer($0.instruction) == instruction }),
            let recipe = FlagPlan.recipe(before: index, in: operations)
        else { return }
        state.pointee.arithmetic = flags(of: operations[recipe.producer])
    }

    /// The same for an instruction that a signal stopped.
    func recoverFlags(at site: Site) {
        guard let (instruction, trace) = place(of: site) else { return }
        recoverFlags(before: instruction, in: trace)
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

    /// The flags that an operation wrote, all registers of whose recipe are unchanged since.
    private func flags(of operation: Operation) -> UInt64 {
        let i = operation.instruction
        let form = OperandForm(rawValue: i.pointee.form) ?? .none
        let rm = register(i.pointee.rm)
        let other = form == .rm_i ? UInt64(bitPattern: i.pointee.immediate) : register(i.pointee.reg)
        // The destination's value as it is now, and the source's.
        let (destination, source) = form == .r_rm ? (other, rm) : (rm, other)
        let width = i.pointee.width
        switch Mnemonic(rawValue: i.pointee.mnemonic) {
        case .cmp: return HostFlags.sub(destination, source, width)
        case .test: return HostFlags.and(destination, source, width)
        case .add: return HostFlags.add(destination &- source, source, width)
        case .sub: return HostFlags.sub(destination &+ source, source, width)
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

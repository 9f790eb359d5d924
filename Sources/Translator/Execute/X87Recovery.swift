// What the x87 state says of its last instruction, when generated code was left before it had stored that.

import CPrimitives
import X86

extension Translator {
    /// An instruction that its handler executed ended the block, or faulted.
    func recoverX87AtGate() {
        guard let instruction = UnsafePointer<tz_instruction>(bitPattern: UInt(state.pointee.translated.exit_value)),
            let translation = code.translation(at: state.pointee.translated.exit_address)
        else { return }
        // What retired has left its own address.
        let mnemonic = instruction.pointee.mnemonic
        if state.pointee.fault_pending == 0, mnemonic == Mnemonic.native.rawValue,
            NativeTable.shared.rows[Int(instruction.pointee.row)].isX87
        {
            return
        }
        recoverX87(before: instruction, in: translation.pointee.trace)
    }

    /// Puts the address and opcode of the last x87 instruction of a trace before `instruction` into the state, if generated
    /// code has not.
    func recoverX87(before instruction: UnsafePointer<tz_instruction>, in trace: Trace) {
        lowering.lower(trace, into: &operations)
        guard let index = operations.firstIndex(where: { UnsafePointer($0.instruction) == instruction }),
            // Handlers are called with everything stored.
            !operations[index].isStep,
            let last = operations[..<index].last(where: { $0.isX87 || $0.isStep }), last.isX87
        else { return }
        withUnsafeMutableBytes(of: &state.pointee.fxsave) { image in
            image.storeBytes(of: last.x87Opcode, toByteOffset: 6, as: UInt16.self)
            let address = state.pointee.translated.code_base &+ UInt64(bitPattern: Int64(last.offset))
            image.storeBytes(of: address, toByteOffset: 8, as: UInt64.self)
        }
        state.pointee.fcs = state.pointee.segments.1.selector
    }
}

// From a decoded instruction to its handler, once, when it is decoded.

import CPrimitives

/// The handler of a decoded instruction under a CPU model; one that raises #UD where the model has no such instruction.
func selectHandler(_ i: UnsafeMutablePointer<tz_instruction>, _ offer: InstructionSet) -> tz_handler {
    switch i.pointee.mnemonic {
    case Mnemonic.invalid.rawValue: raiseInvalidOpcode
    case Mnemonic.native.rawValue: nativeHandler(i, offer) ?? raiseInvalidOpcode
    default: integerHandler(i, offer) ?? systemHandler(i) ?? stateHandler(i, offer) ?? raiseInvalidOpcode
    }
}

private let raiseInvalidOpcode: tz_handler = { state, _ in
    execute(state) { _ throws(GuestFault) in throw .invalidOpcode }
}

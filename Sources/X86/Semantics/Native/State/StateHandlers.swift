// The instructions that load and store floating-point and vector state, which are written out rather than run natively:
// which handler each has, and which of them a CPU model offers.

import CPrimitives

/// The handler of a state instruction; nil for any other mnemonic. `form` is set to the gates it passes.
func stateHandler(_ i: UnsafeMutablePointer<tz_instruction>, _ offer: InstructionSet) -> tz_handler? {
    guard let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic), let entry = entry(mnemonic, i) else { return nil }
    guard offer.has(entry.feature) else { return raiseNotOffered }
    i.pointee.form = entry.gates.rawValue
    return entry.handler
}

private struct StateEntry {
    let feature: Feature
    let gates: NativeGate
    let handler: tz_handler

    init(_ feature: Feature, _ gates: NativeGate, _ handler: @escaping tz_handler) {
        self.feature = feature
        self.gates = gates
        self.handler = handler
    }
}

private func entry(_ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>) -> StateEntry? {
    switch mnemonic {
    case .fxsave: StateEntry(.fxsr, .x87, fxsave)
    case .fxrstor: StateEntry(.fxsr, .x87, fxrstor)
    case .xsave: StateEntry(.xsave, [], xsave)
    case .xsaveopt: StateEntry(.xsaveopt, [], xsaveopt)
    case .xsavec: StateEntry(.xsavec, [], xsavec)
    case .xsaves: StateEntry(.xsaves, [], xsaves)
    case .xrstor: StateEntry(.xsave, [], xrstor)
    case .xrstors: StateEntry(.xsaves, [], xrstors)
    case .ldmxcsr: StateEntry(.sse, .sse, loadMXCSR)
    case .stmxcsr: StateEntry(.sse, .sse, storeMXCSR)
    case .fnstcw: StateEntry(.fpu, .x87, fnstcw)
    case .fldcw: StateEntry(.fpu, .x87, fldcw)
    case .fnstsw: StateEntry(.fpu, .x87, fnstsw)
    case .fnstswAX: StateEntry(.fpu, .x87, fnstswAX)
    case .fnstenv: StateEntry(.fpu, .x87, fnstenv)
    case .fldenv: StateEntry(.fpu, .x87, fldenv)
    case .fnsave: StateEntry(.fpu, .x87, fnsave)
    case .frstor: StateEntry(.fpu, .x87, frstor)
    case .fninit: StateEntry(.fpu, .x87, fninit)
    case .fnclex: StateEntry(.fpu, .x87, fnclex)
    case .fwait: StateEntry(.fpu, .wait, fwait)
    case .emms: StateEntry(.mmx, .mmx, emms)
    default: nil
    }
}

/// The initial values of the control words (SDM volume 1, sections 8.1.5 and 10.2.3), and what MXCSR can hold.
enum InitialState {
    static let fcw: UInt16 = 0x37f
    static let mxcsr: UInt32 = 0x1f80
    static let mxcsrMask: UInt32 = 0xffff
}

extension X87Image {
    /// Loads FCW: bit 6 is always 1, bits 7 and 15:13 always 0.
    mutating func setControlWord(_ value: UInt16) {
        fcw = value & 0x1f7f | 0x40
        updateSummary()
    }

    /// FNINIT; the registers keep their contents.
    mutating func initialize() {
        fcw = InitialState.fcw
        fsw = 0
        ftw = 0
        fop = 0
        fip = 0
        fdp = 0
    }
}

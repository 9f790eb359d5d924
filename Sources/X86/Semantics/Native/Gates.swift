// What floating-point and vector instructions raise before they touch an operand: #UD and #NM by control registers
// (SDM volume 3, sections 2.5 and 13.1; volume 2, tables 2-18 onwards), #MF for a pending x87 exception.

import CPrimitives

extension CPU {
    /// Recomputes `fpu_gates`. To be called whenever CR0, CR4 or XCR0 changes.
    func refreshFPUGates() {
        let cr0 = state.pointee.cr0
        let cr4 = state.pointee.cr4
        let em = cr0 & CR0.em != 0
        let ts = cr0 & CR0.ts != 0
        var closed: NativeGate = []
        if em || ts { closed.formUnion([.x87, .mmx]) }
        if em || ts || cr4 & CR4.osfxsr == 0 { closed.insert(.sse) }
        if ts || cr4 & CR4.osxsave == 0 || state.pointee.xcr0 & XCR0.avxAndSSE != XCR0.avxAndSSE { closed.insert(.avx) }
        if ts, cr0 & CR0.mp != 0 { closed.insert(.wait) }
        state.pointee.fpu_gates = closed.rawValue
    }

    /// Throws what stands before an instruction that needs all of `gates` open.
    @inline(__always) func passGates(_ gates: NativeGate) throws(GuestFault) {
        if _slowPath(state.pointee.fpu_gates & gates.rawValue != 0) { throw gateFault(gates) }
    }

    /// The same for a native instruction, which `nativeHandler` has prepared: `form` holds its gates.
    @inline(__always) func passGates(_ i: Instruction) throws(GuestFault) {
        if _slowPath(state.pointee.fpu_gates & i.pointee.form != 0) {
            throw gateFault(NativeGate(rawValue: i.pointee.form))
        }
    }

    /// #UD for what the system does not support, else #NM.
    @inline(never) func gateFault(_ gates: NativeGate) -> GuestFault {
        let cr4 = state.pointee.cr4
        let em = state.pointee.cr0 & CR0.em != 0
        if gates.contains(.mmx), em { return .invalidOpcode }
        if gates.contains(.sse), em || cr4 & CR4.osfxsr == 0 { return .invalidOpcode }
        if gates.contains(.avx),
            cr4 & CR4.osxsave == 0 || state.pointee.xcr0 & XCR0.avxAndSSE != XCR0.avxAndSSE
        {
            return .invalidOpcode
        }
        return .deviceNotAvailable
    }

    /// #MF if an unmasked x87 exception is pending. With CR0.NE clear a PC reports it through FERR# and IRQ 13, which
    /// this CPU does not drive: the exception stays pending and is ignored, as with IGNNE# asserted.
    @inline(__always) func raisePendingX87Exception() throws(GuestFault) {
        if _slowPath(x87.pointee.fsw & FSW.es != 0), state.pointee.cr0 & CR0.ne != 0 { throw .x87FloatingPoint }
    }

    /// The exception that an unmasked SIMD floating-point exception raises.
    var simdFault: GuestFault {
        state.pointee.cr4 & CR4.osxmmexcpt != 0 ? .simdFloatingPoint : .invalidOpcode
    }
}

/// Bits of XCR0: the state components.
enum XCR0 {
    static let x87: UInt64 = 1 << 0
    static let sse: UInt64 = 1 << 1
    static let avx: UInt64 = 1 << 2
    static let pkru: UInt64 = 1 << 9
    static let avxAndSSE = avx | sse
}

// Where stubs go when they cannot finish; reached by jumps, with the stub's own arguments.

/// The stub's gate is closed.
let raiseClosedGate: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in throw cpu.gateFault(NativeGate(rawValue: i.pointee.form)) }
}

/// The stub's instruction raised an unmasked SIMD floating-point exception.
let raiseSIMDException: tz_handler = { state, _ in
    execute(state) { cpu throws(GuestFault) in throw cpu.simdFault }
}

/// The host raised #MF, which checks before x87 stubs rule out unless its FPU differs from the manual.
let raiseX87Exception: tz_handler = { state, _ in
    execute(state) { _ throws(GuestFault) in throw .x87FloatingPoint }
}

/// An encoding that the CPU model does not offer.
let raiseNotOffered: tz_handler = { state, _ in
    execute(state) { _ throws(GuestFault) in throw .invalidOpcode }
}

// A fault that keeps an instruction from completing, on its way from the place that found it to the run loop, which
// delivers it. It is architecture, not an error of Trapeze's: a trivial value, thrown by typed throws, nothing allocated.

import CPrimitives

/// Exception vectors (SDM volume 3, table 6-1).
enum Vector {
    static let divideError: UInt8 = 0
    static let debug: UInt8 = 1
    static let nmi: UInt8 = 2
    static let breakpoint: UInt8 = 3
    static let overflow: UInt8 = 4
    static let boundRange: UInt8 = 5
    static let invalidOpcode: UInt8 = 6
    static let deviceNotAvailable: UInt8 = 7
    static let doubleFault: UInt8 = 8
    static let invalidTSS: UInt8 = 10
    static let segmentNotPresent: UInt8 = 11
    static let stackFault: UInt8 = 12
    static let generalProtection: UInt8 = 13
    static let pageFault: UInt8 = 14
    static let x87FloatingPoint: UInt8 = 16
    static let alignmentCheck: UInt8 = 17
    static let machineCheck: UInt8 = 18
    static let simdFloatingPoint: UInt8 = 19
    /// Not a vector: an operand's address is not canonical, which is #SS(0) or #GP(0) depending on the instruction.
    static let nonCanonical: UInt8 = 0xff
}

/// An exception to be delivered in place of the current instruction's completion.
struct GuestFault: Error, Equatable {
    let vector: UInt8
    let hasErrorCode: Bool
    let errorCode: UInt16

    @inline(__always) private init(_ vector: UInt8) {
        self.vector = vector
        hasErrorCode = false
        errorCode = 0
    }

    /// An exception with an error code, by its vector.
    @inline(__always) init(vector: UInt8, errorCode: UInt16) { self.init(vector, errorCode) }

    @inline(__always) private init(_ vector: UInt8, _ code: UInt16) {
        self.vector = vector
        hasErrorCode = true
        errorCode = code
    }

    /// #UD
    static var invalidOpcode: GuestFault { GuestFault(Vector.invalidOpcode) }
    /// #NM
    static var deviceNotAvailable: GuestFault { GuestFault(Vector.deviceNotAvailable) }
    /// #DE
    static var divideError: GuestFault { GuestFault(Vector.divideError) }
    /// #BR
    static var boundRange: GuestFault { GuestFault(Vector.boundRange) }
    /// #DB, as a fault; DR6 is set by whoever throws it.
    static var debug: GuestFault { GuestFault(Vector.debug) }
    /// #MF
    static var x87FloatingPoint: GuestFault { GuestFault(Vector.x87FloatingPoint) }
    /// #XM
    static var simdFloatingPoint: GuestFault { GuestFault(Vector.simdFloatingPoint) }
    /// An operand's address is not canonical. Whoever delivers it finds out by the instruction whether that is #SS(0) or
    /// #GP(0), so that address generation need not carry segments along.
    static var nonCanonical: GuestFault { GuestFault(Vector.nonCanonical, 0) }
    /// #AC, whose error code is always 0
    static var alignmentCheck: GuestFault { GuestFault(Vector.alignmentCheck, 0) }
    /// #GP with the given error code (0 or a selector)
    static func generalProtection(_ code: UInt16 = 0) -> GuestFault { GuestFault(Vector.generalProtection, code) }
    /// #SS
    static func stackFault(_ code: UInt16 = 0) -> GuestFault { GuestFault(Vector.stackFault, code) }
    /// #NP
    static func segmentNotPresent(_ code: UInt16) -> GuestFault { GuestFault(Vector.segmentNotPresent, code) }
    /// #TS
    static func invalidTSS(_ code: UInt16) -> GuestFault { GuestFault(Vector.invalidTSS, code) }
    /// #PF; whoever throws it has set CR2
    static func pageFault(_ code: UInt16) -> GuestFault { GuestFault(Vector.pageFault, code) }
}

extension CPU {
    /// Leaves a fault for the run loop and ends the block.
    @inline(never) func raise(_ fault: GuestFault) {
        state.pointee.fault_vector = fault.vector
        state.pointee.fault_error = fault.errorCode
        state.pointee.fault_has_error = fault.hasErrorCode ? 1 : 0
        state.pointee.fault_pending = 1
        endBlock()
    }
}

/// Turns a throwing body into what a `tz_handler` does: a fault is left in the state for the run loop.
@inline(__always)
func execute(
    _ state: UnsafeMutablePointer<tz_cpu>, _ body: (CPU) throws(GuestFault) -> Void
) {
    let cpu = CPU(state)
    do { try body(cpu) } catch { cpu.raise(error) }
}

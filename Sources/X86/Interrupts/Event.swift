// What is delivered through the IDT, and what becomes of a fault on the way there (SDM volume 3, section 6.15, #DF).

/// An exception or interrupt on its way to its handler.
struct Event {
    enum Kind {
        /// From the interrupt controllers.
        case external
        case nmi
        /// Raised by the CPU, or by INT1.
        case exception
        /// INT n, INT3 or INTO: the gate's DPL counts.
        case software
    }

    let vector: UInt8
    let kind: Kind
    let errorCode: UInt16?

    init(vector: UInt8, kind: Kind, errorCode: UInt16? = nil) {
        self.vector = vector
        self.kind = kind
        self.errorCode = errorCode
    }

    init(_ fault: GuestFault) {
        self.init(vector: fault.vector, kind: .exception, errorCode: fault.hasErrorCode ? fault.errorCode : nil)
    }

    /// EXT: faults during delivery say that something outside the program caused them.
    var ext: UInt16 { kind == .software ? 0 : 1 }

    /// Faults push RF as 1, so that a breakpoint on the instruction doesn't strike again (SDM volume 3, section
    /// 18.3.1.1), and so does #DF, which only faults lead to. #DB looks after itself; #BP and #OF are traps, #MC is an
    /// abort.
    var isFault: Bool {
        guard kind == .exception else { return false }
        return switch vector {
        case Vector.debug, Vector.breakpoint, Vector.overflow, Vector.machineCheck: false
        default: true
        }
    }

    private enum Severity { case benign, contributory, pageFault, doubleFault }

    private static func severity(_ vector: UInt8) -> Severity {
        switch vector {
        case Vector.divideError, Vector.invalidTSS, Vector.segmentNotPresent, Vector.stackFault,
            Vector.generalProtection:
            .contributory
        case Vector.pageFault: .pageFault
        case Vector.doubleFault: .doubleFault
        default: .benign
        }
    }

    /// What is delivered when delivering this event faults; nil for a triple fault.
    func followed(by fault: GuestFault) -> Event? {
        let first = kind == .exception ? Self.severity(vector) : .benign
        let second = Self.severity(fault.vector)
        switch (first, second) {
        case (.doubleFault, .contributory), (.doubleFault, .pageFault): return nil
        case (.contributory, .contributory), (.pageFault, .contributory), (.pageFault, .pageFault):
            return Event(vector: Vector.doubleFault, kind: .exception, errorCode: 0)
        default: return Event(fault)
        }
    }
}

// One row of the allow-list: an encoding that may run on the host CPU, with everything that its surroundings must know:
// which operands it reads and writes, what it does to memory, and what makes it fault before it runs.

/// A register operand's kind.
package enum NativeClass: UInt8 {
    case none
    /// XMM, or YMM when L is 1.
    case vector
    case mmx
    /// A general register: 32 bits, or 64 where W is 1 and the row says so.
    case gpr
}

/// What an instruction does to one of its operands.
package struct NativeOperand {
    package var kind: NativeClass = .none
    package var reads = false
    package var writes = false
}

/// How many bytes a memory operand has; letters as in the tables.
package enum NativeSize: UInt8 {
    case none
    case b, w, d, q
    /// 16 bytes
    case o
    /// 10 bytes
    case t
    /// 8 bytes if W is 1, else 4
    case y
    /// The vector's length, its half, quarter and eighth
    case x, h, f, e
    /// The vector's length, but 8 bytes if L is 0
    case p

    package func bytes(l: Bool, w: Bool) -> UInt8 {
        switch self {
        case .none: 0
        case .b: 1
        case .w: 2
        case .d: 4
        case .q: 8
        case .o: 16
        case .t: 10
        case .y: w ? 8 : 4
        case .x: l ? 32 : 16
        case .h: l ? 16 : 8
        case .f: l ? 8 : 4
        case .e: l ? 4 : 2
        case .p: l ? 32 : 8
        }
    }
}

/// What stands before the instruction runs: bits of `tz_cpu.fpu_gates`, recomputed by `refreshFPUGates()`.
package struct NativeGate: OptionSet {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// CR0.EM or TS: #NM.
    package static let x87 = NativeGate(rawValue: 1 << 0)
    /// CR0.EM: #UD; TS: #NM.
    package static let mmx = NativeGate(rawValue: 1 << 1)
    /// CR0.EM, or CR4.OSFXSR clear: #UD; TS: #NM.
    package static let sse = NativeGate(rawValue: 1 << 2)
    /// CR4.OSXSAVE or XCR0's SSE and AVX bits clear: #UD; TS: #NM.
    package static let avx = NativeGate(rawValue: 1 << 3)
    /// WAIT: CR0.MP and TS: #NM.
    package static let wait = NativeGate(rawValue: 1 << 4)
}

/// Which r/m operands a row takes.
package enum NativeForm: UInt8 {
    case any, register, memory
}

/// A bit of the encoding that must have a value, may have any, or selects an operand width.
package enum NativeBit: UInt8 {
    case ignored, zero, one, meaningful
}

/// Instructions that are not run whole by a stub.
package enum NativeSpecial: UInt8 {
    case none
    /// Element-wise accesses under a mask.
    case masked
    case gather
    case zeroUpper
    /// VLDMXCSR and VSTMXCSR.
    case mxcsr
}

/// One encoding of one instruction.
package struct NativeRow {
    /// The mnemonic, in the table's text.
    // SAFETY: points into a string literal.
    package var name: UnsafeBufferPointer<UInt8>
    package var vex = false
    /// 0: one byte (x87), 1: 0F, 2: 0F 38, 3: 0F 3A.
    package var map: UInt8 = 0
    /// 0: none, 1: 66, 2: F3, 3: F2.
    package var prefix: UInt8 = 0
    package var opcode: UInt8 = 0
    /// The row is meant if ModRM & mask is the value.
    package var modrmMask: UInt8 = 0
    package var modrmValue: UInt8 = 0
    package var form = NativeForm.any
    package var w = NativeBit.ignored
    package var l = NativeBit.ignored
    package var hasModRM = true
    package var hasImmediate = false

    package var reg = NativeOperand()
    package var rm = NativeOperand()
    package var vvvv = NativeOperand()
    /// The fourth register, in bits 7:4 of the immediate.
    package var is4 = false
    /// XMM0
    package var implicit = NativeOperand()
    /// RAX and RDX are read, or RDX alone, or RCX is written.
    package var readsRAX = false
    package var readsRDX = false
    package var writesRCX = false
    package var memorySize = NativeSize.none
    /// A misaligned memory operand is #GP(0).
    package var aligned = false
    /// The arithmetic flags: read (and then written), or written whole.
    package var readsFlags = false
    package var writesFlags = false
    /// MXCSR is read and its exception flags are written: #XM may be raised.
    package var usesMXCSR = false
    package var gates: NativeGate = []
    /// What the CPU model must offer.
    package var feature = Feature.fpu
    /// What it must offer beside `feature` for 256-bit vectors.
    package var wideFeature: Feature?
    package var isX87 = false
    /// The x87 stack is put into MMX mode first.
    package var entersMMX = false
    /// Raises no pending x87 exception.
    package var nonWaiting = false
    package var special = NativeSpecial.none
    /// The next row with the same map, prefix and opcode; 0 ends the chain.
    package var next: NativeRowIndex = 0

    package init(name: UnsafeBufferPointer<UInt8>) { self.name = name }

    /// Whether an encoding of the row's map, prefix and opcode is this row.
    func matches(l: Bool, w: Bool, modrm: UInt8) -> Bool {
        if modrm & modrmMask != modrmValue { return false }
        switch form {
        case .any: break
        case .register: if hasModRM && modrm < 0xc0 { return false }
        case .memory: if modrm >= 0xc0 { return false }
        }
        return Self.allows(self.w, w) && Self.allows(self.l, l)
    }

    private static func allows(_ bit: NativeBit, _ value: Bool) -> Bool {
        switch bit {
        case .ignored, .meaningful: true
        case .zero: !value
        case .one: value
        }
    }

    /// The mnemonic in lower case.
    package var mnemonic: String { String(decoding: name, as: UTF8.self) }
}

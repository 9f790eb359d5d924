// The x87 state as the hot state keeps it, in the layout of FXSAVE64 (SDM volume 1, table 10-2), with the manual's names.

import CPrimitives

/// The head of the FXSAVE image; the eight registers follow at byte 32, 16 bytes each, ST(0) first.
struct X87Image {
    var fcw: UInt16
    var fsw: UInt16
    /// Abridged tags, one bit per physical register: 1 is in use.
    var ftw: UInt8
    var reserved: UInt8
    var fop: UInt16
    var fip: UInt64
    var fdp: UInt64
    var mxcsr: UInt32
    var mxcsrMask: UInt32

    static let size = 512
    static let registers = 32
    static let vectors = 160

    /// The top-of-stack pointer.
    var top: Int {
        get { Int(fsw >> 11 & 7) }
        set { fsw = fsw & ~FSW.top | UInt16(truncatingIfNeeded: newValue & 7) << 11 }
    }

    /// Makes ES and B say whether an unmasked exception is flagged.
    mutating func updateSummary() {
        let pending = fsw & ~fcw & FSW.exceptions != 0
        fsw = pending ? fsw | FSW.es | FSW.b : fsw & ~(FSW.es | FSW.b)
    }
}

/// Bits of the x87 status word (SDM volume 1, section 8.1.3).
enum FSW {
    static let ie: UInt16 = 1 << 0
    static let de: UInt16 = 1 << 1
    static let ze: UInt16 = 1 << 2
    static let oe: UInt16 = 1 << 3
    static let ue: UInt16 = 1 << 4
    static let pe: UInt16 = 1 << 5
    static let exceptions: UInt16 = 0x3f
    static let sf: UInt16 = 1 << 6
    static let es: UInt16 = 1 << 7
    static let top: UInt16 = 7 << 11
    static let b: UInt16 = 1 << 15
}

extension CPU {
    /// The x87 state.
    // SAFETY: `fxsave` is 512 bytes on a 64-byte boundary; X87Image has the layout of its first 32.
    @inline(__always) var x87: UnsafeMutablePointer<X87Image> {
        (UnsafeMutableRawPointer(state) + Int(TZ_OFFSET_FXSAVE)).assumingMemoryBound(to: X87Image.self)
    }

    /// Register ST(n), 10 bytes used of 16.
    @inline(__always) func x87Register(_ n: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(x87) + X87Image.registers + (n & 7) * 16
    }

    /// Vector register n, 32 bytes.
    // SAFETY: `vector` has 16 registers.
    @inline(__always) func vector(_ n: UInt8) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(state) + Int(TZ_OFFSET_VECTOR) + Int(n & 15) * 32
    }

    /// Where memory operands wait that no host pointer reaches.
    @inline(__always) var bounce: UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(state) + MemoryLayout<tz_cpu>.offset(of: \tz_cpu.bounce).unsafelyUnwrapped
    }

    /// What an MMX instruction does to the x87 stack before it runs (SDM volume 1, section 9.5.1): TOP becomes 0, which
    /// turns the image, and every register counts as used.
    func enterMMX() {
        turnStackToZero()
        x87.pointee.ftw = 0xff
    }

    /// Makes TOP 0 with every physical register keeping its contents.
    func turnStackToZero() {
        let top = x87.pointee.top
        guard top != 0 else { return }
        withUnsafeTemporaryAllocation(byteCount: 128, alignment: 16) { copy in
            copy.copyMemory(from: UnsafeRawBufferPointer(start: x87Register(0), count: 128))
            for physical in 0..<8 {
                let slot = (physical - top) & 7
                x87Register(physical).copyMemory(from: copy.baseAddress.unsafelyUnwrapped + slot * 16, byteCount: 16)
            }
        }
        x87.pointee.top = 0
    }
}

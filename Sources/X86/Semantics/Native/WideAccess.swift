// Memory operands of 1 to 32 bytes as a host address: the guest's memory itself where the TLB gives a pointer, else a
// bounce buffer that is filled before the instruction runs or written back after it.

import CPrimitives

extension CPU {
    /// The host address at which `size` bytes of memory can be read.
    @inline(__always) func readableBytes(_ linear: UInt64, size: Int) throws(GuestFault) -> UnsafeMutableRawPointer {
        if let host = fastReadPointer(linear, size: size) { return host }
        try checkOperandAlignment(linear, size: size)
        try loadSlow(linear, size: size, into: bounce)
        return bounce
    }

    /// #AC for an operand that is misaligned as a whole; of 80 bits the 64 below count, of 256 bits the halves.
    @inline(__always) func checkOperandAlignment(_ linear: UInt64, size: Int) throws(GuestFault) {
        if _slowPath(state.pointee.alignment_checks != 0) {
            try checkAlignment(linear, size: size == 10 ? 8 : min(size, 16))
        }
    }

    /// Reads `size` bytes in ascending pieces of at most eight.
    @inline(never)
    func loadSlow(_ linear: UInt64, size: Int, into target: UnsafeMutableRawPointer) throws(GuestFault) {
        // A page fault anywhere in the operand comes before a device sees the access.
        if linear & 0xfff > UInt64(4096 - size) { try probe(linear, size: size, .read) }
        var offset = 0
        while offset < size {
            let piece = Self.piece(size &- offset)
            let value = try loadPiece(wrapped(linear &+ UInt64(offset)), size: piece)
            Self.put(value, piece, target + offset)
            offset &+= piece
        }
    }

    /// Writes `size` bytes, whole or not at all.
    @inline(never)
    func storeSlow(_ linear: UInt64, size: Int, from source: UnsafeRawPointer) throws(GuestFault) {
        try probe(linear, size: size, .write)
        var offset = 0
        while offset < size {
            let piece = Self.piece(size &- offset)
            try storePiece(wrapped(linear &+ UInt64(offset)), size: piece, value: Self.get(piece, source + offset))
            offset &+= piece
        }
    }

    /// Outside 64-bit mode linear addresses wrap at 4 GiB.
    @inline(__always) private func wrapped(_ linear: UInt64) -> UInt64 { in64BitMode ? linear : linear & 0xffff_ffff }

    @inline(__always) private static func piece(_ left: Int) -> Int {
        left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1
    }

    private static func put(_ value: UInt64, _ size: Int, _ target: UnsafeMutableRawPointer) {
        switch size {
        case 1: target.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
        case 2: target.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
        case 4: target.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
        default: target.storeBytes(of: value, as: UInt64.self)
        }
    }

    private static func get(_ size: Int, _ source: UnsafeRawPointer) -> UInt64 {
        switch size {
        case 1: UInt64(source.loadUnaligned(as: UInt8.self))
        case 2: UInt64(source.loadUnaligned(as: UInt16.self))
        case 4: UInt64(source.loadUnaligned(as: UInt32.self))
        default: source.loadUnaligned(as: UInt64.self)
        }
    }
}

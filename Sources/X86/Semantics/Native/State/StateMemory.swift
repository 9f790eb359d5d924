// Copies of whole state images between guest memory and a buffer of the host's. Stores are whole or not at all: all pages
// are checked before a byte is written.

import CPrimitives

/// An image under construction or just loaded: as large as the longest XSAVE area, cleared.
@inline(__always)
func withStateImage(_ body: (UnsafeMutableRawPointer) throws(GuestFault) -> Void) throws(GuestFault) {
    var fault: GuestFault?
    withUnsafeTemporaryAllocation(byteCount: XSAVEArea.largest, alignment: 64) { buffer in
        guard let start = buffer.baseAddress else { return }
        buffer.initializeMemory(as: UInt8.self, repeating: 0)
        do throws(GuestFault) { try body(start) } catch { fault = error }
    }
    if let fault { throw fault }
}

extension CPU {
    /// Reads `count` bytes from a linear address.
    func copyIn(_ linear: UInt64, count: Int, to target: UnsafeMutableRawPointer) throws(GuestFault) {
        try forEachPiece(linear, count: count) { offset, size throws(GuestFault) in
            let address = wrap(linear &+ UInt64(offset))
            if let host = fastReadPointer(address, size: size) {
                (target + offset).copyMemory(from: host, byteCount: size)
            } else {
                try loadSlow(address, size: size, into: target + offset)
            }
        }
    }

    /// Makes sure that `count` bytes from a linear address can be written.
    func checkWritable(_ linear: UInt64, count: Int) throws(GuestFault) {
        var offset = 0
        while offset < count {
            let address = wrap(linear &+ UInt64(offset))
            let inPage = min(count - offset, 4096 - Int(address & 0xfff))
            if fastWritePointer(address, size: inPage) == nil { try probe(address, size: inPage, .write) }
            offset += inPage
        }
    }

    /// Asks for the first and the last byte of an x87 environment, as CPUs do before they touch it: a page fault tells.
    func probeEnds(_ linear: UInt64, count: Int, _ access: Access) throws(GuestFault) {
        try probe(linear, size: 1, access)
        try probeLast(linear, count: count, access)
    }

    /// Asks for the last byte of an image.
    func probeLast(_ linear: UInt64, count: Int, _ access: Access) throws(GuestFault) {
        try probe(wrap(linear &+ UInt64(count - 1)), size: 1, access)
    }

    /// Writes `count` bytes to a linear address that `checkWritable` has passed.
    func copyOut(_ linear: UInt64, count: Int, from source: UnsafeRawPointer) throws(GuestFault) {
        try forEachPiece(linear, count: count) { offset, size throws(GuestFault) in
            let address = wrap(linear &+ UInt64(offset))
            if let host = fastWritePointer(address, size: size) {
                host.copyMemory(from: source + offset, byteCount: size)
            } else {
                try storeSlow(address, size: size, from: source + offset)
            }
        }
    }

    /// Calls `body` with offset and size of pieces that lie each in one page, 64 bytes at most.
    @inline(__always)
    private func forEachPiece(
        _ linear: UInt64, count: Int, _ body: (Int, Int) throws(GuestFault) -> Void
    ) throws(GuestFault) {
        var offset = 0
        while offset < count {
            let inPage = 4096 - Int(truncatingIfNeeded: (linear &+ UInt64(offset)) & 0xfff)
            let size = min(count - offset, inPage, 64)
            try body(offset, size)
            offset += size
        }
    }

    /// Outside 64-bit mode linear addresses wrap at 4 GiB.
    private func wrap(_ linear: UInt64) -> UInt64 { in64BitMode ? linear : linear & 0xffff_ffff }

    /// #AC for a misaligned image, where alignment is checked at all.
    func checkImageAlignment(_ i: Instruction, _ alignment: Int) throws(GuestFault) {
        if _slowPath(state.pointee.alignment_checks != 0) {
            try checkAlignment(effectiveAddress(i) &+ effectiveBase(i.pointee.segment), size: alignment)
        }
    }

    /// A state image's linear address: #GP(0) unless aligned.
    func alignedImageAddress(
        _ i: Instruction, size: Int, alignment: UInt64, _ access: Access
    ) throws(GuestFault) -> UInt64 {
        let linear = try linearAddress(i, size: size, access)
        if linear & (alignment - 1) != 0 { throw .generalProtection() }
        return linear
    }

    /// The same for FXSAVE and FXRSTOR, which notice first that an address is not canonical (#SS if it is SS's).
    func legacyImageAddress(_ i: Instruction, _ access: Access) throws(GuestFault) -> UInt64 {
        let linear = try linearAddress(i, size: LegacyRegion.size, access)
        if in64BitMode, !isCanonical(linear) { throw .nonCanonical }
        if linear & 15 != 0 { throw .generalProtection() }
        return linear
    }
}

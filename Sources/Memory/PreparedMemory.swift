// Memory that is filled from its beginning to its end, of which the host is asked for what comes next in pieces: a page fault for
// each page takes several times as long.

import CPrimitives

/// How much of such memory the host has been asked for. Nobody need ask: what was not asked for is there as well.
package struct PreparedMemory {
    private static let pageSize = 4096
    /// Pieces grow with what is used already, so that little is asked for in vain.
    private static let pieces = 64 << 10...512 << 10

    private let start: UnsafeMutableRawPointer
    private let size: Int
    private let isWritten: Bool
    private var prepared = 0

    /// - Parameters:
    ///   - start: on a page boundary; it stays there as long as this value is used.
    ///   - size: in bytes.
    ///   - isWritten: whether it is written, or read and executed only.
    package init(_ start: UnsafeMutableRawPointer, size: Int, isWritten: Bool = true) {
        self.start = start
        self.size = size & ~(Self.pageSize - 1)
        self.isWritten = isWritten
    }

    /// Everything below an offset is about to be touched.
    @inline(__always) package mutating func reach(_ offset: Int) {
        if offset > prepared { prepare(offset) }
    }

    /// The host may have taken all of it back.
    package mutating func startOver() { prepared = 0 }

    private mutating func prepare(_ offset: Int) {
        let piece = min(max(prepared / 4, Self.pieces.lowerBound), Self.pieces.upperBound)
        let end = min(max(prepared + piece, offset) & ~(Self.pageSize - 1), size)
        let failed = end > prepared && tz_populate(start + prepared, end - prepared, isWritten ? 1 : 0) != 0
        // A host that can't is not asked again.
        prepared = failed || end == size ? .max : end
    }
}

// Guest memory by linear address, as the code of one vCPU sees it but without its rights: read-only and supervisor pages
// are open to a debugger. What has no memory behind it is not touched: reading a device may change it.

import Memory
import VirtualCPU

/// The memory behind one vCPU's page tables.
struct LinearMemory {
    let state: CPUState
    let memory: GuestMemory

    /// The longest run of bytes from an address that lies in one page, at most `count`, with the physical address.
    private func piece(_ linear: UInt64, count: Int) -> (place: GuestPhysicalAddress, count: Int)? {
        guard case .page(let page) = PageTableWalk(linear, in: state, memory: memory).outcome else { return nil }
        // A region of memory may end anywhere in a large page, but at a page of 4 KiB.
        return (GuestPhysicalAddress(page.physical), min(count, 4096 - Int(page.physical & 0xfff)))
    }

    /// As many bytes from a linear address as can be read, at most `count`.
    func read(_ linear: UInt64, count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard let piece = piece(linear &+ UInt64(bytes.count), count: count - bytes.count) else { break }
            do throws(GuestMemoryError) {
                bytes += try memory.read(at: piece.place, count: piece.count)
            } catch { break }
        }
        return bytes
    }

    /// Writes all bytes or none; false if some have no memory behind them.
    func write(_ bytes: [UInt8], at linear: UInt64) -> Bool {
        var pieces: [(place: GuestPhysicalAddress, count: Int)] = []
        var offset = 0
        do throws(GuestMemoryError) {
            while offset < bytes.count {
                guard let piece = piece(linear &+ UInt64(offset), count: bytes.count - offset) else { return false }
                _ = try memory.hostPointer(piece.place, count: piece.count)
                pieces.append(piece)
                offset += piece.count
            }
            offset = 0
            for piece in pieces {
                try memory.write(Array(bytes[offset..<offset + piece.count]), at: piece.place)
                offset += piece.count
            }
        } catch { return false }
        return true
    }
}

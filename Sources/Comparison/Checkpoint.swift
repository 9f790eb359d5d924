// A place up to which both engines are known to have gone the same way: states, and a copy of memory that is kept up page
// by page. Differences are narrowed down from here.

import Foundation
import Memory
import VirtualCPU

/// The last place where everything was compared and found the same.
struct Checkpoint {
    /// A copy of the leader's memory; its pages that hold anything are marked dirty.
    let memory: GuestMemory
    var cpus: [CPUState]
    var time: UInt64
    /// Instructions of all vCPUs since the start.
    var instructions: UInt64
}

/// A page that differs.
struct PageDifference {
    /// Guest-physical address of the first byte that differs.
    var address: UInt64
    /// The bytes there, at most 16 each.
    var reference: [UInt8]
    var against: [UInt8]
}

extension GuestMemory {
    /// Copies the pages of another memory's region whose dirty byte is wanted.
    func copyPages(of region: MemoryRegion, where isWanted: (UInt8) -> Bool) {
        for page in 0..<Int(region.size >> pageShift) where isWanted(region.dirty[page]) { copyPage(page, of: region) }
    }

    /// Copies one page of another memory's region, and marks it here.
    func copyPage(_ page: Int, of region: MemoryRegion) {
        guard let own = regions.first(where: { $0.base == region.base && $0.size == region.size }) else { return }
        let offset = page << Int(pageShift)
        (own.host + offset).copyMemory(from: region.host + offset, byteCount: Int(pageSize))
        own.dirty[page] = 1
    }

    /// The first byte in which a page of this memory differs from another's.
    func difference(_ page: Int, of region: MemoryRegion, from other: GuestMemory) -> PageDifference? {
        guard let its = other.regions.first(where: { $0.base == region.base }) else { return nil }
        let offset = page << Int(pageShift)
        let (a, b) = (region.host + offset, its.host + offset)
        guard memcmp(a, b, Int(pageSize)) != 0 else { return nil }
        let (x, y) = (
            UnsafeRawBufferPointer(start: a, count: Int(pageSize)),
            UnsafeRawBufferPointer(start: b, count: Int(pageSize))
        )
        let first = zip(x, y).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
        let bytes = first..<min(first + 16, Int(pageSize))
        return PageDifference(
            address: region.base.rawValue + UInt64(offset + first), reference: [UInt8](x[bytes]),
            against: [UInt8](y[bytes]))
    }
}

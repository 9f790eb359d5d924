// The guest-physical memory map as the software CPU uses it: a few slots in a plain array, searched linearly, each with
// a byte per page that says whether decoded or translated code was made from the page.

import CPrimitives
import Glibc
import Memory

/// One range of guest-physical memory.
struct MemorySlot {
    let base: UInt64
    let size: UInt64
    let host: UnsafeMutableRawPointer
    /// Per page: written since last cleared. Set when a write entry is put into a TLB.
    let dirty: UnsafeMutablePointer<UInt8>
    /// Per page: a `CodeMark`, not 0 while decoded code may exist, so that no TLB gets a write entry for the page.
    let code: UnsafeMutablePointer<UInt32>
    /// Per page: the 64-byte lines from whose bytes code was decoded, by whichever vCPU.
    let codeLines: UnsafeMutablePointer<UInt64>
    var readOnly: Bool

    @inline(__always) func contains(_ address: UInt64) -> Bool { address &- base < size }
    @inline(__always) func page(_ address: UInt64) -> Int { Int(truncatingIfNeeded: (address &- base) >> 12) }
    @inline(__always) func pointer(_ address: UInt64) -> UnsafeMutableRawPointer {
        host + Int(truncatingIfNeeded: address &- base)
    }

    /// How many pages of the host's memory are asked for together: whoever writes to one will most often write to its neighbours,
    /// and a page fault of the host for each takes several times as long.
    private static let portion = 16

    /// A page is about to be written for the first time, as far as is known: has its portion ready if nothing there was written yet.
    func prepareHost(page: Int) {
        let first = page & ~(Self.portion - 1)
        guard first + Self.portion <= Int(size >> 12),
            (first..<first + Self.portion).allSatisfy({ tz_load8(dirty + $0) == 0 })
        else { return }
        // Nothing is lost if the host does not.
        _ = tz_populate(host + first << 12, Self.portion << 12, 1)
    }

    fileprivate func release() {
        free(code)
        free(codeLines)
    }
}

/// The slots of a VM. Changed only while no vCPU runs.
struct MemorySlots: ~Copyable {
    static let capacity = 32
    // SAFETY: allocated for `capacity` slots for the life of this value; only the first `count` are initialised.
    private let slots = UnsafeMutablePointer<MemorySlot>.allocate(capacity: capacity)
    private(set) var count = 0

    /// The first slot: vCPUs keep it with `count` and search on their own.
    var base: UnsafeMutablePointer<MemorySlot> { slots }

    deinit {
        for index in 0..<count { slots[index].release() }
        slots.deallocate()
    }

    /// The slot that holds a guest-physical address; nil where there is no memory.
    @inline(__always) func slot(containing address: UInt64) -> UnsafeMutablePointer<MemorySlot>? {
        for index in 0..<count where slots[index].contains(address) { return slots + index }
        return nil
    }

    /// Adds a region; false when there is no room or it overlaps.
    mutating func add(_ region: MemoryRegion) -> Bool {
        let base = region.base.rawValue
        guard count < Self.capacity else { return false }
        for index in 0..<count
        where slots[index].base < base + region.size && base < slots[index].base + slots[index].size {
            return false
        }
        let pages = Int(region.size >> pageShift)
        // `calloc` gives zero pages that cost nothing until they are touched.
        guard let code = calloc(pages, 4), let codeLines = calloc(pages, 8) else { return false }
        (slots + count).initialize(
            to: MemorySlot(
                base: base, size: region.size, host: region.host, dirty: region.dirty,
                code: code.bindMemory(to: UInt32.self, capacity: pages),
                codeLines: codeLines.bindMemory(to: UInt64.self, capacity: pages), readOnly: region.readOnly))
        count += 1
        return true
    }

    /// Removes the region that begins at `base`; false when there is none.
    mutating func remove(base: UInt64) -> Bool {
        for index in 0..<count where slots[index].base == base {
            slots[index].release()
            count -= 1
            slots[index] = slots[count]
            return true
        }
        return false
    }
}

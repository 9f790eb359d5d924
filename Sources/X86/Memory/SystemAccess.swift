// Accesses that the CPU makes on its own behalf: implicit supervisor accesses to descriptor tables and task-state
// segments (SDM volume 3, section 4.6), and instruction fetches for the decoder.

import CPrimitives

/// Where instruction bytes lie.
struct FetchPage {
    /// The byte at the address asked for; readable up to the end of its page.
    let host: UnsafePointer<UInt8>
    /// Guest-physical address of that byte.
    let physical: UInt64
    /// Whether memory backs the page. If not, the bytes read as all ones and nothing tells of changes.
    let isMemory: Bool
}

// SAFETY: written once, before anything reads it; never freed.
nonisolated(unsafe) private let openBus: UnsafePointer<UInt8> = {
    let page = UnsafeMutablePointer<UInt8>.allocate(capacity: 4096)
    page.initialize(repeating: 0xff, count: 4096)
    return UnsafePointer(page)
}()

extension CPU {
    /// Reads a system data structure: a supervisor's access whatever CPL is, never excused by AC.
    func loadSystem<T: GuestInteger>(_ type: T.Type, _ linear: UInt64) throws(GuestFault) -> T {
        let address = systemAddress(linear)
        let value = try architectural { () throws(GuestFault) in
            try load(address, size: MemoryLayout<T>.size, context: TLB.supervisor)
        }
        return T(truncatingIfNeeded: value)
    }

    /// Writes a system data structure.
    func storeSystem<T: GuestInteger>(_ value: T, _ linear: UInt64) throws(GuestFault) {
        let address = systemAddress(linear)
        try architectural { () throws(GuestFault) in
            try store(address, size: MemoryLayout<T>.size, value: UInt64(value), context: TLB.supervisor)
        }
    }

    /// Sets bits of a byte in a descriptor table, atomically (accessed and busy flags).
    func setSystemBits(_ bits: UInt8, clearing: UInt8 = 0, _ linear: UInt64) throws(GuestFault) {
        let address = systemAddress(linear)
        let physical = try architectural { () throws(GuestFault) in
            try translate(address, .write, context: TLB.supervisor)
        }
        guard let slot = slot(containing: physical), !slot.pointee.readOnly else {
            let old = UInt8(truncatingIfNeeded: readPhysical(physical, size: 1))
            return writePhysical(physical, size: 1, value: UInt64(old & ~clearing | bits))
        }
        let host = slot.pointee.pointer(physical)
        var seen = tz_load8(host)
        while !tz_compare_exchange8(host, &seen, seen & ~clearing | bits) {}
        noteWrite(physical, slot)
    }

    /// Tables lie at 32-bit linear addresses outside IA-32e mode.
    @inline(__always) private func systemAddress(_ linear: UInt64) -> UInt64 {
        longMode ? linear : linear & 0xffff_ffff
    }

    /// A non-canonical address of a system structure is #GP(0).
    @inline(__always) private func architectural<R>(_ body: () throws(GuestFault) -> R) throws(GuestFault) -> R {
        do { return try body() } catch { throw error == .nonCanonical ? .generalProtection() : error }
    }

    /// The instruction bytes at a linear address, with the current privilege.
    @inline(__always) func fetchPointer(_ linear: UInt64) throws(GuestFault) -> FetchPage {
        let slot = Self.tlbSlot(linear)
        let entry = state.pointee.tlb_fetch[slot]
        let offset = linear ^ entry.tag
        guard _fastPath(offset <= 4095) else { return try fetchPointerSlow(linear) }
        let table = fetchContext(Int(state.pointee.tlb_context)) &* TLB.entries
        // SAFETY: a fetch entry translates to host memory of a slot.
        let host = UnsafePointer<UInt8>(bitPattern: UInt(offset &+ entry.addend)).unsafelyUnwrapped
        return FetchPage(host: host, physical: fetchPhysical[table &+ slot] | linear & 0xfff, isMemory: true)
    }

    @inline(never) private func fetchPointerSlow(_ linear: UInt64) throws(GuestFault) -> FetchPage {
        let physical = try architectural { () throws(GuestFault) in try translate(linear, .fetch) }
        guard let slot = slot(containing: physical) else {
            return FetchPage(host: openBus + Int(linear & 0xfff), physical: physical, isMemory: false)
        }
        let host = slot.pointee.pointer(physical).assumingMemoryBound(to: UInt8.self)
        return FetchPage(host: UnsafePointer(host), physical: physical, isMemory: true)
    }
}

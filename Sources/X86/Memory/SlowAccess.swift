// Loads and stores that one TLB probe does not settle: misses, page crossings, devices, pages with decoded code, split
// locks, alignment checks and data breakpoints. Every access is whole or not at all: permissions of all its pages are
// checked before a byte is written.

import CPrimitives

extension CPU {
    // MARK: By current privilege

    /// `load` when the TLB misses.
    @inline(never) func loadSlow(_ linear: UInt64, size: Int) throws(GuestFault) -> UInt64 {
        let context = Int(state.pointee.tlb_context)
        try checkAlignment(linear, size: size)
        let value = try load(linear, size: size, context: context)
        if translation.pointee.watching { noteDataAccess(linear, size: size, .read) }
        return value
    }

    /// `store` when the TLB misses.
    @inline(never) func storeSlow(_ linear: UInt64, size: Int, value: UInt64) throws(GuestFault) {
        let context = Int(state.pointee.tlb_context)
        try checkAlignment(linear, size: size)
        try store(linear, size: size, value: value, context: context)
        if translation.pointee.watching { noteDataAccess(linear, size: size, .write) }
    }

    /// Reads 1 to 8 bytes at any alignment: a piece of a larger operand, or an element of one.
    func loadPiece(_ linear: UInt64, size: Int) throws(GuestFault) -> UInt64 {
        let value = try load(linear, size: size, context: Int(state.pointee.tlb_context))
        if translation.pointee.watching { noteDataAccess(linear, size: size, .read) }
        return value
    }

    /// Writes 1 to 8 bytes at any alignment.
    func storePiece(_ linear: UInt64, size: Int, value: UInt64) throws(GuestFault) {
        try store(linear, size: size, value: value, context: Int(state.pointee.tlb_context))
        if translation.pointee.watching { noteDataAccess(linear, size: size, .write) }
    }

    /// `modify` when the TLB misses.
    @inline(never) func modifySlow<T: GuestInteger>(
        _ type: T.Type, _ linear: UInt64, locked: Bool, _ body: (T) throws(GuestFault) -> T
    ) throws(GuestFault) {
        let size = MemoryLayout<T>.size
        try checkAlignment(linear, size: size)
        let place = try place(linear, size: size, .write, context: Int(state.pointee.tlb_context))
        if locked, let host = pointer(place, size: size) {
            var seen = T.load(host)
            while true {
                let desired = try body(seen)
                if T.compareExchange(host, &seen, desired) { break }
            }
            noteWrite(place.first)
            if place.inFirst < size { noteWrite(place.second) }
        } else {
            let seen = T(truncatingIfNeeded: read(place, size: size))
            write(place, size: size, value: UInt64(try body(seen)))
        }
        if translation.pointee.watching { noteDataAccess(linear, size: size, .write) }
        if translation.pointee.debugWatching { owner.noteAccess(linear, size: size, reads: true, writes: true) }
    }

    /// CMPXCHG16B when the TLB misses; its operand is aligned. `expected` receives what was found.
    @inline(never) func compareExchangeSlow(
        _ linear: UInt64, _ expected: inout (UInt64, UInt64), _ desired: (UInt64, UInt64)
    ) throws(GuestFault) -> Bool {
        try checkCanonical(linear, last: linear)
        let physical = try translate(linear, .write)
        let done: Bool
        if let slot = slot(containing: physical), !slot.pointee.readOnly {
            let host = slot.pointee.pointer(physical)
            done = tz_compare_exchange128(host, &expected.0, &expected.1, desired.0, desired.1)
            noteWrite(physical, slot)
        } else {
            let found = (readPhysical(physical, size: 8), readPhysical(physical &+ 8, size: 8))
            done = found == expected
            let written = done ? desired : found
            writePhysical(physical, size: 8, value: written.0)
            writePhysical(physical &+ 8, size: 8, value: written.1)
            expected = found
        }
        if translation.pointee.watching { noteDataAccess(linear, size: 16, .write) }
        return done
    }

    /// Makes sure that every byte of [linear, linear + size) may be accessed, by raising the fault that the access would
    /// raise; at most a page is asked for. Afterwards plain memory is in the TLB.
    func probe(_ linear: UInt64, size: Int, _ access: Access) throws(GuestFault) {
        _ = try place(linear, size: size, access, context: Int(state.pointee.tlb_context))
    }

    // MARK: By explicit privilege

    /// Reads 1 to 8 bytes with the rights of `context`.
    func load(_ linear: UInt64, size: Int, context: Int) throws(GuestFault) -> UInt64 {
        if let host = tlbPointer(TLB.read, context: context, linear, size: size) {
            switch size {
            case 1: return UInt64(tz_load8(host))
            case 2: return UInt64(tz_load16(host))
            case 4: return UInt64(tz_load32(host))
            case 8: return tz_load64(host)
            default: break
            }
        }
        if let halves = tlbHalves(TLB.read, context: context, linear, size: size) {
            var value: UInt64 = 0
            withUnsafeMutableBytes(of: &value) { bytes in
                for n in 0..<size {
                    bytes[n] = tz_load8(n < halves.inFirst ? halves.first + n : halves.second + (n - halves.inFirst))
                }
            }
            return value
        }
        let value = read(try place(linear, size: size, .read, context: context), size: size)
        if translation.pointee.debugWatching { owner.noteAccess(linear, size: size, reads: true, writes: false) }
        return value
    }

    /// Writes 1 to 8 bytes with the rights of `context`.
    func store(_ linear: UInt64, size: Int, value: UInt64, context: Int) throws(GuestFault) {
        if let host = tlbPointer(TLB.write, context: context, linear, size: size) {
            switch size {
            case 1: return tz_store8(host, UInt8(truncatingIfNeeded: value))
            case 2: return tz_store16(host, UInt16(truncatingIfNeeded: value))
            case 4: return tz_store32(host, UInt32(truncatingIfNeeded: value))
            case 8: return tz_store64(host, value)
            default: break
            }
        }
        if let halves = tlbHalves(TLB.write, context: context, linear, size: size) {
            for n in 0..<size {
                let byte = UInt8(truncatingIfNeeded: value >> UInt64(8 * n))
                tz_store8(n < halves.inFirst ? halves.first + n : halves.second + (n - halves.inFirst), byte)
            }
            return
        }
        write(try place(linear, size: size, .write, context: context), size: size, value: value)
        if translation.pointee.debugWatching { owner.noteAccess(linear, size: size, reads: false, writes: true) }
    }

    /// The host addresses of the two parts of an operand that crosses into another page, if the TLB holds both.
    private func tlbHalves(
        _ kind: Int, context: Int, _ linear: UInt64, size: Int
    ) -> (first: UnsafeMutableRawPointer, second: UnsafeMutableRawPointer, inFirst: Int)? {
        let inFirst = 4096 &- Int(truncatingIfNeeded: linear & 0xfff)
        guard inFirst < size, let first = tlbPointer(kind, context: context, linear, size: inFirst),
            let second = tlbPointer(kind, context: context, linear &+ UInt64(inFirst), size: size &- inFirst)
        else { return nil }
        return (first, second, inFirst)
    }

    // MARK: Placing

    /// The guest-physical place of an operand: `inFirst` bytes from `first`, the others from `second`.
    private struct Place {
        var first: UInt64
        var second: UInt64
        var inFirst: Int
    }

    private func place(_ linear: UInt64, size: Int, _ access: Access, context: Int) throws(GuestFault) -> Place {
        let inPage = 4096 &- Int(truncatingIfNeeded: linear & 0xfff)
        guard inPage < size else {
            return Place(first: try translate(linear, access, context: context), second: 0, inFirst: size)
        }
        try checkCanonical(linear, last: linear &+ UInt64(size &- 1))
        let first = try translate(linear, access, context: context)
        // Outside 64-bit mode linear addresses wrap at 4 GiB.
        let next = in64BitMode ? linear &+ UInt64(inPage) : (linear &+ UInt64(inPage)) & 0xffff_ffff
        return Place(first: first, second: try translate(next, access, context: context), inFirst: inPage)
    }

    /// The host address of an operand in writable memory, all of it in one piece: a locked operation is the host's, across
    /// pages too. Nil where devices or ROM answer, which know no locked cycles.
    private func pointer(_ place: Place, size: Int) -> UnsafeMutableRawPointer? {
        guard let slot = slot(containing: place.first), !slot.pointee.readOnly else { return nil }
        let host = slot.pointee.pointer(place.first)
        guard place.inFirst < size else { return host }
        guard let next = self.slot(containing: place.second), !next.pointee.readOnly else { return nil }
        let second = next.pointee.pointer(place.second)
        return host + place.inFirst == second ? host : owner.joinedPages.join(host, second)
    }

    private func noteWrite(_ physical: UInt64) {
        if let slot = slot(containing: physical) { noteWrite(physical, slot) }
    }

    private func checkCanonical(_ linear: UInt64, last: UInt64) throws(GuestFault) {
        if longMode && in64BitMode && !(isCanonical(linear) && isCanonical(last)) { throw .nonCanonical }
    }

    private func read(_ place: Place, size: Int) -> UInt64 {
        let low = readPhysical(place.first, size: place.inFirst)
        guard place.inFirst < size else { return low }
        return low | readPhysical(place.second, size: size &- place.inFirst) << UInt64(8 &* place.inFirst)
    }

    private func write(_ place: Place, size: Int, value: UInt64) {
        writePhysical(place.first, size: place.inFirst, value: value)
        guard place.inFirst < size else { return }
        writePhysical(place.second, size: size &- place.inFirst, value: value >> UInt64(8 &* place.inFirst))
    }

    /// The guest-physical address behind a linear one for the given access and rights. Plain memory is entered into the
    /// TLB, for writing only if no code was decoded from the page.
    func translate(_ linear: UInt64, _ access: Access, context: Int) throws(GuestFault) -> UInt64 {
        state.pointee.counters.tlb_misses &+= 1
        let page = try walk(linear, access, context: context)
        enter(linear, page, access, context: context)
        return page.physical
    }

    /// Enters into the TLB where an address leads, if that is plain memory; for writing only if no code was decoded from it.
    private func enter(_ linear: UInt64, _ page: PageTranslation, _ access: Access, context: Int) {
        guard let slot = slot(containing: page.physical) else { return }
        let host = slot.pointee.pointer(page.physical & ~0xfff)
        if access == .fetch {
            return fillTLB(TLB.fetch, context: fetchContext(context), linear: linear, host: host, page)
        }
        fillTLB(TLB.read, context: context, linear: linear, host: host, page)
        let number = slot.pointee.page(page.physical)
        if slot.pointee.readOnly || tz_load32(slot.pointee.code + number) != 0 { return }
        if access == .write {
            if tz_load8(slot.pointee.dirty + number) == 0 { slot.pointee.prepareHost(page: number) }
            tz_store8(slot.pointee.dirty + number, 1)
            fillTLB(TLB.write, context: context, linear: linear, host: host, page)
        } else if page.writesFreely && tz_load8(slot.pointee.dirty + number) != 0 {
            fillTLB(TLB.write, context: context, linear: linear, host: host, page)
        }
    }

    /// The host address of 1 to 4096 bytes, for whoever means to access some of them with the current privilege. Plain memory is
    /// entered into the TLB as far as a CPU may do that ahead: no fault is raised, and no flag is set in the tables. Nil if that
    /// is not enough, or if the bytes lie in pages that are not neighbours in the host's memory.
    func reachAhead(_ linear: UInt64, size: Int, _ access: Access) -> UnsafeMutableRawPointer? {
        let last = linear &+ UInt64(size &- 1)
        guard let first = pageAhead(linear, access) else { return nil }
        let host = first + Int(linear & 0xfff)
        guard (linear ^ last) >> 12 != 0 else { return host }
        guard in64BitMode || last >> 32 == 0, let second = pageAhead(last, access), second == first + 4096 else {
            return nil
        }
        return host
    }

    /// The host address of the page of an address.
    private func pageAhead(_ linear: UInt64, _ access: Access) -> UnsafeMutableRawPointer? {
        let page = linear & ~0xfff
        if let known = currentEntry(page, access) { return known }
        let context = Int(state.pointee.tlb_context)
        // Writing sets the dirty flag, but where it is set already.
        guard let found = walkAhead(page, .read, context: context), access == .read || found.writesFreely else {
            return nil
        }
        state.pointee.counters.tlb_misses &+= 1
        enter(page, found, access, context: context)
        return currentEntry(page, access)
    }

    /// What the tables in force say.
    private func currentEntry(_ page: UInt64, _ access: Access) -> UnsafeMutableRawPointer? {
        let table = access == .write ? state.pointee.tlb_write : state.pointee.tlb_read
        let entry = table[Self.tlbSlot(page)]
        return entry.tag == page ? UnsafeMutableRawPointer(bitPattern: UInt(entry.addend)) : nil
    }

    /// The guest-physical address behind a linear one for an access of the current privilege.
    func translate(_ linear: UInt64, _ access: Access) throws(GuestFault) -> UInt64 {
        try translate(linear, access, context: Int(state.pointee.tlb_context))
    }

    // MARK: Alignment and breakpoints

    /// #AC comes after the check for canonical addresses and before the page walk, as CPUs do it; the order of faults of
    /// one access is theirs to choose (SDM volume 3, section 6.9).
    func checkAlignment(_ linear: UInt64, size: Int) throws(GuestFault) {
        guard state.pointee.alignment_checks != 0, linear & UInt64(size &- 1) != 0, size & (size &- 1) == 0 else {
            return
        }
        try checkCanonical(linear, last: linear &+ UInt64(size &- 1))
        throw .alignmentCheck
    }

    /// Leaves a #DB trap for the run loop if an enabled data breakpoint watches any of the bytes.
    private func noteDataAccess(_ linear: UInt64, size: Int, _ access: Access) {
        let dr7 = state.pointee.dr7
        let addresses = state.pointee.dr
        for (n, address) in [addresses.0, addresses.1, addresses.2, addresses.3].enumerated() {
            let condition = DR7.condition(dr7, n)
            guard DR7.isEnabled(dr7, n), condition == 3 || condition == 1 && access == .write else { continue }
            let length = DR7.length(dr7, n)
            let first = address & ~(length &- 1)
            if linear < first &+ length && first < linear &+ UInt64(size) {
                state.pointee.dr6 |= 1 << UInt64(n)
                state.pointee.trap_after = 1
            }
        }
    }
}

// How instructions reach guest memory: address generation, then one probe of the software TLB, then a host access. What
// misses (page walks, page crossings, MMIO, pages with decoded code) goes to the slow paths in `SlowAccess.swift`.

import CPrimitives

/// What an access does, for permission checks and error codes.
enum Access {
    case read, write, fetch
}

extension CPU {
    // MARK: Address generation

    /// The offset of an instruction's memory operand in its segment.
    @inline(__always) func effectiveAddress(_ i: Instruction) -> UInt64 {
        let base = register(i.pointee.base, as: UInt64.self)
        let index = register(i.pointee.index, as: UInt64.self)
        let displacement = UInt64(bitPattern: Int64(i.pointee.displacement))
        return (base &+ index &<< UInt64(i.pointee.scale) &+ displacement) & i.pointee.address_mask
    }

    /// The linear address of an instruction's memory operand of `size` bytes. Outside 64-bit mode the segment's limit
    /// and type are checked here; in 64-bit mode canonicality is checked when the TLB misses.
    @inline(__always) func linearAddress(
        _ i: Instruction, size: Int, _ access: Access
    ) throws(GuestFault) -> UInt64 {
        let offset = effectiveAddress(i)
        if _fastPath(i.pointee.flags & UInt8(TZ_INSN_CHECKED) == 0) {
            return offset &+ effectiveBase(i.pointee.segment)
        }
        return try checkedLinearAddress(offset, segment: i.pointee.segment, size: size, access)
    }

    /// The linear address of `offset` in `segment`, with whatever checks the current mode asks for (implicit operands:
    /// string instructions, XLAT, moffs).
    @inline(__always) func linearAddress(
        _ offset: UInt64, segment: UInt8, size: Int, _ access: Access
    ) throws(GuestFault) -> UInt64 {
        if _fastPath(in64BitMode) { return offset &+ effectiveBase(segment) }
        return try checkedLinearAddress(offset, segment: segment, size: size, access)
    }

    @inline(__always) func effectiveBase(_ segment: UInt8) -> UInt64 {
        let bases = UnsafeRawPointer(state) + MemoryLayout<tz_cpu>.offset(of: \tz_cpu.effective_base).unsafelyUnwrapped
        return bases.load(fromByteOffset: Int(segment) &* 8, as: UInt64.self)
    }

    // MARK: Loads and stores by linear address

    @inline(__always) private static func entry(
        _ table: UnsafeMutablePointer<tz_tlb_entry>, _ linear: UInt64
    ) -> UnsafeMutablePointer<tz_tlb_entry> {
        table + Int(truncatingIfNeeded: linear >> 12 & UInt64(TZ_TLB_ENTRIES - 1))
    }

    /// The host address of [linear, linear + size) for reading if the TLB holds it and it is plain memory in one page.
    @inline(__always) func fastReadPointer(_ linear: UInt64, size: Int) -> UnsafeMutableRawPointer? {
        let entry = Self.entry(state.pointee.tlb_read, linear)
        let offset = linear ^ entry.pointee.tag
        guard _fastPath(offset <= UInt64(4096 &- size)) else { return nil }
        return UnsafeMutableRawPointer(bitPattern: UInt(offset &+ entry.pointee.addend))
    }

    /// The host address of [linear, linear + size) for writing if the TLB holds it, and it is plain memory in one page
    /// without decoded code.
    @inline(__always) func fastWritePointer(_ linear: UInt64, size: Int) -> UnsafeMutableRawPointer? {
        let entry = Self.entry(state.pointee.tlb_write, linear)
        let offset = linear ^ entry.pointee.tag
        guard _fastPath(offset <= UInt64(4096 &- size)) else { return nil }
        return UnsafeMutableRawPointer(bitPattern: UInt(offset &+ entry.pointee.addend))
    }

    /// Loads from a linear address with the current privilege.
    @inline(__always) func load<T: GuestInteger>(_ type: T.Type, _ linear: UInt64) throws(GuestFault) -> T {
        if let host = fastReadPointer(linear, size: MemoryLayout<T>.size) { return T.load(host) }
        return T(truncatingIfNeeded: try loadSlow(linear, size: MemoryLayout<T>.size))
    }

    /// Stores to a linear address with the current privilege.
    @inline(__always) func store<T: GuestInteger>(_ value: T, _ linear: UInt64) throws(GuestFault) {
        if let host = fastWritePointer(linear, size: MemoryLayout<T>.size) { return T.store(value, host) }
        try storeSlow(linear, size: MemoryLayout<T>.size, value: UInt64(value))
    }

    /// Reads, changes and writes one operand: write permission is checked before anything is read, and with `locked`
    /// the whole is one atomic operation among vCPUs. `body` may run more than once.
    @inline(__always) func modify<T: GuestInteger>(
        _ type: T.Type, _ linear: UInt64, locked: Bool, _ body: (T) throws(GuestFault) -> T
    ) throws(GuestFault) {
        guard let host = fastWritePointer(linear, size: MemoryLayout<T>.size) else {
            return try modifySlow(type, linear, locked: locked, body)
        }
        if !locked { return T.store(try body(T.load(host)), host) }
        var seen = T.load(host)
        while true {
            let desired = try body(seen)
            if T.compareExchange(host, &seen, desired) { return }
        }
    }
}

extension GuestInteger {
    @inline(__always) static func load(_ p: UnsafeRawPointer) -> Self {
        switch MemoryLayout<Self>.size {
        case 1: Self(truncatingIfNeeded: tz_load8(p))
        case 2: Self(truncatingIfNeeded: tz_load16(p))
        case 4: Self(truncatingIfNeeded: tz_load32(p))
        default: Self(truncatingIfNeeded: tz_load64(p))
        }
    }

    @inline(__always) static func store(_ value: Self, _ p: UnsafeMutableRawPointer) {
        switch MemoryLayout<Self>.size {
        case 1: tz_store8(p, UInt8(truncatingIfNeeded: value))
        case 2: tz_store16(p, UInt16(truncatingIfNeeded: value))
        case 4: tz_store32(p, UInt32(truncatingIfNeeded: value))
        default: tz_store64(p, UInt64(truncatingIfNeeded: value))
        }
    }

    /// LOCK CMPXCHG on guest memory; `expected` receives what was found.
    @inline(__always) static func compareExchange(
        _ p: UnsafeMutableRawPointer, _ expected: inout Self, _ desired: Self
    ) -> Bool {
        func exchange<N: GuestInteger>(
            _ type: N.Type, _ primitive: (UnsafeMutableRawPointer, UnsafeMutablePointer<N>, N) -> Bool
        ) -> Bool {
            var found = N(truncatingIfNeeded: expected)
            let done = primitive(p, &found, N(truncatingIfNeeded: desired))
            expected = Self(truncatingIfNeeded: found)
            return done
        }
        return switch MemoryLayout<Self>.size {
        case 1: exchange(UInt8.self, tz_compare_exchange8)
        case 2: exchange(UInt16.self, tz_compare_exchange16)
        case 4: exchange(UInt32.self, tz_compare_exchange32)
        default: exchange(UInt64.self, tz_compare_exchange64)
        }
    }
}

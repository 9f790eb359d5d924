// Segment selectors and descriptors as they lie in the GDT and LDT, and reading them with the manual's error codes (SDM
// volume 3, sections 3.4 and 3.5).

import CPrimitives

/// Types of system descriptors and gates (SDM volume 3, table 3-2).
enum SystemType {
    static let tss16: UInt32 = 1
    static let ldt: UInt32 = 2
    static let busyTSS16: UInt32 = 3
    static let callGate16: UInt32 = 4
    static let taskGate: UInt32 = 5
    static let interruptGate16: UInt32 = 6
    static let trapGate16: UInt32 = 7
    static let tss: UInt32 = 9
    static let busyTSS: UInt32 = 11
    static let callGate: UInt32 = 12
    static let interruptGate: UInt32 = 14
    static let trapGate: UInt32 = 15
}

/// An 8-byte descriptor, with the upper half of a 16-byte one if it is one.
struct Descriptor {
    /// Linear address of its first byte.
    let address: UInt64
    let raw: UInt64
    var upper: UInt64 = 0

    /// Access rights in the layout of `tz_segment.attributes`.
    var attributes: UInt32 { UInt32(truncatingIfNeeded: raw >> 40) & 0xf0ff }
    var type: UInt32 { attributes & 0xf }
    var isSystem: Bool { attributes & SegmentAttributes.codeOrData == 0 }
    var isCode: Bool { attributes & 0x18 == 0x18 }
    var isData: Bool { attributes & 0x18 == 0x10 }
    var isConforming: Bool { isCode && attributes & SegmentAttributes.expandDown != 0 }
    var isWritableData: Bool { isData && attributes & SegmentAttributes.writable != 0 }
    var isReadable: Bool { isData || isCode && attributes & SegmentAttributes.writable != 0 }
    var isPresent: Bool { attributes & SegmentAttributes.present != 0 }
    var isLong: Bool { attributes & SegmentAttributes.long != 0 }
    var isBig: Bool { attributes & SegmentAttributes.big != 0 }
    var dpl: UInt8 { UInt8(truncatingIfNeeded: attributes >> SegmentAttributes.dplShift & 3) }

    var base: UInt64 { raw >> 16 & 0xff_ffff | raw >> 32 & 0xff00_0000 | upper << 32 }
    var limit: UInt32 {
        let value = UInt32(truncatingIfNeeded: raw & 0xffff | raw >> 32 & 0xf_0000)
        return attributes & SegmentAttributes.granularity != 0 ? value << 12 | 0xfff : value
    }

    // Gates
    var gateSelector: UInt16 { UInt16(truncatingIfNeeded: raw >> 16) }
    var gateOffset: UInt64 { raw & 0xffff | raw >> 32 & 0xffff_0000 | upper << 32 }

    /// What a segment register holds after loading it.
    func segment(_ selector: UInt16) -> tz_segment {
        var segment = tz_segment()
        segment.base = base
        segment.limit = limit
        segment.attributes = attributes | (isSystem ? 0 : SegmentAttributes.accessed)
        segment.selector = selector
        return segment
    }
}

extension UInt16 {
    /// Null selectors: index 0 of the GDT, with any RPL.
    @inline(__always) var isNullSelector: Bool { self & 0xfffc == 0 }
    @inline(__always) var rpl: UInt8 { UInt8(truncatingIfNeeded: self & 3) }
    /// TI: the selector refers to the LDT.
    @inline(__always) var usesLDT: Bool { self & 4 != 0 }
    /// The selector as error codes carry it.
    @inline(__always) var errorCode: UInt16 { self & 0xfffc }
    @inline(__always) func with(rpl: UInt8) -> UInt16 { self & 0xfffc | UInt16(rpl) }
}

extension CPU {
    /// Linear address of a selector's descriptor if its last byte (`size` of them) is inside the table.
    func descriptorAddress(_ selector: UInt16, size: UInt64 = 8) -> UInt64? {
        let offset = UInt64(selector & 0xfff8)
        if selector.usesLDT {
            let ldt = segment(.ldtr).pointee
            guard !ldt.isUnusable, offset + size - 1 <= UInt64(ldt.limit) else { return nil }
            return ldt.base &+ offset
        }
        guard offset + size - 1 <= state.pointee.gdtr.limit else { return nil }
        return state.pointee.gdtr.base &+ offset
    }

    /// Reads a descriptor; outside its table is `vector` (#GP, #TS) with the selector and EXT. System descriptors of
    /// IA-32e mode are read whole.
    func descriptor(
        _ selector: UInt16, vector: UInt8 = Vector.generalProtection, ext: UInt16 = 0
    ) throws(GuestFault) -> Descriptor {
        guard let address = descriptorAddress(selector) else {
            throw GuestFault(vector: vector, errorCode: selector.errorCode | ext)
        }
        let raw = try loadSystem(UInt64.self, address)
        let found = Descriptor(address: address, raw: raw)
        guard longMode, found.isSystem else { return found }
        return try upperHalf(found, selector, vector: vector, ext: ext)
    }

    private func upperHalf(
        _ found: Descriptor, _ selector: UInt16, vector: UInt8, ext: UInt16
    ) throws(GuestFault) -> Descriptor {
        // Task gates and 16-bit types don't exist in IA-32e mode; whoever asked refuses them by their type.
        guard [SystemType.ldt, SystemType.tss, SystemType.busyTSS, SystemType.callGate].contains(found.type) else {
            return found
        }
        guard descriptorAddress(selector, size: 16) != nil else {
            throw GuestFault(vector: vector, errorCode: selector.errorCode | ext)
        }
        let upper = try loadSystem(UInt64.self, found.address &+ 8)
        // The type field of the upper half must be zero (SDM volume 3, figure 7-4).
        guard upper >> 40 & 0x1f == 0 else { throw GuestFault(vector: vector, errorCode: selector.errorCode | ext) }
        return Descriptor(address: found.address, raw: found.raw, upper: upper & 0xffff_ffff)
    }

    /// Sets the accessed flag of a code or data descriptor if it is clear.
    func markAccessed(_ descriptor: Descriptor) throws(GuestFault) {
        if descriptor.attributes & SegmentAttributes.accessed == 0 {
            try setSystemBits(UInt8(SegmentAttributes.accessed), descriptor.address &+ 5)
        }
    }
}

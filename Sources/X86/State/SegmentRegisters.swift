// Segment registers as Swift code reads them: the C array is reached through a pointer, its attribute word through names.

import CPrimitives

extension CPU {
    /// A segment register with its hidden part.
    @inline(__always) func segment(_ number: UInt8) -> UnsafeMutablePointer<tz_segment> {
        // SAFETY: `segments` has TZ_SEGMENT_COUNT elements and every number comes from the decoder or `SegmentRegister`.
        let offset = MemoryLayout<tz_cpu>.offset(of: \tz_cpu.segments).unsafelyUnwrapped
        let first = (UnsafeMutableRawPointer(state) + offset).assumingMemoryBound(to: tz_segment.self)
        return first + Int(number)
    }

    @inline(__always) func segment(_ register: SegmentRegister) -> UnsafeMutablePointer<tz_segment> {
        segment(register.rawValue)
    }

    /// Sets the base that address generation adds for a segment.
    @inline(__always) func setEffectiveBase(_ number: UInt8, to base: UInt64) {
        // SAFETY: as for `segment(_:)`.
        let offset = MemoryLayout<tz_cpu>.offset(of: \tz_cpu.effective_base).unsafelyUnwrapped
        (UnsafeMutableRawPointer(state) + offset).storeBytes(of: base, toByteOffset: Int(number) &* 8, as: UInt64.self)
    }
}

extension tz_segment {
    @inline(__always) var type: UInt32 { attributes & SegmentAttributes.typeMask }
    @inline(__always) var dpl: UInt8 { UInt8(truncatingIfNeeded: attributes >> SegmentAttributes.dplShift & 3) }
    @inline(__always) var isCode: Bool { attributes & SegmentAttributes.code != 0 }
    @inline(__always) var isUnusable: Bool { attributes & SegmentAttributes.unusable != 0 }
    @inline(__always) var isBig: Bool { attributes & SegmentAttributes.big != 0 }
    @inline(__always) var isLong: Bool { attributes & SegmentAttributes.long != 0 }

    /// A null selector's state: nothing but the selector and a privilege level is kept.
    static func null(_ selector: UInt16, dpl: UInt8 = 0) -> tz_segment {
        var segment = tz_segment()
        segment.selector = selector
        segment.attributes = SegmentAttributes.unusable | UInt32(dpl) << SegmentAttributes.dplShift
        return segment
    }

    /// A flat segment as SYSCALL, SYSENTER and their returns make it: base 0, limit 4 GiB, accessed.
    static func flat(_ selector: UInt16, code: Bool, dpl: UInt8, long: Bool) -> tz_segment {
        typealias A = SegmentAttributes
        var segment = tz_segment()
        segment.selector = selector
        segment.limit = .max
        segment.attributes =
            (code ? 0xb : 3) | A.codeOrData | UInt32(dpl) << A.dplShift | A.present | A.granularity
            | (long ? A.long : A.big)
        return segment
    }
}

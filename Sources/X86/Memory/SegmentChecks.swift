// Segmentation's share of an access outside 64-bit mode: type, limit and presence of the segment, then the linear address
// (SDM volume 3, sections 5.3 to 5.5). #SS for the stack segment, #GP for the others.

import CPrimitives

extension CPU {
    /// The linear address of [offset, offset + size) in a segment register, checked. Not for 64-bit mode.
    @inline(never) func checkedLinearAddress(
        _ offset: UInt64, segment number: UInt8, size: Int, _ access: Access
    ) throws(GuestFault) -> UInt64 {
        let segment = segment(number)
        if state.pointee.flat_segments >> number & 1 != 0, offset &+ UInt64(size &- 1) <= 0xffff_ffff {
            if access != .write || !segment.pointee.isCode || !protectedMode { return offset & 0xffff_ffff }
        }
        let fault: GuestFault = number == UInt8(TZ_SS) ? .stackFault() : .generalProtection()
        return try checkedLinearAddress(offset, in: segment.pointee, size: size, access, fault: fault)
    }

    /// The same in a segment that need not be loaded yet: the stack of a more privileged level, for example.
    func checkedLinearAddress(
        _ offset: UInt64, in segment: tz_segment, size: Int, _ access: Access, fault: GuestFault
    ) throws(GuestFault) -> UInt64 {
        if !realOrVirtual8086 {
            if segment.isUnusable { throw fault }
            let isReadableOrWritable = segment.attributes & SegmentAttributes.writable != 0
            switch access {
            case .write: if segment.isCode || !isReadableOrWritable { throw fault }
            case .read: if segment.isCode && !isReadableOrWritable { throw fault }
            case .fetch: break
            }
        }
        let last = offset &+ UInt64(size &- 1)
        let limit = UInt64(segment.limit)
        if !segment.isCode && segment.attributes & SegmentAttributes.expandDown != 0 {
            let top: UInt64 = segment.isBig ? 0xffff_ffff : 0xffff
            if offset <= limit || last > top { throw fault }
        } else if last > limit {
            // Accesses that extend beyond a limit of 4 GiB are among them: section 5.3 leaves the choice, CPUs fault.
            throw fault
        }
        return (segment.base &+ offset) & 0xffff_ffff
    }
}

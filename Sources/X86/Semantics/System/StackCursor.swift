// A stack while a far transfer or an event pushes to it or pops from it: nothing changes in the CPU until `commit`, so a
// fault half-way leaves the stack pointer alone.

import CPrimitives

/// A stack and a position in it.
struct StackCursor {
    let cpu: CPU
    let segment: tz_segment
    private(set) var pointer: UInt64
    /// The part of RSP that counts.
    let mask: UInt64
    /// Rights of the accesses.
    let context: Int
    /// A flat 64-bit stack.
    let isLong: Bool
    /// What an address outside the stack raises.
    let fault: GuestFault
    /// Accesses may be misaligned.
    let ignoresAlignment: Bool

    private func linear(_ size: Int, _ access: Access) throws(GuestFault) -> UInt64 {
        if isLong {
            guard cpu.isCanonical(pointer), cpu.isCanonical(pointer &+ UInt64(size - 1)) else { throw fault }
            return try aligned(pointer, size)
        }
        return try aligned(
            cpu.checkedLinearAddress(pointer & mask, in: segment, size: size, access, fault: fault), size)
    }

    private func aligned(_ linear: UInt64, _ size: Int) throws(GuestFault) -> UInt64 {
        if !ignoresAlignment { try cpu.checkAlignment(linear, size: size) }
        return linear
    }

    mutating func push(_ value: UInt64, size: Int) throws(GuestFault) {
        pointer = (pointer &- UInt64(size)) & mask
        try cpu.store(try linear(size, .write), size: size, value: value, context: context)
    }

    mutating func pop(size: Int) throws(GuestFault) -> UInt64 {
        let value = try cpu.load(try linear(size, .read), size: size, context: context)
        pointer = (pointer &+ UInt64(size)) & mask
        return value
    }

    /// Passes over parameters.
    mutating func skip(_ bytes: UInt64) { pointer = (pointer &+ bytes) & mask }

    /// Makes the position the CPU's stack pointer.
    func commit() {
        if mask == 0xffff {
            cpu[.rsp] = cpu[.rsp] & ~mask | pointer
        } else {
            cpu[.rsp] = pointer
        }
    }
}

extension CPU {
    /// The stack that SS:RSP points to. `ext` goes into error codes.
    func currentStack(ext: UInt16 = 0) -> StackCursor {
        let mask = state.pointee.stack_mask
        return StackCursor(
            cpu: self, segment: segment(.ss).pointee, pointer: self[.rsp] & mask, mask: mask,
            context: Int(state.pointee.tlb_context), isLong: in64BitMode, fault: .stackFault(ext),
            ignoresAlignment: state.pointee.alignment_checks == 0)
    }

    /// A stack of privilege `level` that isn't loaded yet.
    func newStack(_ segment: tz_segment, pointer: UInt64, level: UInt8, ext: UInt16) -> StackCursor {
        let mask: UInt64 = longMode ? .max : segment.isBig ? 0xffff_ffff : 0xffff
        return StackCursor(
            cpu: self, segment: segment, pointer: pointer & mask, mask: mask, context: dataContext(level: level),
            isLong: longMode, fault: .stackFault(segment.selector.errorCode | ext), ignoresAlignment: true)
    }

    /// Rights of explicit data accesses at a privilege level.
    func dataContext(level: UInt8) -> Int {
        if level == 3 { return TLB.user }
        let isExcused = state.pointee.system_flags & RFLAGS.ac != 0 && state.pointee.cr4 & CR4.smap != 0
        return isExcused ? TLB.supervisorAC : TLB.supervisor
    }

    // MARK: Stacks in the TSS

    /// SS and (E)SP of a level, from the TSS of legacy modes (SDM volume 3, section 5.8.5).
    func stackPointerFromTSS(level: UInt8, ext: UInt16) throws(GuestFault) -> (selector: UInt16, pointer: UInt64) {
        let tr = segment(.tr).pointee
        let is32 = tr.type & 8 != 0
        let offset = is32 ? UInt64(level) * 8 + 4 : UInt64(level) * 4 + 2
        guard offset + (is32 ? 5 : 3) <= UInt64(tr.limit) else { throw .invalidTSS(tr.selector.errorCode | ext) }
        if is32 {
            let pointer = try loadSystem(UInt32.self, tr.base &+ offset)
            return (try loadSystem(UInt16.self, tr.base &+ offset &+ 4), UInt64(pointer))
        }
        let pointer = try loadSystem(UInt16.self, tr.base &+ offset)
        return (try loadSystem(UInt16.self, tr.base &+ offset &+ 2), UInt64(pointer))
    }

    /// RSP of a level, or of an entry of the interrupt stack table, from the 64-bit TSS (SDM volume 3, section 8.7).
    func stackPointerFromTSS64(level: UInt8, ist: UInt64, ext: UInt16) throws(GuestFault) -> UInt64 {
        let tr = segment(.tr).pointee
        let offset = ist == 0 ? UInt64(level) * 8 + 4 : ist * 8 + 28
        guard offset + 7 <= UInt64(tr.limit) else { throw .invalidTSS(tr.selector.errorCode | ext) }
        let pointer = try loadSystem(UInt64.self, tr.base &+ offset)
        guard isCanonical(pointer) else { throw .stackFault(ext) }
        return pointer
    }

    /// Checks the stack segment that a more privileged level gets from the TSS.
    func innerStackSegment(_ selector: UInt16, level: UInt8, ext: UInt16) throws(GuestFault) -> tz_segment {
        let code = selector.errorCode | ext
        guard !selector.isNullSelector else { throw .invalidTSS(ext) }
        let descriptor = try descriptor(selector, vector: Vector.invalidTSS, ext: ext)
        guard selector.rpl == level, descriptor.dpl == level, descriptor.isWritableData else { throw .invalidTSS(code) }
        guard descriptor.isPresent else { throw .stackFault(code) }
        try markAccessed(descriptor)
        return descriptor.segment(selector)
    }
}

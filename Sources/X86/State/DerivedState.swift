// What the hot state keeps ready because address generation, decoding and permission checks need it on every access:
// recomputed here, as a whole, whenever a mode, a segment or a debug register changes.

import CPrimitives

extension CPU {
    /// Recomputes everything in `tz_cpu` that follows from other fields: modes, privilege, stack width, address bases,
    /// and which TLB tables are current. Also for use after an import of state.
    func refreshDerivedState() {
        let ss = segment(.ss).pointee
        let cs = segment(.cs).pointee
        state.pointee.long_mode = state.pointee.efer & EFER.lma != 0 ? 1 : 0
        state.pointee.cpl = !protectedMode ? 0 : virtual8086 ? 3 : ss.dpl
        if longMode && cs.isLong {
            state.pointee.code_width = 8
            state.pointee.stack_mask = .max
        } else {
            state.pointee.code_width = cs.isBig ? 4 : 2
            state.pointee.stack_mask = ss.isBig ? 0xffff_ffff : 0xffff
        }
        refreshAddressGeneration()
        refreshFlagDependents()
        endBlock()
    }

    /// The same after a transfer of control that changed CS, SS, RFLAGS, or nothing but a data segment's usability. In 64-bit
    /// mode, before and after, addresses are generated from neither.
    func refreshAfterTransfer() {
        guard state.pointee.code_width == 8, segment(.cs).pointee.isLong, longMode else { return refreshDerivedState() }
        state.pointee.cpl = segment(.ss).pointee.dpl
        refreshFlagDependents()
        endBlock()
    }

    /// Recomputes what follows from a data segment register alone (CS and SS go through `refreshDerivedState`).
    func refreshAddressGeneration() {
        let long = in64BitMode
        var flat: UInt8 = 0
        for number in 0..<UInt8(6) {
            let s = segment(number).pointee
            setEffectiveBase(number, to: long && number < UInt8(TZ_FS) ? 0 : s.base)
            if s.base == 0, s.limit == .max, !s.isUnusable, Self.readsAndWrites(s) { flat |= 1 << number }
        }
        state.pointee.flat_segments = flat
        refreshCodeMode()
    }

    /// Recomputes what generated code is made for, and what it looks up: 64-bit code; 32-bit code in a flat code segment with a
    /// stack of 32 bits; 16-bit code that begins where one of real-address mode can, with a stack of 16 bits. The rest
    /// is interpreted.
    private func refreshCodeMode() {
        let width = state.pointee.code_width
        var mode = width | (realOrVirtual8086 ? UInt8(TZ_MODE_REAL) : 0)
        var isPlain = true
        var salt: UInt64 = 0
        if width != 8 {
            let cs = segment(.cs).pointee
            // Code that is in a data segment register can be read but not written.
            let firstFour: UInt8 = 0xf
            let holdsCode = segment(.es).pointee.isCode || segment(.ds).pointee.isCode
            if state.pointee.flat_segments & firstFour == firstFour, !holdsCode { mode |= UInt8(TZ_MODE_FLAT) }
            if width == 4 {
                isPlain = cs.base == 0 && cs.limit == .max && state.pointee.stack_mask == 0xffff_ffff
            } else {
                isPlain = cs.base & ~0xf_fff0 == 0 && cs.limit >= 0xffff && state.pointee.stack_mask == 0xffff
                mode &= ~UInt8(TZ_MODE_FLAT)
            }
            salt = isPlain ? cs.base << 28 : 0
            for number in 0..<6 { refreshTops(number) }
        }
        state.pointee.plain_code = isPlain ? 1 : 0
        state.pointee.translated.code_salt = salt
        guard mode != state.pointee.code_mode else { return }
        state.pointee.code_mode = mode
        endBlock()
    }

    /// How far a segment may be read and written without another look at it (`checkedLinearAddress`).
    private func refreshTops(_ number: Int) {
        let segment = segment(UInt8(number)).pointee
        let top = UInt64(segment.limit) + 1
        var (read, write) = (top, top)
        if !realOrVirtual8086 {
            let isReadableOrWritable = segment.attributes & SegmentAttributes.writable != 0
            if segment.isUnusable || segment.isCode && !isReadableOrWritable { read = 0 }
            if segment.isUnusable || segment.isCode || !isReadableOrWritable { write = 0 }
        }
        if !segment.isCode, segment.attributes & SegmentAttributes.expandDown != 0 { (read, write) = (0, 0) }
        withUnsafeMutableBytes(of: &state.pointee.translated.segment_tops) { tops in
            tops.storeBytes(of: read, toByteOffset: number * 16, as: UInt64.self)
            tops.storeBytes(of: write, toByteOffset: number * 16 + 8, as: UInt64.self)
        }
    }

    /// Recomputes what follows from RFLAGS and the debug registers: alignment checks, single-stepping, TLB tables.
    @inline(__always) func refreshFlagDependents() {
        let flags = state.pointee.system_flags
        let aligned = flags & RFLAGS.ac != 0 && state.pointee.cr0 & CR0.am != 0 && cpl == 3
        state.pointee.alignment_checks = aligned ? 1 : 0
        let dr7 = state.pointee.dr7
        // Conditions 01 and 11 watch data.
        translation.pointee.watching =
            _slowPath(dr7 & DR7.enables != 0)
            && (0..<4).contains { DR7.isEnabled(dr7, $0) && DR7.condition(dr7, $0) & 1 != 0 }
        let stepping = flags & RFLAGS.tf != 0 || dr7 & DR7.enables != 0
        let resuming = flags & RFLAGS.rf != 0
        state.pointee.breakpoints = UInt8(stepping ? TZ_STEPS : resuming ? TZ_RESUMES : 0)
        updateTranslationContext()
    }

    /// The next instruction begins: RFLAGS.RF, where nothing else makes it go the slow way, has done its work.
    @inline(__always) func beginInstruction() {
        guard state.pointee.breakpoints == UInt8(TZ_RESUMES) else { return }
        state.pointee.system_flags &= ~RFLAGS.rf
        state.pointee.breakpoints = 0
    }

    /// A usable segment that `checkedLinearAddress` need not look at again: expand-up data that is writable, or code that
    /// is readable (writes to code are checked apart).
    private static func readsAndWrites(_ s: tz_segment) -> Bool {
        guard s.attributes & SegmentAttributes.writable != 0 else { return false }
        return s.isCode || s.attributes & SegmentAttributes.expandDown == 0
    }
}

/// Bits of DR7 (SDM volume 3, section 18.2.4).
enum DR7 {
    /// L0, G0 … L3, G3
    static let enables: UInt64 = 0xff
    static let fixedOne: UInt64 = 1 << 10
    /// GD: general detect
    static let gd: UInt64 = 1 << 13

    /// What breakpoint `n` watches: 0 execution, 1 writes, 2 I/O, 3 reads and writes.
    @inline(__always) static func condition(_ dr7: UInt64, _ n: Int) -> UInt64 { dr7 >> UInt64(16 + 4 * n) & 3 }
    /// Length in bytes of breakpoint `n`.
    @inline(__always) static func length(_ dr7: UInt64, _ n: Int) -> UInt64 {
        switch dr7 >> UInt64(18 + 4 * n) & 3 {
        case 0: 1
        case 1: 2
        case 2: 8
        default: 4
        }
    }
    @inline(__always) static func isEnabled(_ dr7: UInt64, _ n: Int) -> Bool { dr7 >> UInt64(2 * n) & 3 != 0 }
}

/// Bits of DR6 (SDM volume 3, section 18.2.3).
enum DR6 {
    static let bd: UInt64 = 1 << 13
    static let bs: UInt64 = 1 << 14
    static let bt: UInt64 = 1 << 15
    /// Bits that always read as ones.
    static let fixedOnes: UInt64 = 0xffff_0ff0
}

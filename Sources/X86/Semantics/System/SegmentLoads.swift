// Loading data segment registers: MOV, POP, LDS and their like (SDM volume 2, MOV; volume 3, section 5.6). CS has its own
// ways, in the files on far transfers.

import CPrimitives

extension CPU {
    /// Loads ES, SS, DS, FS or GS.
    func loadSegment(_ register: SegmentRegister, _ selector: UInt16) throws(GuestFault) {
        if realOrVirtual8086 {
            setRealModeSegment(register, selector)
        } else if register == .ss {
            try loadStackSegment(selector)
        } else {
            try loadDataSegment(register, selector)
        }
        if register == .ss { refreshDerivedState() } else { refreshAddressGeneration() }
        endBlock()
    }

    /// Real-address mode changes the selector and the base, and leaves limit and rights as they were; virtual-8086 mode
    /// sets all of them.
    func setRealModeSegment(_ register: SegmentRegister, _ selector: UInt16) {
        let segment = segment(register)
        segment.pointee.selector = selector
        segment.pointee.base = UInt64(selector) << 4
        if virtual8086 && protectedMode {
            segment.pointee.limit = 0xffff
            segment.pointee.attributes = 0xf3
        } else {
            segment.pointee.attributes &= ~(SegmentAttributes.unusable | 3 << SegmentAttributes.dplShift)
            segment.pointee.attributes |= SegmentAttributes.present
        }
    }

    private func loadDataSegment(_ register: SegmentRegister, _ selector: UInt16) throws(GuestFault) {
        guard !selector.isNullSelector else {
            segment(register).pointee = .null(selector)
            return
        }
        let descriptor = try descriptor(selector)
        guard descriptor.isReadable, descriptor.isConforming || max(selector.rpl, cpl) <= descriptor.dpl else {
            throw .generalProtection(selector.errorCode)
        }
        guard descriptor.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        try markAccessed(descriptor)
        segment(register).pointee = descriptor.segment(selector)
    }

    private func loadStackSegment(_ selector: UInt16) throws(GuestFault) {
        guard !selector.isNullSelector else {
            guard in64BitMode, cpl < 3, selector.rpl == cpl else { throw .generalProtection() }
            segment(.ss).pointee = .null(selector, dpl: cpl)
            return
        }
        let descriptor = try descriptor(selector)
        guard selector.rpl == cpl, descriptor.isWritableData, descriptor.dpl == cpl else {
            throw .generalProtection(selector.errorCode)
        }
        guard descriptor.isPresent else { throw .stackFault(selector.errorCode) }
        try markAccessed(descriptor)
        segment(.ss).pointee = descriptor.segment(selector)
    }

    /// On the way to an outer level, segments of the inner one become null (SDM volume 3, section 5.8.6). Only their
    /// selectors and rights do: 64-bit code goes on using the bases of FS and GS.
    func dropInnerSegments(cpl: UInt8) {
        for register in [SegmentRegister.es, .ds, .fs, .gs] {
            let segment = segment(register)
            let isConforming = segment.pointee.isCode && segment.pointee.attributes & SegmentAttributes.expandDown != 0
            guard !segment.pointee.isUnusable, !isConforming, segment.pointee.dpl < cpl else { continue }
            let base = segment.pointee.base
            segment.pointee = .null(0)
            segment.pointee.base = base
        }
    }

    // MARK: Instructions

    func movToSegment(_ i: Instruction) throws(GuestFault) {
        guard let register = SegmentRegister(rawValue: i.pointee.reg), register != .cs, i.pointee.reg < 6 else {
            throw .invalidOpcode
        }
        try loadSegment(register, try selectorOperand(i))
        if register == .ss { state.pointee.shadow |= UInt8(TZ_SHADOW_MOV_SS) }
    }

    func movFromSegment(_ i: Instruction) throws(GuestFault) {
        guard i.pointee.reg < 6 else { throw .invalidOpcode }
        try storeSelector(segment(i.pointee.reg).pointee.selector, i)
    }

    func pushSegment(_ i: Instruction) throws(GuestFault) {
        var stack = currentStack()
        try stack.push(UInt64(segment(i.pointee.reg).pointee.selector), size: Int(i.pointee.width))
        stack.commit()
    }

    func popSegment(_ i: Instruction) throws(GuestFault) {
        guard let register = SegmentRegister(rawValue: i.pointee.reg) else { throw .invalidOpcode }
        var stack = currentStack()
        let selector = UInt16(truncatingIfNeeded: try stack.pop(size: Int(i.pointee.width)))
        // The stack pointer moves by the width of the old stack segment: commit it only once the load can't fail.
        try loadSegment(register, selector)
        stack.commit()
        if register == .ss { state.pointee.shadow |= UInt8(TZ_SHADOW_MOV_SS) }
    }

    /// LDS, LES, LFS, LGS, LSS
    func loadFarPointer(_ i: Instruction, _ register: SegmentRegister) throws(GuestFault) {
        let (offset, selector) = try farPointerOperand(i)
        try loadSegment(register, selector)
        switch i.pointee.width {
        case 2: setRegister(i.pointee.reg, to: UInt16(truncatingIfNeeded: offset))
        case 4: setRegister(i.pointee.reg, to: UInt32(truncatingIfNeeded: offset))
        default: setRegister(i.pointee.reg, to: offset)
        }
    }
}

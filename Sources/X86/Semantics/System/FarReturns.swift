// Far RET and IRET: back to the same or an outer level, to virtual-8086 mode, and to the task before (SDM volume 2, RET
// and IRET).

import CPrimitives

extension CPU {
    // MARK: Shared checks

    /// Checks a CS that was popped: code of the same or an outer level than CPL.
    private func returnTarget(_ selector: UInt16, offset: UInt64) throws(GuestFault) -> CodeTarget {
        guard !selector.isNullSelector else { throw .generalProtection() }
        let code = selector.errorCode
        let target = try descriptor(selector)
        guard target.isCode, selector.rpl >= cpl else { throw .generalProtection(code) }
        try refuseReservedSize(target, code)
        guard target.isConforming ? target.dpl <= selector.rpl : target.dpl == selector.rpl else {
            throw .generalProtection(code)
        }
        guard target.isPresent else { throw .segmentNotPresent(code) }
        return try codeTarget(target, selector, offset: offset, level: selector.rpl)
    }

    /// Pops (E)SP and SS of the level that is returned to; SS is read first, as CPUs do.
    private func popOuterStack(
        _ stack: StackCursor, _ size: Int
    ) throws(GuestFault) -> (pointer: UInt64, ss: UInt16) {
        var (below, stack) = (stack, stack)
        stack.skip(UInt64(size))
        let ss = UInt16(truncatingIfNeeded: try stack.pop(size: size))
        return (try below.pop(size: size), ss)
    }

    /// Checks an SS that was popped for a return to `level`.
    private func returnStackSegment(
        _ selector: UInt16, level: UInt8, to64Bit: Bool
    ) throws(GuestFault) -> tz_segment {
        if selector.isNullSelector {
            guard to64Bit, level < 3, selector.rpl == level else { throw .generalProtection() }
            return .null(selector, dpl: level)
        }
        let code = selector.errorCode
        let target = try descriptor(selector)
        guard selector.rpl == level, target.isWritableData, target.dpl == level else { throw .generalProtection(code) }
        guard target.isPresent else { throw .stackFault(code) }
        try markAccessed(target)
        return target.segment(selector)
    }

    /// Loads SS and the stack pointer of the level returned to. A pointer narrower than the new stack's keeps what lies
    /// above SP.
    private func enterOuterStack(_ ss: tz_segment, _ pointer: UInt64, size: Int, to64Bit: Bool) {
        segment(.ss).pointee = ss
        if to64Bit || ss.isBig {
            self[.rsp] = pointer
        } else {
            self[.rsp] = self[.rsp] & ~0xffff | pointer & 0xffff
        }
    }

    // MARK: RET

    func returnFar(_ i: Instruction) throws(GuestFault) {
        let size = Int(i.pointee.width)
        let released = OperandForm(rawValue: i.pointee.form) == .i ? UInt64(i.pointee.immediate & 0xffff) : 0
        // The selector is read first, as CPUs do: a page fault tells.
        var below = currentStack()
        var stack = below
        stack.skip(UInt64(size))
        let selector = UInt16(truncatingIfNeeded: try stack.pop(size: size))
        let offset = try below.pop(size: size)
        if realOrVirtual8086 {
            guard offset <= UInt64(segment(.cs).pointee.limit) else { throw .generalProtection() }
            stack.skip(released)
            stack.commit()
            setRealModeSegment(.cs, selector)
            rip = offset
            return refreshDerivedState()
        }
        stack.skip(released)
        // All that is read is read before the selectors are looked at.
        let outer = selector.rpl == cpl ? nil : try popOuterStack(stack, size)
        let target = try returnTarget(selector, offset: offset)
        guard let outer else {
            stack.commit()
            return enter(target)
        }
        let to64Bit = longMode && target.segment.isLong
        let newSS = try returnStackSegment(outer.ss, level: selector.rpl, to64Bit: to64Bit)
        enterOuterStack(newSS, outer.pointer &+ released, size: size, to64Bit: to64Bit)
        enter(target)
        dropInnerSegments(cpl: selector.rpl)
        refreshAddressGeneration()
    }

    // MARK: IRET

    func returnFromInterrupt(_ i: Instruction) throws(GuestFault) {
        let size = Int(i.pointee.width)
        if !protectedMode {
            try returnReal(size)
        } else if virtual8086 {
            guard iopl == 3 else { throw .generalProtection() }
            try returnReal(size)
        } else if state.pointee.system_flags & RFLAGS.nt != 0 {
            guard !longMode else { throw .generalProtection() }
            try returnToPreviousTask()
        } else {
            try returnProtected(size)
        }
        state.pointee.shadow &= ~UInt8(TZ_SHADOW_NMI)
        endBlock()
    }

    private func returnReal(_ size: Int) throws(GuestFault) {
        var stack = currentStack()
        let offset = try stack.pop(size: size)
        let selector = UInt16(truncatingIfNeeded: try stack.pop(size: size))
        let flags = try stack.pop(size: size)
        guard offset <= UInt64(segment(.cs).pointee.limit) else { throw .generalProtection() }
        stack.commit()
        var changed = returnedFlags(size)
        changed |= RFLAGS.if
        if !virtual8086 { changed |= RFLAGS.iopl }
        setRealModeSegment(.cs, selector)
        rip = offset
        rflags = rflags & ~changed | flags & changed
        refreshDerivedState()
    }

    /// The flags that IRET always restores.
    private func returnedFlags(_ size: Int) -> UInt64 {
        let narrow = RFLAGS.arithmetic | RFLAGS.tf | RFLAGS.df | RFLAGS.nt
        return size == 2 ? narrow : narrow | RFLAGS.rf | RFLAGS.ac | RFLAGS.id
    }

    private func returnProtected(_ size: Int) throws(GuestFault) {
        // Read from the top, as CPUs do: a page fault tells.
        let below = currentStack()
        var stack = below
        stack.skip(UInt64(2 * size))
        let flags = try stack.pop(size: size)
        var next = below
        next.skip(UInt64(size))
        let selector = UInt16(truncatingIfNeeded: try next.pop(size: size))
        next = below
        let offset = try next.pop(size: size)
        if flags & RFLAGS.vm != 0 && cpl == 0 && size == 4 && !longMode {
            return try returnToVirtual8086(offset, selector, flags, &stack)
        }
        let outer = in64BitMode || selector.rpl != cpl ? try popOuterStack(stack, size) : nil
        let target = try returnTarget(selector, offset: offset)
        var changed = returnedFlags(size)
        if cpl <= iopl { changed |= RFLAGS.if }
        if cpl == 0 {
            changed |= RFLAGS.iopl
            if size > 2 { changed |= RFLAGS.vif | RFLAGS.vip }
        }
        let isOutward = selector.rpl > cpl
        if let outer {
            let to64Bit = longMode && target.segment.isLong
            let newSS = try returnStackSegment(outer.ss, level: selector.rpl, to64Bit: to64Bit)
            enterOuterStack(newSS, outer.pointer, size: size, to64Bit: to64Bit)
        } else {
            stack.commit()
        }
        rflags = rflags & ~changed | flags & changed
        if isOutward { dropInnerSegments(cpl: selector.rpl) }
        enter(target)
    }

    private func returnToVirtual8086(
        _ offset: UInt64, _ selector: UInt16, _ flags: UInt64, _ stack: inout StackCursor
    ) throws(GuestFault) {
        let pointer = try stack.pop(size: 4)
        var selectors = InlineArray<5, UInt16>(repeating: 0)
        for index in 0..<5 { selectors[index] = UInt16(truncatingIfNeeded: try stack.pop(size: 4)) }
        guard offset <= 0xffff else { throw .generalProtection() }
        rflags = flags & RFLAGS.defined
        setRealModeSegment(.cs, selector)
        for (index, register) in [SegmentRegister.ss, .es, .ds, .fs, .gs].enumerated() {
            setRealModeSegment(register, selectors[index])
        }
        self[.rsp] = pointer
        rip = offset
        refreshDerivedState()
    }
}

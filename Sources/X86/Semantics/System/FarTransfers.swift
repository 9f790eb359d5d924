// Far JMP and CALL: to code segments, through call gates and to tasks (SDM volume 2, CALL and JMP; volume 3, section 5.8).

import CPrimitives

extension CPU {
    func jumpFar(_ i: Instruction) throws(GuestFault) {
        try jumpFar(to: UInt64(bitPattern: i.pointee.immediate), i.pointee.row, width: i.pointee.width)
    }

    func jumpFarIndirect(_ i: Instruction) throws(GuestFault) {
        let (offset, selector) = try farPointerOperand(i)
        try jumpFar(to: offset, selector, width: i.pointee.width)
    }

    func callFar(_ i: Instruction) throws(GuestFault) {
        try callFar(to: UInt64(bitPattern: i.pointee.immediate), i.pointee.row, width: Int(i.pointee.width))
    }

    func callFarIndirect(_ i: Instruction) throws(GuestFault) {
        let (offset, selector) = try farPointerOperand(i)
        try callFar(to: offset, selector, width: Int(i.pointee.width))
    }

    // MARK: Targets

    /// CS and RIP after a transfer, checked.
    struct CodeTarget {
        var segment: tz_segment
        var rip: UInt64
    }

    /// Checks that `offset` lies inside a code segment, and says what CS and RIP become.
    func codeTarget(
        _ descriptor: Descriptor, _ selector: UInt16, offset: UInt64, level: UInt8
    ) throws(GuestFault) -> CodeTarget {
        let segment = descriptor.segment(selector.with(rpl: level))
        if longMode && segment.isLong {
            guard isCanonical(offset) else { throw .generalProtection() }
        } else {
            guard offset <= UInt64(segment.limit) else { throw .generalProtection() }
        }
        try markAccessed(descriptor)
        return CodeTarget(segment: segment, rip: offset)
    }

    /// L and D together are reserved in IA-32e mode.
    func refuseReservedSize(_ descriptor: Descriptor, _ code: UInt16) throws(GuestFault) {
        if longMode && descriptor.isLong && descriptor.isBig { throw .generalProtection(code) }
    }

    func enter(_ target: CodeTarget) {
        segment(.cs).pointee = target.segment
        rip = target.rip
        refreshAfterTransfer()
    }

    /// Real-address and virtual-8086 mode.
    private func enterReal(_ selector: UInt16, _ offset: UInt64) {
        setRealModeSegment(.cs, selector)
        rip = offset
        refreshDerivedState()
    }

    /// A target in a code segment named directly: conforming code of the same or an inner level, or code of this level.
    private func directTarget(
        _ descriptor: Descriptor, _ selector: UInt16, offset: UInt64
    ) throws(GuestFault) -> CodeTarget {
        let code = selector.errorCode
        try refuseReservedSize(descriptor, code)
        let isAllowed = descriptor.isConforming ? descriptor.dpl <= cpl : selector.rpl <= cpl && descriptor.dpl == cpl
        guard isAllowed else { throw .generalProtection(code) }
        guard descriptor.isPresent else { throw .segmentNotPresent(code) }
        return try codeTarget(descriptor, selector, offset: offset, level: cpl)
    }

    // MARK: JMP

    private func jumpFar(to offset: UInt64, _ selector: UInt16, width: UInt8) throws(GuestFault) {
        let offset = width == 2 ? offset & 0xffff : offset
        if realOrVirtual8086 {
            guard offset <= UInt64(segment(.cs).pointee.limit) else { throw .generalProtection() }
            return enterReal(selector, offset)
        }
        guard !selector.isNullSelector else { throw .generalProtection() }
        let target = try descriptor(selector)
        if target.isCode { return enter(try directTarget(target, selector, offset: offset)) }
        guard target.isSystem else { throw .generalProtection(selector.errorCode) }
        switch target.type {
        case SystemType.callGate,
            SystemType.callGate16 where !longMode:
            let (gate, code) = try throughGate(target, selector)
            let isAllowed = gate.isConforming ? gate.dpl <= cpl : gate.dpl == cpl
            guard isAllowed else { throw .generalProtection(code.errorCode) }
            guard gate.isPresent else { throw .segmentNotPresent(code.errorCode) }
            enter(try codeTarget(gate, code, offset: gateOffset(target), level: cpl))
        default: try jumpToTask(target, selector, .jump)
        }
    }

    private func gateOffset(_ gate: Descriptor) -> UInt64 {
        gate.type == SystemType.callGate16 ? gate.gateOffset & 0xffff : gate.gateOffset
    }

    /// Checks a call gate, and reads the code segment behind it.
    private func throughGate(
        _ gate: Descriptor, _ selector: UInt16
    ) throws(GuestFault) -> (Descriptor, selector: UInt16) {
        guard gate.dpl >= cpl, gate.dpl >= selector.rpl else { throw .generalProtection(selector.errorCode) }
        guard gate.isPresent else { throw .segmentNotPresent(selector.errorCode) }
        let code = gate.gateSelector
        guard !code.isNullSelector else { throw .generalProtection() }
        let target = try descriptor(code)
        guard target.isCode, target.dpl <= cpl, !longMode || target.isLong && !target.isBig else {
            throw .generalProtection(code.errorCode)
        }
        return (target, code)
    }

    /// A TSS, or a task gate in front of one.
    private func jumpToTask(
        _ target: Descriptor, _ selector: UInt16, _ reason: TaskSwitchReason
    ) throws(GuestFault) {
        let code = selector.errorCode
        guard !longMode, [SystemType.tss16, SystemType.tss, SystemType.taskGate].contains(target.type),
            target.dpl >= cpl, target.dpl >= selector.rpl
        else { throw .generalProtection(code) }
        guard target.isPresent else { throw .segmentNotPresent(code) }
        if target.type == SystemType.taskGate {
            try switchTask(target.gateSelector, try taskDescriptor(target.gateSelector, ext: 0), reason)
        } else {
            try switchTask(selector, target, reason)
        }
    }

    // MARK: CALL

    private func callFar(to offset: UInt64, _ selector: UInt16, width: Int) throws(GuestFault) {
        let offset = width == 2 ? offset & 0xffff : offset
        if realOrVirtual8086 {
            guard offset <= UInt64(segment(.cs).pointee.limit) else { throw .generalProtection() }
            try pushReturnAddress(width: width).commit()
            return enterReal(selector, offset)
        }
        guard !selector.isNullSelector else { throw .generalProtection() }
        let target = try descriptor(selector)
        if target.isCode {
            let new = try directTarget(target, selector, offset: offset)
            try pushReturnAddress(width: width).commit()
            return enter(new)
        }
        guard target.isSystem else { throw .generalProtection(selector.errorCode) }
        switch target.type {
        case SystemType.callGate,
            SystemType.callGate16 where !longMode:
            try callThroughGate(target, selector)
        default: try jumpToTask(target, selector, .call)
        }
    }

    private func pushReturnAddress(width: Int) throws(GuestFault) -> StackCursor {
        var stack = currentStack()
        try stack.push(UInt64(segment(.cs).pointee.selector), size: width)
        try stack.push(rip, size: width)
        return stack
    }

    private func callThroughGate(_ gate: Descriptor, _ selector: UInt16) throws(GuestFault) {
        let (target, code) = try throughGate(gate, selector)
        guard target.isPresent else { throw .segmentNotPresent(code.errorCode) }
        let size = longMode ? 8 : gate.type == SystemType.callGate16 ? 2 : 4
        guard !target.isConforming, target.dpl < cpl else {
            let new = try codeTarget(target, code, offset: gateOffset(gate), level: cpl)
            try pushReturnAddress(width: size).commit()
            return enter(new)
        }
        let level = target.dpl
        var stack: StackCursor
        if longMode {
            let pointer = try stackPointerFromTSS64(level: level, ist: 0, ext: 0)
            stack = newStack(.null(UInt16(level), dpl: level), pointer: pointer, level: level, ext: 0)
        } else {
            let (ss, pointer) = try stackPointerFromTSS(level: level, ext: 0)
            stack = newStack(
                try innerStackSegment(ss, level: level, ext: 0), pointer: pointer, level: level, ext: 0)
        }
        let new = try codeTarget(target, code, offset: gateOffset(gate), level: level)
        try stack.push(UInt64(segment(.ss).pointee.selector), size: size)
        try stack.push(self[.rsp], size: size)
        if !longMode { try copyParameters(Int(gate.raw >> 32 & 31), size: size, to: &stack) }
        try stack.push(UInt64(segment(.cs).pointee.selector), size: size)
        try stack.push(rip, size: size)
        segment(.ss).pointee = stack.segment
        stack.commit()
        enter(new)
    }

    /// Copies the parameters from the caller's stack, keeping their order.
    private func copyParameters(_ count: Int, size: Int, to stack: inout StackCursor) throws(GuestFault) {
        for index in stride(from: count - 1, through: 0, by: -1) {
            var old = currentStack()
            old.skip(UInt64(index * size))
            try stack.push(try old.pop(size: size), size: size)
        }
    }
}

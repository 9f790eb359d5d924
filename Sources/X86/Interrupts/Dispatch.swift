// From an event to the first instruction of its handler, by mode: the interrupt vector table of real-address mode, gates
// with stack switches of protected mode, 16-byte gates with the interrupt stack table of IA-32e mode (SDM volume 3,
// sections 6.12 to 6.14 and 21.1.4; volume 2, INT n). Each throws before it changes anything but memory on the stack.

import CPrimitives

extension CPU {
    /// RFLAGS as pushed.
    private func flagsImage(_ event: Event) -> UInt64 { event.isFault ? rflags | RFLAGS.rf : rflags }

    // MARK: Real-address mode

    func dispatchReal(_ event: Event) throws(GuestFault) {
        let offset = UInt64(event.vector) * 4
        guard offset + 3 <= state.pointee.idtr.limit else {
            throw .generalProtection(UInt16(event.vector) << 3 | 2 | event.ext)
        }
        let entry = try loadSystem(UInt32.self, state.pointee.idtr.base &+ offset)
        let ip = UInt64(entry & 0xffff)
        guard ip <= UInt64(segment(.cs).pointee.limit) else { throw .generalProtection() }
        var stack = currentStack()
        try stack.push(rflags & 0xffff, size: 2)
        try stack.push(UInt64(segment(.cs).pointee.selector), size: 2)
        try stack.push(rip & 0xffff, size: 2)
        stack.commit()
        state.pointee.system_flags &= ~(RFLAGS.if | RFLAGS.tf | RFLAGS.ac | RFLAGS.rf)
        setRealModeSegment(.cs, UInt16(truncatingIfNeeded: entry >> 16))
        rip = ip
        refreshDerivedState()
    }

    // MARK: Gates

    /// Reads an IDT entry and checks it up to its presence.
    private func gate(_ event: Event) throws(GuestFault) -> Descriptor {
        let size: UInt64 = longMode ? 16 : 8
        let code = UInt16(event.vector) << 3 | 2 | event.ext
        let offset = UInt64(event.vector) * size
        guard offset + size - 1 <= state.pointee.idtr.limit else { throw .generalProtection(code) }
        let address = state.pointee.idtr.base &+ offset
        let raw = try loadSystem(UInt64.self, address)
        let upper = longMode ? try loadSystem(UInt64.self, address &+ 8) : 0
        let gate = Descriptor(address: address, raw: raw, upper: upper & 0xffff_ffff)
        let isKnown: Bool
        switch gate.type {
        case SystemType.interruptGate, SystemType.trapGate: isKnown = true
        case SystemType.interruptGate16, SystemType.trapGate16, SystemType.taskGate: isKnown = !longMode
        default: isKnown = false
        }
        guard gate.isSystem, isKnown else { throw .generalProtection(code) }
        if event.kind == .software && gate.dpl < cpl { throw .generalProtection(code) }
        guard gate.isPresent else { throw .segmentNotPresent(code) }
        return gate
    }

    /// Reads and checks the handler's code segment.
    private func handlerSegment(_ gate: Descriptor, ext: UInt16) throws(GuestFault) -> (Descriptor, level: UInt8) {
        let selector = gate.gateSelector
        guard !selector.isNullSelector else { throw .generalProtection(ext) }
        let code = selector.errorCode | ext
        let target = try descriptor(selector, ext: ext)
        guard target.isCode, target.dpl <= cpl else { throw .generalProtection(code) }
        if longMode && (!target.isLong || target.isBig) { throw .generalProtection(code) }
        guard target.isPresent else { throw .segmentNotPresent(code) }
        let level = target.isConforming ? cpl : target.dpl
        // From virtual-8086 mode only level 0 can be entered.
        if virtual8086 && level != 0 { throw .generalProtection(code) }
        try markAccessed(target)
        return (target, level)
    }

    /// Loads CS and RIP and clears the flags that a handler begins without.
    private func enterHandler(_ gate: Descriptor, _ target: Descriptor, level: UInt8) {
        segment(.cs).pointee = target.segment(gate.gateSelector.with(rpl: level))
        var cleared = RFLAGS.tf | RFLAGS.nt | RFLAGS.rf | RFLAGS.vm
        if gate.type & 1 == 0 { cleared |= RFLAGS.if }
        state.pointee.system_flags &= ~cleared
        rip = gate.type & 8 != 0 ? gate.gateOffset : gate.gateOffset & 0xffff
        refreshAfterTransfer()
    }

    // MARK: Protected mode

    func dispatchProtected(_ event: Event) throws(GuestFault) {
        let gate = try gate(event)
        if gate.type == SystemType.taskGate {
            let target = try taskDescriptor(gate.gateSelector, ext: event.ext)
            return try switchTask(gate.gateSelector, target, .event(event))
        }
        let size = gate.type & 8 != 0 ? 4 : 2
        let (target, level) = try handlerSegment(gate, ext: event.ext)
        let entry = size == 4 ? gate.gateOffset : gate.gateOffset & 0xffff
        var stack: StackCursor
        if level < cpl {
            let (selector, pointer) = try stackPointerFromTSS(level: level, ext: event.ext)
            let ss = try innerStackSegment(selector, level: level, ext: event.ext)
            guard entry <= UInt64(target.limit) else { throw .generalProtection(event.ext) }
            stack = newStack(ss, pointer: pointer, level: level, ext: event.ext)
            if virtual8086 {
                for register in [SegmentRegister.gs, .fs, .ds, .es] {
                    try stack.push(UInt64(segment(register).pointee.selector), size: size)
                }
            }
            try stack.push(UInt64(segment(.ss).pointee.selector), size: size)
            try stack.push(self[.rsp], size: size)
        } else {
            guard entry <= UInt64(target.limit) else { throw .generalProtection(event.ext) }
            stack = currentStack(ext: event.ext)
        }
        try stack.push(flagsImage(event), size: size)
        try stack.push(UInt64(segment(.cs).pointee.selector), size: size)
        try stack.push(rip, size: size)
        if let code = event.errorCode { try stack.push(UInt64(code), size: size) }
        if virtual8086 { for register in [SegmentRegister.gs, .fs, .ds, .es] { segment(register).pointee = .null(0) } }
        segment(.ss).pointee = stack.segment
        stack.commit()
        enterHandler(gate, target, level: level)
    }

    // MARK: IA-32e mode

    func dispatchLong(_ event: Event) throws(GuestFault) {
        let gate = try gate(event)
        let (target, level) = try handlerSegment(gate, ext: event.ext)
        let ist = gate.raw >> 32 & 7
        var ss = segment(.ss).pointee
        var pointer = self[.rsp]
        if level < cpl || ist != 0 {
            pointer = try stackPointerFromTSS64(level: level, ist: ist, ext: event.ext)
            if level < cpl { ss = .null(UInt16(level), dpl: level) }
        }
        guard isCanonical(gate.gateOffset) else { throw .generalProtection(event.ext) }
        // The stack is aligned to 16 bytes (SDM volume 3, section 6.14.2).
        var stack = StackCursor(
            cpu: self, segment: ss, pointer: pointer & ~0xf, mask: .max, context: dataContext(level: level),
            isLong: true,
            fault: .stackFault(event.ext), ignoresAlignment: true)
        try stack.push(UInt64(segment(.ss).pointee.selector), size: 8)
        try stack.push(self[.rsp], size: 8)
        try stack.push(flagsImage(event), size: 8)
        try stack.push(UInt64(segment(.cs).pointee.selector), size: 8)
        try stack.push(rip, size: 8)
        if let code = event.errorCode { try stack.push(UInt64(code), size: 8) }
        segment(.ss).pointee = ss
        stack.commit()
        enterHandler(gate, target, level: level)
    }
}

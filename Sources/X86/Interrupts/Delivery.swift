// Delivery of exceptions and interrupts: the entry points of the run loop and of INT n, with faults on the way turned
// into the next event until a handler is reached or the CPU shuts down.

import CPrimitives

extension CPU {
    /// Delivers an event at the current RIP, whatever it takes.
    func deliver(_ first: Event) {
        var event = first
        state.pointee.shadow &= ~UInt8(TZ_SHADOW_STI | TZ_SHADOW_MOV_SS)
        state.pointee.activity = UInt8(TZ_ACTIVE)
        while true {
            count(event)
            trace(event)
            do {
                try dispatch(event)
                break
            } catch {
                guard let next = event.followed(by: error) else { return shutDown() }
                event = next
            }
        }
        endBlock()
    }

    /// Delivers the fault that a handler left in the state, after the run loop has put RIP back to the instruction.
    /// `instruction` is the one that faulted, nil if it could not even be fetched.
    func deliverPendingFault(_ instruction: Instruction? = nil) {
        let vector = state.pointee.fault_vector
        let code: UInt16? = state.pointee.fault_has_error != 0 ? state.pointee.fault_error : nil
        state.pointee.fault_pending = 0
        guard vector == Vector.nonCanonical else {
            return deliver(Event(vector: vector, kind: .exception, errorCode: code))
        }
        deliver(Event(instruction.map(usesStackWrongly) ?? false ? .stackFault() : .generalProtection()))
    }

    /// Delivers an external interrupt whose vector was acknowledged.
    func deliverInterrupt(vector: UInt8) { deliver(Event(vector: vector, kind: .external)) }

    /// Delivers a non-maskable interrupt and blocks further ones until IRET.
    func deliverNMI() {
        deliver(Event(vector: Vector.nmi, kind: .nmi))
        state.pointee.shadow |= UInt8(TZ_SHADOW_NMI)
    }

    /// INT n, INT3 and INTO: a fault belongs to the instruction itself, and leaves everything as it was.
    func softwareInterrupt(vector: UInt8) throws(GuestFault) {
        let event = Event(vector: vector, kind: .software)
        trace(event)
        try dispatch(event)
        count(event)
        endBlock()
    }

    /// Triple fault: the CPU stops in the shutdown state (SDM volume 3, section 7.15).
    func shutDown() {
        if traces(.exceptions) { trace(.shutdown) }
        state.pointee.activity = UInt8(TZ_SHUTDOWN)
        stopForAttention()
    }

    private func count(_ event: Event) {
        switch event.kind {
        case .external, .nmi: state.pointee.counters.interrupts &+= 1
        case .exception:
            state.pointee.counters.exceptions &+= 1
            if event.vector == Vector.pageFault { state.pointee.counters.page_faults &+= 1 }
        case .software:
            if event.vector == Vector.breakpoint || event.vector == Vector.overflow {
                state.pointee.counters.exceptions &+= 1
            }
        }
    }

    @inline(__always) private func trace(_ event: Event) {
        guard traces(event.kind == .exception ? .exceptions : .interrupts) else { return }
        switch event.kind {
        case .external: trace(.interrupt(vector: event.vector))
        case .nmi: trace(.nmi)
        case .software: trace(.softwareInterrupt(vector: event.vector))
        case .exception:
            trace(
                .exception(
                    vector: event.vector, errorCode: event.errorCode.map(UInt32.init), cr2: state.pointee.cr2))
        }
    }

    private func dispatch(_ event: Event) throws(GuestFault) {
        if !protectedMode {
            try dispatchReal(event)
        } else if longMode {
            try dispatchLong(event)
        } else {
            try dispatchProtected(event)
        }
        if event.vector == Vector.debug && event.kind == .exception {
            // GD and BTF are off in the handler (SDM volume 3, sections 18.2.4 and 18.4.1).
            state.pointee.dr7 &= ~DR7.gd
            state.pointee.debugctl &= ~2
            refreshFlagDependents()
        }
    }

    /// Whether a non-canonical address that an instruction used was in the stack segment: its memory operand if that is
    /// not canonical, otherwise its implicit stack operand.
    private func usesStackWrongly(_ i: Instruction) -> Bool {
        let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic) ?? .invalid
        let pushesOrPops: Bool
        switch mnemonic {
        case .push, .pop, .pushf, .popf, .enter, .leave, .call, .callIndirect, .ret, .retFar, .iret, .callFar,
            .callFarIndirect, .pushSegment, .popSegment:
            pushesOrPops = true
        default: pushesOrPops = false
        }
        guard i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0 else { return pushesOrPops }
        let isOperandsSegmentSS = i.pointee.segment == UInt8(TZ_SS)
        guard pushesOrPops else { return isOperandsSegmentSS }
        // POP reads the stack first; PUSH and CALL read their operand first.
        if mnemonic == .pop && !isCanonical(self[.rsp]) { return true }
        let operand = effectiveAddress(i) &+ effectiveBase(i.pointee.segment)
        let last = operand &+ UInt64(i.pointee.width &- 1)
        return isCanonical(operand) && isCanonical(last) || isOperandsSegmentSS
    }
}

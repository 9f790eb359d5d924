// x87 instructions around their stubs: pending exceptions first, then the operand, then the FPU, then the guest's
// instruction and data pointers.
//
// The pointers are recorded for every non-control instruction (SDM volume 1, section 8.1.8), as CPUs do that report
// neither FDP_EXCPTN_ONLY nor the deprecation of FCS and FDS.

import CPrimitives

extension CPU {
    @inline(__always) fileprivate func beginX87(_ i: Instruction) throws(GuestFault) {
        try passGates(i)
        try raisePendingX87Exception()
    }

    /// Runs an x87 stub. With an exception pending that is ignored (CR0.NE clear) its flags step aside, since the host
    /// would raise it.
    fileprivate func runX87(_ i: Instruction, _ memory: UnsafeMutableRawPointer?) {
        let image = x87
        let ignored = image.pointee.fsw & FSW.es != 0 ? image.pointee.fsw & FSW.exceptions : 0
        if ignored != 0 {
            image.pointee.fsw &= ~(FSW.exceptions | FSW.es | FSW.b)
            runStub(i, memory)
            image.pointee.fsw |= ignored
            image.pointee.updateSummary()
        } else {
            runStub(i, memory)
        }
        image.pointee.fop = UInt16(i.pointee.opcode & 7) << 8 | UInt16(i.pointee.modrm)
        image.pointee.fip = state.pointee.rip &- UInt64(i.pointee.length)
        state.pointee.fcs = state.pointee.segments.1.selector
    }

    fileprivate func recordDataPointer(_ i: Instruction) {
        x87.pointee.fdp = effectiveAddress(i)
        state.pointee.fds = segment(i.pointee.segment).pointee.selector
    }

    /// Whether a store instruction wrote its operand: of the exceptions, unmasked #IA, #IS, #O and #U keep it from
    /// that. None was flagged and unmasked before, or #MF would have come first.
    fileprivate var x87StoreHappened: Bool {
        x87.pointee.fsw & ~x87.pointee.fcw & (FSW.ie | FSW.oe | FSW.ue) == 0
    }
}

let x87Stack: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.beginX87(i)
        cpu.runX87(i, nil)
    }
}

let x87Load: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.beginX87(i)
        let size = Int(i.pointee.width)
        let memory = try cpu.readableBytes(try cpu.linearAddress(i, size: size, .read), size: size)
        cpu.runX87(i, memory)
        cpu.recordDataPointer(i)
    }
}

let x87Store: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.beginX87(i)
        let size = Int(i.pointee.width)
        let linear = try cpu.linearAddress(i, size: size, .write)
        if let host = cpu.fastWritePointer(linear, size: size) {
            cpu.runX87(i, host)
        } else {
            try cpu.checkOperandAlignment(linear, size: size)
            try cpu.probe(linear, size: size, .write)
            cpu.runX87(i, cpu.bounce)
            if cpu.x87StoreHappened { try cpu.storeSlow(linear, size: size, from: cpu.bounce) }
        }
        cpu.recordDataPointer(i)
    }
}

/// FNENI, FNDISI and FNSETPM do nothing since the 387.
let x87NoOperation: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.passGates(i) }
}

// IN, OUT, INS and OUTS with the I/O permission bitmap (SDM volume 1, chapter 19).

import CPrimitives

extension CPU {
    /// Checks IOPL, and where that does not permit the access the TSS's bitmap.
    @inline(__always) private func requirePort(_ port: UInt16, size: Int) throws(GuestFault) {
        if protectedMode, cpl > iopl || virtual8086 { try requirePermission(port, size: size) }
    }

    @inline(never) private func requirePermission(_ port: UInt16, size: Int) throws(GuestFault) {
        let tr = segment(.tr).pointee
        guard !tr.isUnusable, tr.type & 8 != 0, tr.limit >= 0x67 else { throw .generalProtection() }
        let bitmap = try loadSystem(UInt16.self, tr.base &+ 0x66)
        let first = UInt64(bitmap) + UInt64(port >> 3)
        // Two bytes are read, so that an access may cross a byte of the map.
        guard first + 1 <= UInt64(tr.limit) else { throw .generalProtection() }
        let bits = try loadSystem(UInt16.self, tr.base &+ first) >> (port & 7)
        guard bits & (1 << UInt16(size) - 1) == 0 else { throw .generalProtection() }
    }

    private func readPort(_ port: UInt16, size: Int) -> UInt64 {
        state.pointee.counters.port_accesses &+= 1
        syncClock()
        let value = UInt64(withBus { $0.readPort(port, size: size) })
        heedAttention()
        if traces(.ports) { trace(.port(write: false, port: port, size: size, value: value & portMask(size))) }
        noteIOBreakpoint(port, size: size)
        return value
    }

    private func writePort(_ port: UInt16, size: Int, value: UInt64) {
        state.pointee.counters.port_accesses &+= 1
        let value = value & portMask(size)
        if traces(.ports) { trace(.port(write: true, port: port, size: size, value: value)) }
        syncClock()
        withBus { $0.writePort(port, size: size, value: UInt32(truncatingIfNeeded: value)) }
        heedAttention()
        noteIOBreakpoint(port, size: size)
    }

    @inline(__always) private func portMask(_ size: Int) -> UInt64 {
        size == 4 ? 0xffff_ffff : 1 << UInt64(8 * size) - 1
    }

    @inline(__always) private func port(_ i: Instruction) -> UInt16 {
        i.pointee.form == OperandForm.i.rawValue
            ? UInt16(truncatingIfNeeded: i.pointee.immediate & 0xff) : UInt16(truncatingIfNeeded: self[.rdx])
    }

    func input(_ i: Instruction) throws(GuestFault) {
        let port = port(i)
        let size = Int(i.pointee.width)
        try requirePort(port, size: size)
        let value = readPort(port, size: size) & portMask(size)
        // Whole, since it is loaded whole soon, which waits where a part of it was stored.
        self[.rax] = size == 4 ? value : self[.rax] & ~portMask(size) | value
    }

    func output(_ i: Instruction) throws(GuestFault) {
        let port = port(i)
        try requirePort(port, size: Int(i.pointee.width))
        writePort(port, size: Int(i.pointee.width), value: self[.rax])
    }

    // MARK: String forms. Permission is asked for even where REP has nothing to repeat.

    /// INS: the destination is ES:rDI. It is checked before the port is read, for a read can't be taken back.
    func inputString(_ i: Instruction) throws(GuestFault) {
        let size = Int(i.pointee.width)
        let port = UInt16(truncatingIfNeeded: self[.rdx])
        try requirePort(port, size: size)
        try repeated(i, .rdi) { (cpu, offset) throws(GuestFault) in
            let linear = try cpu.linearAddress(offset, segment: UInt8(TZ_ES), size: size, .write)
            try cpu.probe(linear, size: size, .write)
            try cpu.storeInteger(cpu.readPort(port, size: size), linear, size: size)
        }
    }

    /// OUTS: the source is rSI in DS or an override.
    func outputString(_ i: Instruction) throws(GuestFault) {
        let size = Int(i.pointee.width)
        let segment = i.pointee.segment
        let port = UInt16(truncatingIfNeeded: self[.rdx])
        try requirePort(port, size: size)
        try repeated(i, .rsi) { (cpu, offset) throws(GuestFault) in
            let linear = try cpu.linearAddress(offset, segment: segment, size: size, .read)
            cpu.writePort(port, size: size, value: try cpu.loadInteger(linear, size: size))
        }
    }

    /// Iterations before interrupts are looked for again.
    private static var iterations: Int { 256 }

    /// Runs one iteration, or with REP as many as RCX says; each commits its registers.
    @inline(__always) private func repeated(
        _ i: Instruction, _ index: GPR, _ body: (CPU, UInt64) throws(GuestFault) -> Void
    ) throws(GuestFault) {
        let mask = i.pointee.address_mask
        let step = UInt64(bitPattern: Int64(i.pointee.width))
        let isBackward = state.pointee.system_flags & RFLAGS.df != 0
        let repeats = i.pointee.flags & UInt8(TZ_INSN_REP | TZ_INSN_REPNE) != 0
        for _ in 0..<Self.iterations {
            if repeats && self[.rcx] & mask == 0 { return }
            let offset = self[index] & mask
            try body(self, offset)
            setAddressRegister(index, (isBackward ? offset &- step : offset &+ step) & mask, i)
            guard repeats else { return }
            setAddressRegister(.rcx, (self[.rcx] &- 1) & mask, i)
        }
        if self[.rcx] & mask != 0 { rip &-= UInt64(i.pointee.length) }
        endBlock()
    }
}

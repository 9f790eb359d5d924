// MOVS, STOS, LODS, CMPS, SCAS, with REP. Each iteration commits, so a fault leaves the registers of the iterations before
// it; a long run is cut into portions between which the run loop sees interrupts. Runs of MOVS and STOS within pages
// of plain memory are done by the host's own string instructions.

import CPrimitives

/// One string instruction: what an iteration does.
protocol StringInstruction {
    /// CMPS and SCAS, whose repetition also depends on ZF.
    static var compares: Bool { get }
    /// One iteration, index registers included; the counter is the caller's.
    static func step<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault)
    /// Does up to `count` iterations at once; returns how many, 0 if that is not possible here.
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type, upTo count: UInt64) -> UInt64
}

extension StringInstruction {
    @inline(__always) static var compares: Bool { false }
    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type, upTo count: UInt64) -> UInt64 { 0 }
}

/// A string instruction with or without REP.
enum Repeatable<Operation: StringInstruction>: IntegerInstruction {
    /// How many bytes one execution handles before it looks for interrupts.
    private static var portion: UInt64 { 4096 }

    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let repeats = UInt8(TZ_INSN_REP | TZ_INSN_REPNE)
        guard i.pointee.flags & repeats != 0 else { return try Operation.step(cpu, i, T.self) }
        let endsWhenZero = i.pointee.flags & UInt8(TZ_INSN_REPNE) != 0
        // Breakpoints and single-stepping trap after every iteration, the guest's own and a debugger's.
        let traps = cpu.state.pointee.breakpoints | cpu.state.pointee.debugging
        var budget = traps != 0 ? 1 : portion / UInt64(MemoryLayout<T>.size)
        var count = cpu[.rcx] & i.pointee.address_mask
        while count != 0 {
            if budget == 0 { return cpu.restart(i) }
            var done = Operation.run(cpu, i, T.self, upTo: min(count, budget))
            if done == 0 {
                try Operation.step(cpu, i, T.self)
                done = 1
            }
            if cpu.state.pointee.debugging != 0 { budget = done }
            count &-= done
            budget &-= done
            cpu.setAddressRegister(.rcx, count, i)
            if Operation.compares && cpu.zeroFlag == endsWhenZero { return }
        }
    }
}

extension CPU {
    /// The instruction is not finished: it is executed again after the run loop has looked at what is pending.
    @inline(__always) fileprivate func restart(_ i: Instruction) {
        let start = rip &- UInt64(i.pointee.length)
        rip = in64BitMode ? start : start & 0xffff_ffff
        endBlock()
    }

    @inline(__always) fileprivate var direction: Bool { state.pointee.system_flags & RFLAGS.df != 0 }

    @inline(__always) fileprivate func index(_ register: GPR, _ i: Instruction) -> UInt64 {
        self[register] & i.pointee.address_mask
    }

    /// Moves an index register by `count` elements in the direction that DF says.
    @inline(__always) fileprivate func advance(_ register: GPR, _ i: Instruction, by bytes: UInt64) {
        setAddressRegister(register, direction ? self[register] &- bytes : self[register] &+ bytes, i)
    }

    @inline(__always) fileprivate func loadSource<T: GuestInteger>(
        _ i: Instruction, _ type: T.Type
    ) throws(GuestFault) -> T {
        let size = MemoryLayout<T>.size
        return try load(
            T.self, try linearAddress(index(.rsi, i), segment: i.pointee.segment, size: size, .read))
    }

    @inline(__always) fileprivate func loadDestination<T: GuestInteger>(
        _ i: Instruction, _ type: T.Type
    ) throws(GuestFault) -> T {
        let size = MemoryLayout<T>.size
        return try load(T.self, try linearAddress(index(.rdi, i), segment: UInt8(TZ_ES), size: size, .read))
    }

    @inline(__always) fileprivate func storeDestination<T: GuestInteger>(
        _ i: Instruction, _ value: T
    ) throws(GuestFault) {
        let size = MemoryLayout<T>.size
        try store(value, try linearAddress(index(.rdi, i), segment: UInt8(TZ_ES), size: size, .write))
    }

    /// How many elements from `offset` upwards, at most `count`, lie in one page and below the end of the address space.
    @inline(__always) fileprivate func elements<T: GuestInteger>(
        _ type: T.Type, at offset: UInt64, base: UInt64, _ i: Instruction, upTo count: UInt64
    ) -> UInt64 {
        let size = UInt64(MemoryLayout<T>.size)
        let inPage = (4096 - (offset &+ base) & 4095) / size
        let belowWrap = (i.pointee.address_mask &- offset) / size
        return min(count, inPage, belowWrap)
    }

    /// The host address of `size` bytes at an offset, if nothing stands in the way.
    @inline(__always) fileprivate func fastPointer(
        _ offset: UInt64, segment: UInt8, size: Int, _ access: Access
    ) -> UnsafeMutableRawPointer? {
        let linear: UInt64
        do { linear = try linearAddress(offset, segment: segment, size: size, access) } catch { return nil }
        return access == .write ? fastWritePointer(linear, size: size) : fastReadPointer(linear, size: size)
    }
}

enum MoveString: StringInstruction {
    @inline(__always)
    static func step<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        try cpu.storeDestination(i, try cpu.loadSource(i, T.self))
        cpu.advance(.rsi, i, by: UInt64(MemoryLayout<T>.size))
        cpu.advance(.rdi, i, by: UInt64(MemoryLayout<T>.size))
    }

    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type, upTo limit: UInt64) -> UInt64 {
        guard !cpu.direction else { return 0 }
        let (source, destination) = (cpu.index(.rsi, i), cpu.index(.rdi, i))
        let base = cpu.effectiveBase(i.pointee.segment)
        var count = cpu.elements(T.self, at: source, base: base, i, upTo: limit)
        count = cpu.elements(T.self, at: destination, base: cpu.effectiveBase(UInt8(TZ_ES)), i, upTo: count)
        guard count > 1 else { return 0 }
        let bytes = count &* UInt64(MemoryLayout<T>.size)
        let size = Int(truncatingIfNeeded: bytes)
        guard let from = cpu.fastPointer(source, segment: i.pointee.segment, size: size, .read),
            let to = cpu.fastPointer(destination, segment: UInt8(TZ_ES), size: size, .write)
        else { return 0 }
        switch MemoryLayout<T>.size {
        case 1: tz_rep_movs8(to, from, count)
        case 2: tz_rep_movs16(to, from, count)
        case 4: tz_rep_movs32(to, from, count)
        default: tz_rep_movs64(to, from, count)
        }
        cpu.advance(.rsi, i, by: bytes)
        cpu.advance(.rdi, i, by: bytes)
        return count
    }
}

enum StoreString: StringInstruction {
    @inline(__always)
    static func step<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        try cpu.storeDestination(i, cpu.register(0, as: T.self))
        cpu.advance(.rdi, i, by: UInt64(MemoryLayout<T>.size))
    }

    @inline(__always)
    static func run<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type, upTo limit: UInt64) -> UInt64 {
        guard !cpu.direction else { return 0 }
        let destination = cpu.index(.rdi, i)
        let count = cpu.elements(
            T.self, at: destination, base: cpu.effectiveBase(UInt8(TZ_ES)), i, upTo: limit)
        guard count > 1 else { return 0 }
        let bytes = count &* UInt64(MemoryLayout<T>.size)
        let size = Int(truncatingIfNeeded: bytes)
        guard let to = cpu.fastPointer(destination, segment: UInt8(TZ_ES), size: size, .write) else { return 0 }
        switch MemoryLayout<T>.size {
        case 1: tz_rep_stos8(to, cpu.register(0, as: UInt8.self), count)
        case 2: tz_rep_stos16(to, cpu.register(0, as: UInt16.self), count)
        case 4: tz_rep_stos32(to, cpu.register(0, as: UInt32.self), count)
        default: tz_rep_stos64(to, cpu.register(0, as: UInt64.self), count)
        }
        cpu.advance(.rdi, i, by: bytes)
        return count
    }
}

enum LoadString: StringInstruction {
    @inline(__always)
    static func step<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        cpu.setRegister(0, to: try cpu.loadSource(i, T.self))
        cpu.advance(.rsi, i, by: UInt64(MemoryLayout<T>.size))
    }
}

enum CompareString: StringInstruction {
    @inline(__always) static var compares: Bool { true }

    @inline(__always)
    static func step<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        // In this order, as CPUs do: a page fault tells.
        let destination = try cpu.loadDestination(i, T.self)
        let source = try cpu.loadSource(i, T.self)
        var flags: UInt64 = 0
        _ = Cmp.apply(source, destination, &flags)
        cpu.arithmetic = flags
        cpu.advance(.rsi, i, by: UInt64(MemoryLayout<T>.size))
        cpu.advance(.rdi, i, by: UInt64(MemoryLayout<T>.size))
    }
}

enum ScanString: StringInstruction {
    @inline(__always) static var compares: Bool { true }

    @inline(__always)
    static func step<T: GuestInteger>(_ cpu: CPU, _ i: Instruction, _ type: T.Type) throws(GuestFault) {
        let destination = try cpu.loadDestination(i, T.self)
        var flags: UInt64 = 0
        _ = Cmp.apply(cpu.register(0, as: T.self), destination, &flags)
        cpu.arithmetic = flags
        cpu.advance(.rdi, i, by: UInt64(MemoryLayout<T>.size))
    }
}

func stringHandler(_ mnemonic: Mnemonic) -> tz_handler? {
    switch mnemonic {
    case .movs: { s, i in execute(s, i, Repeatable<MoveString>.self) }
    case .stos: { s, i in execute(s, i, Repeatable<StoreString>.self) }
    case .lods: { s, i in execute(s, i, Repeatable<LoadString>.self) }
    case .cmps: { s, i in execute(s, i, Repeatable<CompareString>.self) }
    case .scas: { s, i in execute(s, i, Repeatable<ScanString>.self) }
    default: nil
    }
}

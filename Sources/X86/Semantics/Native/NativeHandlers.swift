// From a decoded native instruction to its handler. `nativeHandler` prepares the instruction once, when it is decoded:
// afterwards `immediate` is the address of its stub, `map` its immediate byte, `width` the size of its memory operand
// and `form` the gates it passes. Instructions on registers alone have their stub for a handler.

import CPrimitives

/// The handler of a native instruction.
func nativeHandler(_ i: UnsafeMutablePointer<tz_instruction>, _ offer: InstructionSet) -> tz_handler? {
    let row = NativeTable.shared.rows + Int(i.pointee.row)
    guard row.pointee.isOffered(by: offer, l: i.pointee.prefixes & UInt8(TZ_PREFIX_VEX_L) != 0),
        i.pointee.flags & UInt8(TZ_INSN_LOCK) == 0
    else { return raiseNotOffered }
    if i.pointee.isOutside64BitMode, i.pointee.rex & 8 != 0, row.pointee.isQuadwordElement, offer.vendor == .amd {
        return raiseNotOffered
    }
    // Outside 64-bit mode only eight registers can be named.
    if row.pointee.vex, i.pointee.isOutside64BitMode { i.pointee.vvvv &= 7 }
    let key = NativeStubKey(i, row.pointee)
    i.pointee.width = row.pointee.memorySize.bytes(l: key.l, w: key.w)
    i.pointee.form = row.pointee.gates.rawValue
    i.pointee.map = UInt8(truncatingIfNeeded: i.pointee.immediate)
    switch row.pointee.special {
    case .none: break
    case .masked: return maskedMoveHandler(i, row.pointee)
    case .gather: return gatherHandler(i)
    case .zeroUpper: return zeroUpper
    case .mxcsr: return row.pointee.rm.writes ? storeMXCSR : loadMXCSR
    }
    if row.pointee.nonWaiting { return x87NoOperation }
    guard case .success(let code) = NativeCode.shared, let stub = code.stub(key) else { return raiseNotOffered }
    i.pointee.immediate = Int64(stub)
    return runHandler(i, row.pointee, stub, offer)
}

/// Which way of running its stub an instruction needs.
private func runHandler(
    _ i: UnsafeMutablePointer<tz_instruction>, _ row: NativeRow, _ stub: Int, _ offer: InstructionSet
) -> tz_handler {
    let memory = i.pointee.flags & UInt8(TZ_INSN_MEMORY) != 0
    let writes = row.rm.writes
    if row.isX87 { return memory ? writes ? x87Store : x87Load : x87Stack }
    if row.entersMMX {
        return memory ? writes ? mmxStore : row.aligned ? mmxLoadAligned : mmxLoad : mmxRegisters
    }
    guard memory else { return unsafeBitCast(stub, to: tz_handler.self) }
    // AMD's CPUs take misaligned operands of the SHA extensions; Intel's don't (SDM volume 2, table 2-21).
    if row.aligned, row.feature != .sha || offer.vendor != .amd { return writes ? storeAligned : loadAligned }
    return writes ? store : load
}

extension NativeRow {
    /// VPEXTRD and VPINSRD, whose W selects 64 bits. Outside 64-bit mode Intel's CPUs ignore it (SDM volume 2, PEXTRD),
    /// and AMD's raise #UD.
    fileprivate var isQuadwordElement: Bool { vex && map == 3 && (opcode == 0x16 || opcode == 0x22) }

    /// Whether a CPU model has the instruction.
    package func isOffered(by offer: InstructionSet, l: Bool) -> Bool {
        guard offer.has(feature), !gates.contains(.avx) || offer.has(.avx) else { return false }
        if feature == .cmov || isX87, !offer.has(.fpu) { return false }
        if self.l == .meaningful, l, let wideFeature { return offer.has(wideFeature) }
        return true
    }
}

extension tz_instruction {
    var isOutside64BitMode: Bool { flags & UInt8(TZ_INSN_CHECKED) != 0 }
    var isMemory: Bool { flags & UInt8(TZ_INSN_MEMORY) != 0 }
}

extension NativeStubKey {
    /// The stub of a decoded instruction; bits that the row ignores are 0.
    init(_ i: UnsafeMutablePointer<tz_instruction>, _ row: NativeRow) {
        self.row = i.pointee.row
        memory = i.pointee.isMemory
        l = row.l != .ignored && i.pointee.prefixes & UInt8(TZ_PREFIX_VEX_L) != 0
        // Outside 64-bit mode there are no 64-bit registers for W to select.
        w = row.w != .ignored && i.pointee.rex & 8 != 0 && !(row.w == .meaningful && i.pointee.isOutside64BitMode)
        stack = row.isX87 && !i.pointee.isMemory ? i.pointee.modrm & 7 & ~row.modrmMask : 0
        let byte = UInt8(truncatingIfNeeded: i.pointee.immediate)
        immediate = row.hasImmediate ? row.is4 && i.pointee.isOutside64BitMode ? byte & 0x7f : byte : 0
    }
}

extension CPU {
    /// Runs a prepared instruction's stub on the memory operand at `memory`.
    @inline(__always) func runStub(_ i: Instruction, _ memory: UnsafeMutableRawPointer?) {
        // SAFETY: `immediate` is the address that `nativeHandler` stored: a complete stub, which is never removed.
        unsafeBitCast(Int(i.pointee.immediate), to: tz_native_stub.self)(state, i, memory)
    }

    /// #GP(0) for a misaligned operand, which comes before #SS for an address that is not canonical.
    @inline(__always) fileprivate func checkAligned(_ i: Instruction, _ size: Int) throws(GuestFault) {
        let linear = effectiveAddress(i) &+ effectiveBase(i.pointee.segment)
        if _slowPath(linear & UInt64(size &- 1) != 0) { throw .generalProtection() }
    }

    /// The instruction with its memory operand read.
    @inline(__always) fileprivate func load(_ i: Instruction, aligned: Bool) throws(GuestFault) {
        try passGates(i)
        let size = Int(i.pointee.width)
        if aligned { try checkAligned(i, size) }
        let linear = try linearAddress(i, size: size, .read)
        runStub(i, try readableBytes(linear, size: size))
    }

    /// The instruction with its memory operand written.
    @inline(__always) fileprivate func store(_ i: Instruction, aligned: Bool) throws(GuestFault) {
        try passGates(i)
        let size = Int(i.pointee.width)
        if aligned { try checkAligned(i, size) }
        let linear = try linearAddress(i, size: size, .write)
        if let host = fastWritePointer(linear, size: size) { return runStub(i, host) }
        try storeBounced(i, linear, size)
    }

    @inline(never) fileprivate func storeBounced(_ i: Instruction, _ linear: UInt64, _ size: Int) throws(GuestFault) {
        try checkOperandAlignment(linear, size: size)
        try probe(linear, size: size, .write)
        runStub(i, bounce)
        if state.pointee.fault_pending == 0 { try storeSlow(linear, size: size, from: bounce) }
    }
}

private let load: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.load(i, aligned: false) }
}
private let loadAligned: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.load(i, aligned: true) }
}
private let store: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.store(i, aligned: false) }
}
private let storeAligned: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.store(i, aligned: true) }
}

// MARK: MMX

extension CPU {
    /// Gates, then pending x87 exceptions, then the memory operand; only what runs changes the x87 stack. A
    /// SIMD exception of a conversion comes after that change.
    @inline(__always) fileprivate func beginMMX(_ i: Instruction) throws(GuestFault) {
        try passGates(i)
        try raisePendingX87Exception()
    }

    @inline(__always) fileprivate func loadMMX(_ i: Instruction, aligned: Bool) throws(GuestFault) {
        try beginMMX(i)
        let size = Int(i.pointee.width)
        if aligned { try checkAligned(i, size) }
        let linear = try linearAddress(i, size: size, .read)
        let host = try readableBytes(linear, size: size)
        enterMMX()
        runStub(i, host)
    }
}

private let mmxRegisters: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.beginMMX(i)
        cpu.enterMMX()
        cpu.runStub(i, nil)
    }
}

private let mmxLoad: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.loadMMX(i, aligned: false) }
}
private let mmxLoadAligned: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.loadMMX(i, aligned: true) }
}

private let mmxStore: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.beginMMX(i)
        let size = Int(i.pointee.width)
        let linear = try cpu.linearAddress(i, size: size, .write)
        let host = cpu.fastWritePointer(linear, size: size)
        try cpu.checkOperandAlignment(linear, size: size)
        if host == nil { try cpu.probe(linear, size: size, .write) }
        cpu.enterMMX()
        cpu.runStub(i, host ?? cpu.bounce)
        if host == nil { try cpu.storeSlow(linear, size: size, from: cpu.bounce) }
    }
}

// MARK: VZEROUPPER, VZEROALL

private let zeroUpper: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        let all = i.pointee.prefixes & UInt8(TZ_PREFIX_VEX_L) != 0
        // Outside 64-bit mode only registers 0 to 7 exist.
        for n in 0..<UInt8(cpu.in64BitMode ? 16 : 8) {
            let start = all ? 0 : 16
            (cpu.vector(n) + start).initializeMemory(as: UInt8.self, repeating: 0, count: 32 - start)
        }
    }
}

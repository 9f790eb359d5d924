// How one guest instruction becomes a stub. A stub is a C function of the state, the decoded instruction and the host
// address of the memory operand. It loads the operands that the instruction reads into fixed host registers, runs the
// instruction with its register fields changed to those, and stores what it wrote. Guest register numbers are read from
// the decoded instruction, so one stub serves every choice of registers, and how many stubs there can be is bounded by
// the allow-list.
//
//     RDI state   RSI instruction   R11 memory operand
//     ModRM.reg → XMM1, MM1 or R8    r/m → XMM2, MM2 or R9    VEX.vvvv → XMM3 or R10    immediate → XMM4
//
// Stubs keep RDI, RSI and the stack as they find them: the exits that SIGFPE leads to rely on it.

import CPrimitives

/// Which stub of a row: everything about the encoding that changes the code.
struct NativeStubKey: Hashable {
    var row: NativeRowIndex
    /// The r/m operand is in memory.
    var memory: Bool
    var l: Bool
    var w: Bool
    /// ST(i) of x87 rows, else 0.
    var stack: UInt8
    var immediate: UInt8
}

/// What all stubs of an arena share: where its exits are.
struct NativeExits {
    /// Raises what a closed gate stands for.
    var gate: Int
    /// The host's MXCSR in memory.
    var hostMXCSR: Int
}

/// Writes one stub.
struct NativeStubBuilder {
    private var code = HostCode()
    private let row: NativeRow
    private let key: NativeStubKey
    private let exits: NativeExits
    private let address: Int

    private static let registerBase = Int(TZ_OFFSET_FXSAVE) + 32
    private static let vectors = Int(TZ_OFFSET_VECTOR)
    // Host register numbers of the operands, vector or MMX.
    private static let reg: UInt8 = 1
    private static let rm: UInt8 = 2
    private static let vvvv: UInt8 = 3
    private static let is4: UInt8 = 4

    /// The code of the stub that will lie at `address`.
    static func build(_ row: NativeRow, _ key: NativeStubKey, exits: NativeExits, at address: Int) -> [UInt8] {
        var builder = NativeStubBuilder(row: row, key: key, exits: exits, address: address)
        if row.isX87 { builder.buildX87() } else { builder.build() }
        return builder.code.bytes
    }

    private init(row: NativeRow, key: NativeStubKey, exits: NativeExits, address: Int) {
        self.row = row
        self.key = key
        self.exits = exits
        self.address = address
    }

    private var wide: Bool { row.vex && key.l }

    // MARK: Vectors, MMX, general registers

    private mutating func build() {
        if key.memory { code.moveMemoryPointer() } else { checkGate() }
        load(row.reg, Self.reg, .r8, Int(TZ_OFFSET_INSN_REG))
        if !key.memory { load(row.rm, Self.rm, .r9, Int(TZ_OFFSET_INSN_RM)) }
        load(row.vvvv, Self.vvvv, .r10, Int(TZ_OFFSET_INSN_VVVV))
        if row.is4 {
            code.moveVector(Self.is4, Self.vectors + Int(key.immediate >> 4) * 32, store: false, vex: true, wide: wide)
        }
        if row.implicit.reads { code.moveVector(0, Self.vectors, store: false, vex: row.vex, wide: wide) }
        if row.readsFlags { code.restoreFlags() }
        if row.readsRAX { code.load(.rax, state: 0) }
        if row.readsRDX { code.load(.rdx, state: 16) }
        if row.usesMXCSR { code.stateInstruction(0xae, extension: 2, Int(TZ_OFFSET_MXCSR)) }  // ldmxcsr
        emitInstruction()
        // MULX with equal destinations leaves the high half: VEX.vvvv is stored first.
        storeGPR(row.vvvv, .r10, Int(TZ_OFFSET_INSN_VVVV))
        if !key.memory { storeGPR(row.rm, .r9, Int(TZ_OFFSET_INSN_RM)) }
        storeGPR(row.reg, .r8, Int(TZ_OFFSET_INSN_REG))
        if row.writesRCX { code.store(.rcx, state: 8) }
        if row.writesFlags { code.saveFlags() }
        if row.usesMXCSR {
            code.stateInstruction(0xae, extension: 3, Int(TZ_OFFSET_MXCSR))  // stmxcsr
            code.emit(0x0f, 0xae, 0x15)  // ldmxcsr [rip + …]
            code.emit32(Int32(truncatingIfNeeded: exits.hostMXCSR - (address + code.bytes.count + 4)))
        }
        storeVector(row.vvvv, Self.vvvv, .r10)
        if !key.memory { storeVector(row.rm, Self.rm, .r9) }
        storeVector(row.reg, Self.reg, .r8)
        if row.implicit.writes { code.moveVector(0, Self.vectors, store: true, vex: row.vex, wide: row.vex) }
        if row.entersMMX { code.emit(0x0f, 0x77) }  // emms
        if wide { code.zeroUpper() }
        code.returns()
    }

    /// Stubs without memory operand are handlers: they look themselves whether the instruction may run.
    private mutating func checkGate() {
        guard row.gates != [], !row.entersMMX else { return }
        code.test(state: Int(TZ_OFFSET_FPU_GATES), mask: row.gates.rawValue)
        code.emit(0x0f, 0x85)  // jnz
        code.emit32(Int32(truncatingIfNeeded: exits.gate - (address + code.bytes.count + 4)))
    }

    /// Finds an operand's register, leaving its offset in `index` unless it is general, and loads it if it is read.
    private mutating func load(_ operand: NativeOperand, _ number: UInt8, _ index: HostRegister, _ field: Int) {
        switch operand.kind {
        case .none: break
        case .vector:
            code.loadNumber(index, field: field)
            code.shiftLeft(index, 5)
            if operand.reads { code.moveVector(number, index, Self.vectors, store: false, vex: row.vex, wide: wide) }
        case .mmx:
            code.loadNumber(index, field: field)
            code.keepThreeBits(index)  // REX doesn't extend MMX register numbers
            code.shiftLeft(index, 4)
            if operand.reads { code.moveMMX(number, index, Self.registerBase, store: false) }
        case .gpr:
            guard operand.reads else { break }
            code.loadNumber(.rax, field: field)
            code.loadGPR(index)
        }
    }

    private mutating func storeGPR(_ operand: NativeOperand, _ register: HostRegister, _ field: Int) {
        guard operand.kind == .gpr, operand.writes else { return }
        code.loadNumber(.rax, field: field)
        code.storeGPR(register)
    }

    /// Legacy instructions keep the upper half of a YMM register, VEX-encoded ones have cleared it.
    private mutating func storeVector(_ operand: NativeOperand, _ number: UInt8, _ index: HostRegister) {
        guard operand.writes else { return }
        if operand.kind == .vector {
            code.moveVector(number, index, Self.vectors, store: true, vex: row.vex, wide: row.vex)
        } else if operand.kind == .mmx {
            code.moveMMX(number, index, Self.registerBase, store: true)
            code.setExponent(index, Self.registerBase + 8)
        }
    }

    private mutating func emitInstruction() {
        let regIsGPR = row.reg.kind == .gpr
        let rmIsHigh = key.memory || row.rm.kind == .gpr
        let regField = row.modrmMask == 0x38 ? row.modrmValue >> 3 : regIsGPR ? 0 : row.reg.kind == .none ? 0 : Self.reg
        let rmField: UInt8 = key.memory ? 3 : row.rm.kind == .gpr ? 1 : Self.rm
        let w = row.w == .one || row.w == .meaningful && key.w
        if row.vex {
            let l = row.l == .one || row.l == .meaningful && key.l
            let vvvv: UInt8 = row.vvvv.kind == .none ? 0 : row.vvvv.kind == .gpr ? 10 : Self.vvvv
            code.emit(0xc4, (regIsGPR ? 0 : 0x80) | 0x40 | (rmIsHigh ? 0 : 0x20) | row.map)
            code.emit((w ? 0x80 : 0) | (~vvvv & 15) << 3 | (l ? 4 : 0) | row.prefix)
        } else {
            switch row.prefix {
            case 1: code.emit(0x66)
            case 2: code.emit(0xf3)
            case 3: code.emit(0xf2)
            default: break
            }
            let rex: UInt8 = (w ? 8 : 0) | (regIsGPR ? 4 : 0) | (rmIsHigh ? 1 : 0)
            if rex != 0 { code.emit(0x40 | rex) }
            code.emit(0x0f)
            if row.map == 2 { code.emit(0x38) }
            if row.map == 3 { code.emit(0x3a) }
        }
        code.emit(row.opcode)
        if row.hasModRM { code.emit((key.memory ? 0 : 0xc0) | regField << 3 | rmField) }
        if row.hasImmediate { code.emit(row.is4 ? Self.is4 << 4 | key.immediate & 15 : key.immediate) }
    }

    // MARK: x87

    /// The whole x87 state goes into the host's FPU and back. Instruction and data pointers stay the guest's: those that
    /// FXSAVE stores are the host's.
    private mutating func buildX87() {
        let image = Int(TZ_OFFSET_FXSAVE)
        if key.memory { code.moveMemoryPointer() }
        code.load(.r8, state: image + 8)
        code.load(.r9, state: image + 16)
        code.load16(.r10, state: image + 6)
        code.store32(0x1f80, state: image + 24)  // FXRSTOR loads MXCSR too
        code.stateInstruction(0xae, extension: 1, image, wide: true)  // fxrstor64
        if row.readsFlags { code.restoreFlags() }
        if key.memory {
            code.emit(0x41, row.opcode, row.modrmValue | 3)
        } else {
            code.emit(row.opcode, row.modrmValue | key.stack)
        }
        if row.writesFlags { code.saveFlags() }
        code.stateInstruction(0xae, extension: 0, image, wide: true)  // fxsave64
        code.emit(0xdb, 0xe3)  // fninit
        code.store(.r8, state: image + 8)
        code.store(.r9, state: image + 16)
        code.store16(.r10, state: image + 6)
        code.emit(0x0f, 0xae, 0x15)  // ldmxcsr [rip + …]
        code.emit32(Int32(truncatingIfNeeded: exits.hostMXCSR - (address + code.bytes.count + 4)))
        code.returns()
    }
}

// Operands: which host register stands for a guest register, and how an instruction that is copied gets its operands
// when a guest register lives in memory or an operand is at a host address.

import CPrimitives
import X86

extension BlockEncoder {
    /// The host register that holds a guest register; nil for R11, R13 and R15, which live in the state.
    static func host(_ number: UInt8) -> UInt8? {
        switch number {
        case 4: Host.guestRSP
        case 11, 13, 15: nil
        default: number
        }
    }

    /// An operand's register while an instruction runs: itself, or a temporary that holds its value.
    private mutating func temporary(_ number: UInt8, _ temporary: UInt8, loads: Bool) -> UInt8 {
        if let host = Self.host(number) { return host }
        if loads { loadFromMemory(number, temporary) }
        return temporary
    }

    /// A guest register that lives in memory into a temporary, unless it has it already.
    mutating func loadFromMemory(_ number: UInt8, _ temporary: UInt8) {
        let holder = code.holder(of: number)
        if holder == temporary { return }
        if let holder {
            code.move(temporary, holder)
        } else {
            code.load(temporary, .memory(Host.state, StateLayout.gpr(number)))
        }
        code.note(temporary, holds: number)
    }

    mutating func writeBack(_ number: UInt8, _ temporary: UInt8) {
        guard Self.host(number) == nil else { return }
        code.store(temporary, .memory(Host.state, StateLayout.gpr(number)))
        code.note(temporary, holds: number)
    }

    // MARK: Addresses

    /// The address that lies so many bytes before an instruction's memory operand, into the address register: linear in 64-bit
    /// mode, the offset in its segment otherwise. Uses the spare register.
    mutating func emitAddress(_ operation: Operation, before distance: Int32 = 0) {
        let i = operation.instruction
        if operation.isAbsoluteMove {
            let offset = UInt32(truncatingIfNeeded: i.pointee.immediate)
            return code.move32(Host.address, immediate: offset &- UInt32(bitPattern: distance))
        }
        emitSum(i, before: distance, next: operation.next, into: Host.address, wide: i.pointee.address_mask == .max)
        if i.pointee.address_mask == 0xffff { code.load(Host.address, .register(Host.address), width: 2) }
        if mode.width == 8, i.pointee.mnemonic != Mnemonic.lea.rawValue { emitSegmentBase(i) }
    }

    /// Adds FS's or GS's base to the address in 64-bit mode. Uses the spare register.
    mutating func emitSegmentBase(_ i: UnsafeMutablePointer<tz_instruction>) {
        let segment = i.pointee.segment
        guard segment == UInt8(TZ_FS) || segment == UInt8(TZ_GS) else { return }
        code.load(Host.spare, .memory(Host.state, StateLayout.effectiveBase + Int32(segment) * 8))
        code.lea(Host.address, .indexed(Host.address, Host.spare, 0, 0))
    }

    /// The register that holds a base, which may be the address register.
    mutating func baseRegister(_ number: UInt8) -> UInt8 { temporary(number, Host.address, loads: true) }

    /// Base, scaled index and displacement, less a distance, into a register; 32 bits of it unless `wide`. Uses the address and
    /// the spare register.
    private mutating func emitSum(
        _ i: UnsafeMutablePointer<tz_instruction>, before distance: Int32, next: Int32, into sum: UInt8, wide: Bool
    ) {
        let displacement = i.pointee.displacement &- distance
        if i.pointee.base == UInt8(TZ_RIP_OFFSET) {
            code.load(Host.address, .memory(Host.state, StateLayout.codeBase))
            // The displacement counts from the end of the instruction; the sum may not fit.
            if let short = Int32(exactly: Int64(displacement) + Int64(next)) {
                return code.lea(sum, .memory(Host.address, short), wide: wide)
            }
            code.lea(Host.address, .memory(Host.address, next))
            return code.lea(sum, .memory(Host.address, displacement), wide: wide)
        }
        let hasBase = i.pointee.base != UInt8(TZ_ZERO_OFFSET)
        let hasIndex = i.pointee.index != UInt8(TZ_ZERO_OFFSET)
        var base: UInt8 = 0
        var index: UInt8 = 0
        if hasBase { base = temporary(i.pointee.base / 8, Host.address, loads: true) }
        if hasIndex { index = temporary(i.pointee.index / 8, Host.spare, loads: true) }
        switch (hasBase, hasIndex) {
        case (true, true): code.lea(sum, .indexed(base, index, i.pointee.scale, displacement), wide: wide)
        // A move between registers costs less than an addition of nothing.
        case (true, false) where displacement == 0 && wide: if base != sum { code.move(sum, base) }
        case (true, false): code.lea(sum, .memory(base, displacement), wide: wide)
        case (false, true): code.lea(sum, .scaled(index, i.pointee.scale, displacement), wide: wide)
        case (false, false): code.lea(sum, .absolute(displacement), wide: wide)
        }
    }

    mutating func emitLEA(_ operation: Operation) {
        let i = operation.instruction
        let number = i.pointee.reg / 8
        if i.pointee.width >= 4, i.pointee.address_mask != 0xffff {
            // The narrower of address and operand counts.
            let wide = i.pointee.address_mask == .max && i.pointee.width == 8
            emitSum(i, before: 0, next: operation.next, into: Self.host(number) ?? Host.address, wide: wide)
            return writeBack(number, Host.address)
        }
        emitAddress(operation)
        if i.pointee.width == 2 {
            let register = temporary(number, Host.spare, loads: true)
            var encoding = HostEncoding(0x8b)
            encoding.operandSize = true
            code.instruction(encoding, reg: register, .register(Host.address))
            writeBack(number, register)
        } else {
            let register = Self.host(number) ?? Host.address
            if register != Host.address { code.instruction(HostEncoding(0x8b), reg: register, .register(Host.address)) }
            writeBack(number, Host.address)
        }
    }

    // MARK: Copying

    mutating func emitCompute(_ operation: Operation) {
        if operation.divides { emitDivisorCheck(operation) }
        if operation.maySignal { note(offset: operation.offset, behind: operation.remaining) }
        emitCopy(operation)
    }

    mutating func emitAccess(_ operation: Operation) {
        emitReach(operation, .operand, size: Int32(operation.size), write: operation.writes)
        if operation.takesFlags { restoreFlags(for: operation) }
        if operation.divides { emitDivisorCheck(operation) }
        if operation.maySignal { note(offset: operation.offset, behind: operation.remaining) }
        emitCopy(operation)
    }

    /// Leaves a division by zero to the handler: the host's signal would cost more. Changes no flags. Uses the spare register.
    private mutating func emitDivisorCheck(_ operation: Operation) {
        let i = operation.instruction
        let rcx: UInt8 = 1
        let width = i.pointee.width
        var divisor = operand
        if operation.kind == .compute {
            guard i.pointee.rm & 7 == 0 else { return }
            let number = i.pointee.rm / 8
            divisor = Self.host(number).map(HostOperand.register) ?? .memory(Host.state, StateLayout.gpr(number))
        }
        code.move(Host.spare, rcx)
        var load = width < 4 ? HostEncoding(width == 1 ? 0xb6 : 0xb7, map: 1) : HostEncoding(0x8b, w: width == 8)
        load.forcesREX = width == 1
        code.instruction(load, reg: rcx, divisor)
        let isZero = code.jumpIfZeroRCX()
        code.move(rcx, Host.spare)
        let isNotZero = code.shortJump()
        code.landShort(isZero)
        code.move(rcx, Host.spare)
        slowPaths.append(
            SlowPath(displacement: code.jump(), operation: operation, flags: hostFlags ? .host : destroyedFlags))
        code.landShort(isNotZero)
    }

    /// The instruction itself, its memory operand at `operand`.
    private mutating func emitCopy(_ operation: Operation) {
        if operation.isNative {
            emitNative(operation)
        } else if operation.isX87Control {
            emitX87Control(operation)
        } else {
            emitInteger(operation)
        }
    }

    /// An integer instruction with its register operands renamed, and its memory operand at `operand`.
    private mutating func emitInteger(_ operation: Operation) {
        let i = operation.instruction
        let mnemonic = Mnemonic(rawValue: i.pointee.mnemonic) ?? .invalid
        let form = OperandForm(rawValue: i.pointee.form) ?? .none
        let memory = operation.kind == .access
        let opcode = i.pointee.opcode
        var encoding = HostEncoding(opcode, map: i.pointee.map, w: i.pointee.rex & 8 != 0)
        // What the prefix means depends on the mode; the host's is 64-bit mode.
        encoding.operandSize = i.pointee.width == 2
        encoding.lock = i.pointee.flags & UInt8(TZ_INSN_LOCK) != 0
        encoding.forcesREX = i.pointee.prefixes & UInt8(TZ_PREFIX_REX) != 0
        switch mnemonic {
        case .popcnt, .lzcnt, .tzcnt, .adox: encoding.repeatPrefix = 0xf3
        case .crc32:
            encoding.repeatPrefix = 0xf2
            encoding.operandSize = i.pointee.row == 2
        case .adcx: encoding.operandSize = true
        case .movLoadAbsolute, .movStoreAbsolute: return emitAbsoluteMove(operation)
        default: break
        }
        let hasRegister = form.namesRegister
        if case .none = form { return emitImplicit(encoding, i) }
        if case .rm_i = form, isAccumulatorForm(i) {
            // The accumulator is itself, without ModRM.
            if encoding.operandSize { code.byte(0x66) }
            if encoding.w { code.byte(0x48) }
            code.byte(opcode)
            return emitImmediate(i)
        }
        if case .mov = mnemonic, i.pointee.map == 0, opcode & 0xf0 == 0xb0 { return emitMoveImmediate(i) }

        let isRegisterForm = operation.isLegacy && i.pointee.map == 0 && opcode & 0xf0 == 0x40
        // INC and DEC of one byte are prefixes in 64-bit mode, and 82 does not exist.
        if isRegisterForm { encoding.opcode = 0xff }
        if i.pointee.map == 0, opcode == 0x82 { encoding.opcode = 0x80 }

        let pure = writesWhole(mnemonic, i)
        var rm = operand
        var rmRegister: UInt8 = 0
        let rmNumber = i.pointee.rm / 8
        let rmIsHigh = i.pointee.rm & 7 != 0
        if !memory {
            rmRegister = temporary(rmNumber, Host.address, loads: !(pure && mnemonic.writesRM(form)))
            rm = .register(rmIsHigh ? rmNumber + 4 : rmRegister)
        }
        var reg = isRegisterForm ? opcode >> 3 & 1 : i.pointee.modrm >> 3 & 7
        let regNumber = i.pointee.reg / 8
        let writesReg = hasRegister && mnemonic.writesRegister(form)
        if case .xchg = mnemonic, i.pointee.map == 0, opcode >= 0x90, opcode < 0x98 {
            encoding.opcode = 0x87
            reg = Host.rax
        } else if hasRegister {
            let register = temporary(regNumber, Host.spare, loads: !(pure && writesReg))
            reg = i.pointee.reg & 7 != 0 ? regNumber + 4 : register
        }
        if case .bswap = mnemonic {
            code.byte(0x40 | (encoding.w ? 8 : 0) | rmRegister >> 3)
            code.bytes(0x0f, 0xc8 | rmRegister & 7)
        } else {
            code.instruction(encoding, reg: reg, rm)
            emitImmediate(i)
        }
        if writesReg { writeBack(regNumber, Host.spare) }
        if !memory, mnemonic.writesRM(form) { writeBack(rmNumber, Host.address) }
    }

    /// MOV between the accumulator and what its address reaches.
    private mutating func emitAbsoluteMove(_ operation: Operation) {
        let width = operation.instruction.pointee.width
        let opcode: UInt8 = operation.writes ? 0x88 : 0x8a
        var encoding = HostEncoding(width == 1 ? opcode : opcode | 1)
        encoding.operandSize = width == 2
        code.instruction(encoding, reg: Host.rax, operand)
    }

    /// Instructions whose operands are implied.
    private mutating func emitImplicit(_ encoding: HostEncoding, _ i: UnsafeMutablePointer<tz_instruction>) {
        if encoding.operandSize { code.byte(0x66) }
        if encoding.w { code.byte(0x48) }
        code.byte(encoding.opcode)
    }

    private mutating func emitMoveImmediate(_ i: UnsafeMutablePointer<tz_instruction>) {
        let number = i.pointee.rm / 8
        let value = UInt64(bitPattern: i.pointee.immediate)
        switch i.pointee.width {
        case 8, 4:
            let whole = i.pointee.width == 8 ? value : value & 0xffff_ffff
            let register = Self.host(number) ?? Host.address
            code.move(register, immediate: whole)
            writeBack(number, Host.address)
        case 2:
            let register = temporary(number, Host.address, loads: true)
            var encoding = HostEncoding(0xc7)
            encoding.operandSize = true
            code.instruction(encoding, reg: 0, .register(register))
            code.bytes(UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8))
            writeBack(number, Host.address)
        default:
            let register = i.pointee.rm & 7 != 0 ? number + 4 : temporary(number, Host.address, loads: true)
            var encoding = HostEncoding(0xc6)
            encoding.forcesREX = i.pointee.prefixes & UInt8(TZ_PREFIX_REX) != 0
            code.instruction(encoding, reg: 0, .register(register))
            code.byte(UInt8(truncatingIfNeeded: value))
            writeBack(number, Host.address)
        }
    }

    /// 04, 05, 0C, … 3D, A8, A9: AL, AX, EAX or RAX and an immediate.
    private func isAccumulatorForm(_ i: UnsafeMutablePointer<tz_instruction>) -> Bool {
        let opcode = i.pointee.opcode
        return i.pointee.map == 0 && (opcode < 0x40 && opcode & 7 >= 4 && opcode & 7 <= 5 || opcode & 0xfe == 0xa8)
    }

    /// The immediate that ends an integer instruction, if any.
    private mutating func emitImmediate(_ i: UnsafeMutablePointer<tz_instruction>) {
        let opcode = i.pointee.opcode
        let value = i.pointee.immediate
        let size: Int
        if i.pointee.map == 1 {
            size = opcode == 0xa4 || opcode == 0xac || opcode == 0xba ? 1 : 0
        } else if i.pointee.map != 0 {
            size = 0
        } else {
            switch opcode {
            case 0x80, 0x82, 0x83, 0xc0, 0xc1, 0x6b, 0xc6, 0xa8: size = 1
            case 0x81, 0x69, 0xc7, 0xa9: size = min(Int(i.pointee.width), 4)
            case 0xf6: size = i.pointee.modrm >> 3 & 7 < 2 ? 1 : 0
            case 0xf7: size = i.pointee.modrm >> 3 & 7 < 2 ? min(Int(i.pointee.width), 4) : 0
            case 0..<0x40: size = opcode & 7 == 4 ? 1 : opcode & 7 == 5 ? min(Int(i.pointee.width), 4) : 0
            default: size = 0
            }
        }
        for n in 0..<size { code.byte(UInt8(truncatingIfNeeded: value >> Int64(8 * n))) }
    }

    // MARK: What is written

    /// The destination is written without being read, all 64 bits of it.
    private func writesWhole(_ mnemonic: Mnemonic, _ i: UnsafeMutablePointer<tz_instruction>) -> Bool {
        guard i.pointee.width >= 4 else { return false }
        switch mnemonic {
        case .mov, .movzx, .movsx, .movsxd, .movbe, .popcnt, .lzcnt, .tzcnt: return true
        case .imul2: return i.pointee.form == OperandForm.r_rm_i.rawValue
        default: return false
        }
    }

    // MARK: Native instructions

    /// An instruction from the allow-list. Vector registers are themselves.
    mutating func emitNative(_ operation: Operation) {
        let i = operation.instruction
        let row = NativeTable.shared.rows + Int(i.pointee.row)
        let memory = operation.kind == .access
        let long = i.pointee.prefixes & UInt8(TZ_PREFIX_VEX_L) != 0
        if row.pointee.isX87 {
            return emitX87(operation, opcode: row.pointee.opcode, extension: row.pointee.modrmValue >> 3 & 7)
        }
        if !row.pointee.hasModRM {
            code.bytes(0xc5, long ? 0xfc : 0xf8, row.pointee.opcode)
            return
        }
        var encoding = HostEncoding(row.pointee.opcode, map: row.pointee.map, w: i.pointee.rex & 8 != 0)
        var rm = operand
        let rmIsGPR = !memory && row.pointee.rm.kind == .gpr
        if !memory {
            rm = .register(
                rmIsGPR
                    ? temporary(i.pointee.rm, Host.address, loads: row.pointee.rm.reads)
                    : row.pointee.rm.kind == .mmx ? i.pointee.rm & 7 : i.pointee.rm)
        }
        let vvvvIsGPR = row.pointee.vvvv.kind == .gpr
        let vvvvTemporary = row.pointee.vvvv.writes ? Host.address : Host.spare
        if row.pointee.vex {
            let vvvv =
                vvvvIsGPR
                ? temporary(i.pointee.vvvv, vvvvTemporary, loads: row.pointee.vvvv.reads) : i.pointee.vvvv
            encoding.vex = (row.pointee.vvvv.kind == .none ? 0 : vvvv, long, row.pointee.prefix)
        } else {
            switch row.pointee.prefix {
            case 1: encoding.operandSize = true
            case 2: encoding.repeatPrefix = 0xf3
            case 3: encoding.repeatPrefix = 0xf2
            default: break
            }
        }
        let regIsGPR = row.pointee.reg.kind == .gpr
        let reg =
            regIsGPR
            ? temporary(i.pointee.reg, Host.spare, loads: row.pointee.reg.reads)
            : row.pointee.reg.kind == .none
                ? row.pointee.modrmValue >> 3 & 7 : row.pointee.reg.kind == .mmx ? i.pointee.reg & 7 : i.pointee.reg
        code.instruction(encoding, reg: reg, rm)
        if row.pointee.hasImmediate { code.byte(i.pointee.map) }
        if vvvvIsGPR, row.pointee.vvvv.writes {
            code.noteWrite(vvvvTemporary)
            writeBack(i.pointee.vvvv, vvvvTemporary)
        }
        if rmIsGPR, row.pointee.rm.writes { writeBack(i.pointee.rm, Host.address) }
        if regIsGPR, row.pointee.reg.writes { writeBack(i.pointee.reg, Host.spare) }
    }
}

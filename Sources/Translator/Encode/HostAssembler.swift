// Host machine code, byte by byte into a buffer that the caller has made large enough: prefixes, opcode, ModRM and
// SIB. Knows nothing of guests.

import CPrimitives

/// A general register of the host by its encoding. Those that generated code reserves have names for what they hold.
enum Host {
    static let rax: UInt8 = 0
    /// The vCPU's `tz_cpu`: RSP, which cannot be an index.
    static let state: UInt8 = 4
    /// Free between any two guest instructions: by convention the address, then the host pointer, of a memory operand.
    static let address: UInt8 = 15
    /// The second free register.
    static let spare: UInt8 = 13
    /// The guest's RSP.
    static let guestRSP: UInt8 = 11
}

/// A register or memory operand.
enum HostOperand {
    case register(UInt8)
    /// [base + displacement]
    case memory(UInt8, Int32)
    /// [base + index × 2^scale + displacement]
    case indexed(UInt8, UInt8, UInt8, Int32)
    /// [index × 2^scale + displacement]
    case scaled(UInt8, UInt8, Int32)
    /// [displacement], sign-extended
    case absolute(Int32)
}

/// What an instruction's encoding has beside its operands.
struct HostEncoding {
    var map: UInt8 = 0
    var opcode: UInt8
    var w = false
    var lock = false
    var operandSize = false
    /// F2 or F3, or 0.
    var repeatPrefix: UInt8 = 0
    /// A REX prefix stands there in any case: SPL, BPL, SIL and DIL are meant.
    var forcesREX = false
    /// VEX.vvvv, L and pp; nil without VEX.
    var vex: (vvvv: UInt8, l: Bool, pp: UInt8)?

    init(_ opcode: UInt8, map: UInt8 = 0, w: Bool = false) {
        self.opcode = opcode
        self.map = map
        self.w = w
    }
}

/// Writes host code.
struct HostAssembler {
    // SAFETY: the caller guarantees room for what is emitted (`BlockEncoder` bounds a block's size beforehand).
    private(set) var cursor: UnsafeMutablePointer<UInt8>
    /// The address register may have been written since this was last cleared.
    var hasTouchedAddress = false
    /// The guest registers, of those in memory, whose values the address register and the spare register have.
    private(set) var held: (inAddress: UInt8?, inSpare: UInt8?)

    init(at start: UnsafeMutablePointer<UInt8>) { cursor = start }

    // MARK: Temporaries

    /// A register may have been written.
    mutating func noteWrite(_ register: UInt8) {
        if register == Host.address {
            hasTouchedAddress = true
            held.inAddress = nil
        } else if register == Host.spare {
            held.inSpare = nil
        }
    }

    /// Code comes together here, or a gate has been called: temporaries have nobody knows what.
    mutating func forgetHeld() { held = (nil, nil) }

    /// A temporary has the value that a guest register has in memory, and no other has it unless that has just been copied.
    mutating func note(_ temporary: UInt8, holds guest: UInt8) {
        if held.inAddress == guest { held.inAddress = nil }
        if held.inSpare == guest { held.inSpare = nil }
        if temporary == Host.address { held.inAddress = guest } else { held.inSpare = guest }
    }

    /// The temporary that has a guest register's value.
    func holder(of guest: UInt8) -> UInt8? {
        held.inAddress == guest ? Host.address : held.inSpare == guest ? Host.spare : nil
    }

    // MARK: Bytes

    @inline(__always) mutating func byte(_ value: UInt8) {
        cursor.pointee = value
        cursor += 1
    }

    @inline(__always) mutating func bytes(_ values: UInt8...) { for value in values { byte(value) } }

    @inline(__always) mutating func int32(_ value: Int32) {
        UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: Int32.self)
        cursor += 4
    }

    @inline(__always) mutating func int64(_ value: UInt64) {
        UnsafeMutableRawPointer(cursor).storeBytes(of: value, as: UInt64.self)
        cursor += 8
    }

    // MARK: Instructions

    /// An instruction with ModRM: `reg` is a register or an opcode extension. The immediate is the caller's.
    mutating func instruction(_ e: HostEncoding, reg: UInt8, _ rm: HostOperand) {
        noteWrite(reg)
        var x: UInt8 = 0
        var b: UInt8 = 0
        switch rm {
        case .register(let register):
            b = register >> 3
            noteWrite(register)
        case .memory(let base, _): b = base >> 3
        case .indexed(let base, let index, _, _):
            b = base >> 3
            x = index >> 3
        case .scaled(let index, _, _): x = index >> 3
        case .absolute: break
        }
        if let vex = e.vex {
            byte(0xc4)
            byte((reg & 8 != 0 ? 0 : 0x80) | (x != 0 ? 0 : 0x40) | (b != 0 ? 0 : 0x20) | e.map)
            byte((e.w ? 0x80 : 0) | (~vex.vvvv & 15) << 3 | (vex.l ? 4 : 0) | vex.pp)
        } else {
            if e.lock { byte(0xf0) }
            if e.operandSize { byte(0x66) }
            if e.repeatPrefix != 0 { byte(e.repeatPrefix) }
            let rex = (e.w ? 8 : 0) | (reg & 8) >> 1 | x << 1 | b
            if rex != 0 || e.forcesREX { byte(0x40 | rex) }
            escape(e.map)
        }
        byte(e.opcode)
        operand(reg & 7, rm)
    }

    private mutating func escape(_ map: UInt8) {
        if map > 0 { byte(0x0f) }
        if map == 2 { byte(0x38) }
        if map == 3 { byte(0x3a) }
    }

    private mutating func operand(_ reg: UInt8, _ rm: HostOperand) {
        let reg = reg << 3
        switch rm {
        case .register(let register): byte(0xc0 | reg | register & 7)
        case .memory(let base, let displacement):
            let short = Int32(Int8(truncatingIfNeeded: displacement)) == displacement
            let mod: UInt8 = displacement == 0 && base & 7 != 5 ? 0 : short ? 0x40 : 0x80
            byte(mod | reg | base & 7)
            if base & 7 == 4 { byte(0x24) }
            self.displacement(mod, displacement)
        case .indexed(let base, let index, let scale, let displacement):
            let short = Int32(Int8(truncatingIfNeeded: displacement)) == displacement
            let mod: UInt8 = displacement == 0 && base & 7 != 5 ? 0 : short ? 0x40 : 0x80
            byte(mod | reg | 4)
            byte(scale << 6 | (index & 7) << 3 | base & 7)
            self.displacement(mod, displacement)
        case .scaled(let index, let scale, let displacement):
            byte(reg | 4)
            byte(scale << 6 | (index & 7) << 3 | 5)
            int32(displacement)
        case .absolute(let displacement):
            byte(reg | 4)
            byte(0x25)
            int32(displacement)
        }
    }

    private mutating func displacement(_ mod: UInt8, _ value: Int32) {
        if mod == 0x40 { byte(UInt8(truncatingIfNeeded: value)) } else if mod == 0x80 { int32(value) }
    }

    // MARK: What generated code is made of

    /// mov to, from (64 bits)
    mutating func move(_ to: UInt8, _ from: UInt8) {
        instruction(HostEncoding(0x8b, w: true), reg: to, .register(from))
    }

    /// mov to, operand (64 bits)
    mutating func load(_ to: UInt8, _ from: HostOperand) { instruction(HostEncoding(0x8b, w: true), reg: to, from) }

    /// mov operand, from (64 bits)
    mutating func store(_ from: UInt8, _ to: HostOperand) { instruction(HostEncoding(0x89, w: true), reg: from, to) }

    /// mov operand, from (16 bits)
    mutating func store16(_ from: UInt8, _ to: HostOperand) {
        var encoding = HostEncoding(0x89)
        encoding.operandSize = true
        instruction(encoding, reg: from, to)
    }

    /// mov to, operand, zero-extended from so many bytes (2, 4 or 8)
    mutating func load(_ to: UInt8, _ from: HostOperand, width: UInt8) {
        instruction(width == 2 ? HostEncoding(0xb7, map: 1) : HostEncoding(0x8b, w: width == 8), reg: to, from)
    }

    /// mov operand, from (so many bytes: 2, 4 or 8)
    mutating func store(_ from: UInt8, _ to: HostOperand, width: UInt8) {
        var encoding = HostEncoding(0x89, w: width == 8)
        encoding.operandSize = width == 2
        instruction(encoding, reg: from, to)
    }

    /// mov operand, value (sign-extended to 64 bits)
    mutating func store(immediate value: Int32, _ to: HostOperand) {
        instruction(HostEncoding(0xc7, w: true), reg: 0, to)
        int32(value)
    }

    /// mov operand, value (32 bits)
    mutating func store32(immediate value: UInt32, _ to: HostOperand) {
        instruction(HostEncoding(0xc7), reg: 0, to)
        int32(Int32(bitPattern: value))
    }

    /// lea to, operand
    mutating func lea(_ to: UInt8, _ operand: HostOperand, wide: Bool = true) {
        instruction(HostEncoding(0x8d, w: wide), reg: to, operand)
    }

    /// mov register, value (zero-extended)
    mutating func move32(_ to: UInt8, immediate value: UInt32) {
        noteWrite(to)
        if to & 8 != 0 { byte(0x41) }
        byte(0xb8 | to & 7)
        int32(Int32(bitPattern: value))
    }

    /// mov register, value, in the shortest form
    mutating func move(_ to: UInt8, immediate value: UInt64) {
        if value >> 32 == 0 { return move32(to, immediate: UInt32(value)) }
        if Int64(Int32(truncatingIfNeeded: value)) == Int64(bitPattern: value) {
            instruction(HostEncoding(0xc7, w: true), reg: 0, .register(to))
            return int32(Int32(truncatingIfNeeded: value))
        }
        noteWrite(to)
        byte(0x48 | to >> 3)
        byte(0xb8 | to & 7)
        int64(value)
    }

    /// A 32-bit or 64-bit operation of the 81/83 group with an immediate: 0 ADD, 1 OR, 4 AND, 5 SUB, 6 XOR, 7 CMP.
    mutating func arithmetic(_ extension: UInt8, _ rm: HostOperand, _ value: Int32, wide: Bool = true) {
        let short = Int32(Int8(truncatingIfNeeded: value)) == value
        instruction(HostEncoding(short ? 0x83 : 0x81, w: wide), reg: `extension`, rm)
        if short { byte(UInt8(truncatingIfNeeded: value)) } else { int32(value) }
    }

    /// jmp rel32; returns where the displacement is, to be patched.
    mutating func jump() -> UnsafeMutablePointer<UInt8> {
        byte(0xe9)
        int32(0)
        return cursor - 4
    }

    /// jcc rel32
    mutating func jump(if condition: UInt8) -> UnsafeMutablePointer<UInt8> {
        byte(0x0f)
        byte(0x80 | condition)
        int32(0)
        return cursor - 4
    }

    /// jrcxz rel8; returns where the displacement is.
    mutating func jumpIfZeroRCX() -> UnsafeMutablePointer<UInt8> {
        bytes(0xe3, 0)
        return cursor - 1
    }

    /// jmp rel8
    mutating func shortJump() -> UnsafeMutablePointer<UInt8> {
        bytes(0xeb, 0)
        return cursor - 1
    }

    /// Makes a jump with a displacement of one byte lead here, less than 128 bytes away.
    mutating func landShort(_ displacement: UnsafeMutablePointer<UInt8>) {
        forgetHeld()
        displacement.pointee = UInt8(truncatingIfNeeded: cursor - displacement - 1)
    }

    /// Makes a jump whose displacement is at `displacement` lead here.
    mutating func land(_ displacement: UnsafeMutablePointer<UInt8>) {
        forgetHeld()
        Self.patch(displacement, to: cursor)
    }

    /// Makes a jump lead to `target`, with one aligned or unaligned store of four bytes.
    static func patch(_ displacement: UnsafeMutablePointer<UInt8>, to target: UnsafePointer<UInt8>) {
        let distance = Int32(truncatingIfNeeded: target - UnsafePointer(displacement) - 4)
        UnsafeMutableRawPointer(displacement).storeBytes(of: distance, as: Int32.self)
    }

    /// jmp or call to an address within reach of the code being written.
    mutating func jump(to target: UnsafePointer<UInt8>) { Self.patch(jump(), to: target) }

    mutating func call(_ target: UnsafePointer<UInt8>) {
        byte(0xe8)
        int32(0)
        Self.patch(cursor - 4, to: target)
    }

    // MARK: Flags

    /// lahf; seto al
    mutating func flagsIntoAX() { bytes(0x9f, 0x0f, 0x90, 0xc0) }
    /// add al, 127; sahf
    mutating func flagsFromAX() { bytes(0x04, 0x7f, 0x9e) }
}

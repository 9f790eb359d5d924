// Random loops of 32- and 16-bit code for comparing engines: all addressing forms, operand and address sizes, segment
// overrides, and instructions whose encodings are not those of 64-bit mode.

import TestSupport

/// Makes streams from a seed.
struct LegacyStreamGenerator {
    private var random: SplitMix64
    private var code: [UInt8] = []
    private let mode: StreamMode
    /// RIP at the first byte.
    private let origin: UInt64
    /// Prefixes of the instruction at hand change the sizes from those of the code.
    private var operandPrefix = false
    private var addressPrefix = false

    /// EBX, ESI and EDI point into memory and are hardly written; EBP counts.
    private static let pointers: [UInt8] = [3, 6, 7]
    private static let written: [UInt8] = [0, 1, 2]

    init(seed: UInt64, _ mode: StreamMode, at origin: UInt64) {
        random = SplitMix64(seed: seed)
        self.mode = mode
        self.origin = origin
    }

    private var operandWidth: Int { (mode.width == 4) != operandPrefix ? 4 : 2 }
    private var addressWidth: Int { (mode.width == 4) != addressPrefix ? 4 : 2 }

    /// A loop that ends with HLT, and the registers that it starts from.
    mutating func next() -> Stream {
        code = []
        for _ in 0..<random.below(24) + 4 { emitInstruction() }
        // dec ebp (or bp); jnz back; hlt
        code.append(0x4d)
        code += [0x0f, 0x85]
        let distance = Int32(-(code.count + mode.width))
        append(UInt64(bitPattern: Int64(distance)), mode.width)
        code.append(0xf4)
        var registers = (0..<8).map { _ in random.value() & (mode.width == 2 ? 0xffff : 0xffff_ffff) }
        if mode.width == 2, random.below(4) == 0 { registers[0] |= 0x1234_0000 }
        for pointer in Self.pointers {
            registers[Int(pointer)] = mode.data + 0x1000 * UInt64(random.below(8)) + 0x800
        }
        if random.below(8) == 0 { registers[7] = Self.wild[random.below(Self.wild.count)] }
        registers[4] = mode.stack
        registers[5] = UInt64(random.below(4)) + 1
        return Stream(
            code: code, registers: registers + Array(repeating: 0, count: 8), flags: random.value() & 0x8d5 | 2)
    }

    /// No memory, unmapped, about to wrap.
    private static let wild: [UInt64] = [0x3000_0000, 0x5000_0000, 0xffff_fff8, 0xfffc, 0, 0xffff_ffff]

    private mutating func append(_ value: UInt64, _ size: Int) {
        code += (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    private mutating func immediate(_ size: Int) { append(random.value(), size) }

    // MARK: Instructions

    private mutating func emitInstruction() {
        prefixes()
        switch random.below(28) {
        case 0...5: arithmetic()
        case 6...8: move()
        case 9: absolute()
        case 10: shift()
        case 11: unary()
        case 12, 13: stack()
        case 14: twoBytes()
        case 15: conditional()
        case 16: implicit()
        case 17: segment()
        case 18, 19: transfer()
        case 20: jump()
        case 21: x87()
        case 22: vector()
        case 23: exchange()
        case 24: string()
        case 25: framePointer()
        default: derivedPointer()
        }
    }

    private mutating func prefixes() {
        operandPrefix = random.below(5) == 0
        addressPrefix = random.below(10) == 0
    }

    /// The prefixes of the instruction at hand, in one of their orders.
    private mutating func emitPrefixes(segment: Bool = true, lock: Bool = false) {
        if operandPrefix { code.append(0x66) }
        if segment, random.below(4) == 0 { code.append([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65][random.below(6)]) }
        if addressPrefix { code.append(0x67) }
        if lock { code.append(0xf0) }
    }

    /// An instruction with ModRM. `reg` is a register or an extension.
    private mutating func operands(
        _ opcode: [UInt8], reg: UInt8, memory: Bool? = nil, writesRM: Bool = true, prefix: [UInt8] = [],
        lock: Bool = false
    ) {
        let inMemory = memory ?? (random.below(2) == 0)
        emitPrefixes(segment: inMemory, lock: lock && inMemory)
        code += prefix + opcode
        guard inMemory else {
            return code.append(0xc0 | reg << 3 | (writesRM ? Self.written[random.below(3)] : UInt8(random.below(8))))
        }
        if addressWidth == 4 { memory32(reg) } else { memory16(reg) }
    }

    /// Mostly near the middle of a page, sometimes across its end.
    private mutating func displacement() -> Int32 {
        random.below(4) == 0 ? Int32(0x7f8 + random.below(12)) : Int32(random.below(512)) - 256
    }

    private mutating func memory32(_ reg: UInt8) {
        let pointer = Self.pointers[random.below(3)]
        switch random.below(8) {
        case 0:
            code.append(reg << 3 | 5)
            append(mode.data + UInt64(random.below(0x4000)), 4)
        case 1:
            // [ESP + disp8]
            code += [0x44 | reg << 3, 0x24, UInt8(random.below(64))]
        case 2:
            // Base and index, which is wild but for where it counts.
            let index: UInt8 = random.below(4) == 0 ? 1 : 5
            code += [0x84 | reg << 3, UInt8(random.below(4)) << 6 | index << 3 | pointer]
            append(UInt64(bitPattern: Int64(displacement())), 4)
        case 3, 4: code += [0x40 | reg << 3 | pointer, UInt8(random.below(256))]
        default:
            code.append(0x80 | reg << 3 | pointer)
            append(UInt64(bitPattern: Int64(displacement())), 4)
        }
    }

    private mutating func memory16(_ reg: UInt8) {
        switch random.below(4) {
        case 0:
            code.append(reg << 3 | 6)
            append(0x1000 + UInt64(random.below(0x4000)), 2)
        case 1: code += [0x40 | reg << 3 | UInt8(random.below(8)), UInt8(random.below(256))]
        default:
            // [SI], [DI], [BX] and a displacement
            code.append(0x80 | reg << 3 | [4, 5, 7][random.below(3)])
            append(UInt64(bitPattern: Int64(displacement())), 2)
        }
    }

    private mutating func target() -> UInt8 { Self.written[random.below(3)] }
    private mutating func anyRegister() -> UInt8 { UInt8(random.below(8)) }
    /// AL, CL, DL, AH, CH or DH
    private mutating func byteTarget() -> UInt8 { [0, 1, 2, 4, 5, 6][random.below(6)] }

    private mutating func arithmetic() {
        let operation = UInt8(random.below(8))
        let byte: UInt8 = random.below(3) == 0 ? 0 : 1
        let size = byte == 0 ? 1 : operandWidth
        switch random.below(6) {
        case 0: operands([operation << 3 | byte], reg: anyRegister(), lock: operation != 7 && random.below(4) == 0)
        case 1:
            let reg = operation == 7 ? anyRegister() : byte == 0 ? byteTarget() : target()
            operands([operation << 3 | 2 | byte], reg: reg, writesRM: false)
        case 2:
            emitPrefixes(segment: false)
            code.append(operation << 3 | 4 | byte)
            immediate(size)
        case 3:
            operands([byte == 0 ? [0x80, 0x82][random.below(2)] : 0x81], reg: operation)
            immediate(size)
        case 4:
            operands([0x83], reg: operation)
            immediate(1)
        default: operands([0x84 | byte], reg: anyRegister(), writesRM: false)
        }
    }

    private mutating func move() {
        let byte: UInt8 = random.below(3) == 0 ? 0 : 1
        switch random.below(6) {
        case 0: operands([0x88 | byte], reg: anyRegister())
        case 1: operands([0x8a | byte], reg: byte == 0 ? byteTarget() : target(), writesRM: false)
        case 2:
            operands([0xc6 | byte], reg: 0)
            immediate(byte == 0 ? 1 : operandWidth)
        case 3: operands([0x8d], reg: target(), memory: true)
        case 4:
            emitPrefixes(segment: false)
            code.append(byte == 0 ? 0xb0 | byteTarget() : 0xb8 | target())
            immediate(byte == 0 ? 1 : operandWidth)
        default: operands([0x0f, [0xb6, 0xb7, 0xbe, 0xbf][random.below(4)]], reg: target(), writesRM: false)
        }
    }

    /// A0 to A3
    private mutating func absolute() {
        emitPrefixes()
        code.append(0xa0 | UInt8(random.below(4)))
        let base = addressWidth == 4 ? mode.data : 0x1000
        append(base + UInt64(random.below(0x4000)), addressWidth)
    }

    private mutating func shift() {
        let byte: UInt8 = random.below(3) == 0 ? 0 : 1
        let operation = [0, 1, 2, 3, 4, 5, 7][random.below(7)] as UInt8
        switch random.below(3) {
        case 0:
            operands([0xc0 | byte], reg: operation)
            immediate(1)
        case 1: operands([0xd0 | byte], reg: operation)
        default: operands([0xd2 | byte], reg: operation)
        }
    }

    private mutating func unary() {
        let byte: UInt8 = random.below(3) == 0 ? 0 : 1
        switch random.below(4) {
        case 0: operands([0xfe | byte], reg: UInt8(random.below(2)))
        case 1: operands([0xf6 | byte], reg: UInt8(random.below(2)) + 2)
        case 2:
            // INC and DEC of one byte
            emitPrefixes(segment: false)
            code.append(0x40 | UInt8(random.below(2)) << 3 | target())
        default:
            operands(
                [0xf6 | byte], reg: random.below(16) == 0 ? 6 : UInt8(random.below(2)) + 4, writesRM: false)
        }
    }

    private mutating func stack() {
        switch random.below(6) {
        case 0, 1:
            emitPrefixes(segment: false)
            code.append(0x50 | anyRegister())
        case 2:
            emitPrefixes(segment: false)
            code.append(0x58 | target())
        case 3:
            emitPrefixes(segment: false)
            if random.below(2) == 0 {
                code.append(0x6a)
                immediate(1)
            } else {
                code.append(0x68)
                immediate(operandWidth)
            }
        case 4: operands([0xff], reg: 6, memory: true)
        default:
            // What the flags are becomes data.
            code += [0x9c, 0x58 | target()]
        }
    }

    private mutating func twoBytes() {
        switch random.below(8) {
        case 0: operands([0x0f, 0xaf], reg: target(), writesRM: false)
        case 1:
            operands([0x69], reg: target(), writesRM: false)
            immediate(operandWidth)
        case 2: operands([0x0f, 0xb8], reg: target(), writesRM: false, prefix: [0xf3])
        case 3: operands([0x0f, [0xbc, 0xbd][random.below(2)]], reg: target(), writesRM: false)
        case 4:
            operands([0x0f, [0xa4, 0xac][random.below(2)]], reg: anyRegister())
            immediate(1)
        case 5:
            operands([0x0f, 0xba], reg: UInt8(random.below(4)) + 4)
            immediate(1)
        case 6: operands([0x0f, [0xa3, 0xab, 0xb3, 0xbb][random.below(4)]], reg: anyRegister(), memory: false)
        default:
            operandPrefix = mode.width == 2
            emitPrefixes(segment: false)
            code += [0x0f, 0xc8 | target()]
        }
    }

    private mutating func conditional() {
        let condition = UInt8(random.below(16))
        if random.below(2) == 0 {
            operands([0x0f, 0x90 | condition], reg: 0)
        } else {
            operands([0x0f, 0x40 | condition], reg: target(), writesRM: false)
        }
    }

    private mutating func implicit() {
        emitPrefixes(segment: false)
        switch random.below(10) {
        case 0: code.append(0x98)
        case 1: code.append(0x99)
        case 2: code.append([0xf8, 0xf9, 0xf5][random.below(3)])
        case 3: code.append([0x9f, 0x9e][random.below(2)])
        // DAA, DAS, AAA, AAS, SALC
        case 4: code.append([0x27, 0x2f, 0x37, 0x3f, 0xd6][random.below(5)])
        case 5: code += [[0xd4, 0xd5][random.below(2)], 10]
        case 6: code.append(0x90 | target())
        case 7: code.append(0x60)
        case 8: code.append([0xfa, 0xfc][random.below(2)])
        default: code += [0x0f, 0xa2]
        }
    }

    /// Segment registers to registers and to one another: DS to ES and back, so that what was flat no longer is.
    private mutating func segment() {
        switch random.below(4) {
        case 0: operands([0x8c], reg: UInt8(random.below(6)), memory: false)
        // push; pop
        case 1: code += [[0x06, 0x0e, 0x16, 0x1e][random.below(4)], 0x07]
        case 2: code += [0x06, 0x1f]
        default: code += [0x0f, [0xa0, 0xa8][random.below(2)], 0x0f, [0xa1, 0xa9][random.below(2)]]
        }
    }

    /// Calls and returns, direct and indirect, of the code's width and sometimes of the other.
    private mutating func transfer() {
        addressPrefix = false
        if mode.width == 4 { operandPrefix = false }
        let start = code.count
        emitPrefixes(segment: false)
        let size = operandWidth
        switch random.below(4) {
        case 0:
            // call 1; jmp 2; 1: ret; 2:
            let isWide = operandPrefix
            code.append(0xe8)
            append(2, size)
            code += isWide ? [0xeb, 0x02, 0x66, 0xc3] : [0xeb, 0x01, 0xc3]
        case 1:
            // call 1; 1: pop
            code.append(0xe8)
            append(0, size)
            emitPrefixes(segment: false)
            code.append(0x58 | target())
        default:
            // mov eax, next; jmp eax, or call eax and pop
            let register = target()
            let isCall = random.below(2) == 0
            code.append(0xb8 | register)
            let length = code.count - start + size + (operandPrefix ? 3 : 2)
            append(origin + UInt64(start + length), size)
            emitPrefixes(segment: false)
            code += [0xff, (isCall ? 0xd0 : 0xe0) | register]
            guard isCall else { return }
            emitPrefixes(segment: false)
            code.append(0x58 | target())
        }
    }

    /// A short jump over nothing or a few bytes that are whole instructions.
    private mutating func jump() {
        let at = code.count
        code += [random.below(4) == 0 ? 0xe3 : 0x70 | UInt8(random.below(16)), 0]
        emitInstruction()
        let distance = code.count - at - 2
        if distance < 128 { code[at + 1] = UInt8(distance) } else { code.removeSubrange(at..<at + 2) }
    }

    private mutating func x87() {
        operandPrefix = false
        switch random.below(5) {
        case 0, 1: operands([UInt8(0xd8 + random.below(4) * 2)], reg: UInt8(random.below(8)), memory: true)
        case 2: operands([0xd9], reg: [0, 2, 3][random.below(3)], memory: true)
        case 3: code += [[0xd8, 0xdc, 0xde][random.below(3)], 0xc0 | UInt8(random.below(16))]
        default:
            code +=
                [[0xd9, 0xe8], [0xd9, 0xee], [0xd9, 0xe0], [0xdf, 0xe0], [0xdb, 0xe3], [0xd9, 0xc1]][random.below(6)]
        }
    }

    private mutating func vector() {
        operandPrefix = false
        let register = anyRegister()
        switch random.below(7) {
        case 0: operands([0x0f, 0x6f], reg: register, writesRM: false, prefix: [0xf3])
        case 1: operands([0x0f, 0x7f], reg: register, memory: true, prefix: [0xf3])
        case 2: operands([0x0f, 0xd4], reg: register, memory: false, prefix: [0x66])
        case 3: operands([0x0f, 0x58], reg: register, writesRM: false, prefix: [0xf2])
        case 4: operands([0x0f, 0x6f], reg: register, writesRM: false)
        case 5: operands([0x0f, 0x2a], reg: register, writesRM: false, prefix: [0xf2])
        // ANDN, BZHI, SHLX, PEXT, MULX, with bits that mean nothing outside 64-bit mode.
        default:
            guard mode.width == 4 else { return operands([0x0f, 0x28], reg: register, writesRM: false) }
            let (pp, opcode) = [(0, 0xf2), (0, 0xf5), (1, 0xf7), (2, 0xf5), (3, 0xf6)][random.below(5)]
            let vvvv = ~target() & 7 | (random.below(4) == 0 ? 0 : 8)
            code += [
                0xc4, 0xe2, (random.below(4) == 0 ? 0x80 : 0) | vvvv << 3 | UInt8(pp), UInt8(opcode),
                0xc0 | target() << 3 | anyRegister(),
            ]
        }
    }

    private mutating func exchange() {
        let byte: UInt8 = random.below(3) == 0 ? 0 : 1
        switch random.below(4) {
        case 0: operands([0x86 | byte], reg: byte == 0 ? byteTarget() : target())
        case 1: operands([0x0f, 0xc0 | byte], reg: byte == 0 ? byteTarget() : target(), lock: random.below(2) == 0)
        case 2: operands([0x0f, 0xb0 | byte], reg: anyRegister(), lock: random.below(2) == 0)
        default: operands([0x0f, 0xc7], reg: 1, memory: true, lock: random.below(2) == 0)
        }
    }

    /// MOVS, STOS, LODS; a few bytes.
    private mutating func string() {
        emitPrefixes()
        code.append([0xa4, 0xa5, 0xaa, 0xab, 0xac][random.below(5)])
    }

    /// push ebp; mov ebp, esp; an access through it; leave
    private mutating func framePointer() {
        operandPrefix = false
        addressPrefix = false
        code += [0x55, 0x89, 0xe5]
        // Not to where EBP is kept, which counts.
        let distance = UInt8(random.below(16))
        code += [[0x8b, 0x89, 0x03][random.below(3)], mode.width == 4 ? 0x45 : 0x46]
        code.append(random.below(2) == 0 ? 4 + distance : 0 &- 4 &- distance)
        code.append(0xc9)
    }

    /// A register that follows a pointer at a distance, and accesses through it.
    private mutating func derivedPointer() {
        operandPrefix = false
        addressPrefix = false
        // As EBX is: mov edx, ebx becomes push ebx; add or lea; accesses; pop ebx.
        code.append(0x53)
        for _ in 0..<random.below(4) + 1 {
            switch random.below(4) {
            case 0: code += [0x83, random.below(2) == 0 ? 0xc3 : 0xeb, UInt8(random.below(256))]
            case 1: code += [0x8d, mode.width == 4 ? 0x5b : 0x5f, UInt8(random.below(256))]
            default:
                code += [[0x8b, 0x89, 0x01, 0x33][random.below(4)], (mode.width == 4 ? 0x43 : 0x47) | target() << 3]
                code.append(UInt8(random.below(256)))
            }
        }
        code.append(0x5b)
    }
}

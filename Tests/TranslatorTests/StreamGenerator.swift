// Random loops of 64-bit code for comparing engines: instructions of every kind that the translator copies, and some that it
// does not, on registers and on memory around a few pointers that the code itself leaves alone.

import TestSupport

/// Makes streams from a seed.
struct StreamGenerator {
    var random: SplitMix64
    var code: [UInt8] = []
    /// What memory operands are based on instead of a pointer.
    private var derived: UInt8?

    /// Registers that point into memory and are never written: RBX, RSI, RDI and R9.
    private static let pointers: [UInt8] = [3, 6, 7, 9]
    /// The pointer that moves in loops that walk to the end of what is mapped.
    static let moving: UInt8 = 3
    /// RSP is the stack's; R14 counts.
    static let counter: UInt8 = 14
    private static let written: [UInt8] = [0, 1, 2, 5, 8, 10, 11, 12, 13, 15]

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    /// A loop that ends with HLT, and the registers that it starts from.
    mutating func next(data: UInt64, stack: UInt64) -> Stream {
        code = []
        let advances = random.below(2) == 0
        if advances { for _ in 0..<random.below(4) { emitAccess() } }
        for _ in 0..<random.below(24) + (advances ? 0 : 4) { emitInstruction() }
        let stride = advances ? emitAdvance() : 0
        if advances, random.below(2) == 0 {
            closeByFlags()
        } else {
            closeWithoutFlags()
        }
        var registers = (0..<16).map { _ in random.value() }
        for pointer in Self.pointers { registers[Int(pointer)] = data + 0x1000 * UInt64(random.below(8)) + 0x800 }
        if random.below(8) == 0 { registers[9] = Self.wild[random.below(Self.wild.count)] }
        if advances {
            // Its way ends in some round, at some access.
            let end = StreamMode.window + StreamMode.windowSize
            registers[Int(Self.moving)] = end - UInt64(stride * random.below(12)) - UInt64(random.below(0x300))
        }
        registers[4] = stack
        registers[Int(Self.counter)] = UInt64(random.below(advances ? 12 : 5)) + 1
        return Stream(code: code, registers: registers, flags: random.value() & 0x8d5 | 2)
    }

    /// Ends the loop without touching flags.
    private mutating func closeWithoutFlags() {
        // lea r14, [r14 - 1]; xchg r14, rcx; jrcxz + 5; xchg; jmp back; xchg; hlt: no flag is touched.
        code += [0x4d, 0x8d, 0x76, 0xff, 0x49, 0x87, 0xce, 0xe3, 0x08, 0x49, 0x87, 0xce, 0xe9]
        let distance = Int32(-(code.count + 4))
        code += (0..<4).map { UInt8(truncatingIfNeeded: distance >> Int32(8 * $0)) }
        code += [0x49, 0x87, 0xce, 0xf4]
    }

    /// No memory, unmapped, not canonical, about to wrap.
    private static let wild: [UInt64] = [0x3000_0000, 0x5000_0000, 0x8000_0000_0000, 0xffff_ffff_ffff_fff8, 0]

    // MARK: Instructions

    mutating func emitInstruction() {
        switch random.below(25) {
        case 0...6: arithmetic()
        case 7, 8: move()
        case 9: shift()
        case 10: unary()
        case 11: extended()
        case 12: conditional()
        case 13: stack()
        case 14: bitOperation()
        case 15: exchange()
        case 16: vector()
        case 17: jump()
        case 18: showFlags()
        case 19: x87()
        case 20: mmx()
        case 21, 22: derivedPointer()
        case 23: if random.below(4) == 0 { codeWrite() } else { emitAccess() }
        default: bits()
        }
    }

    /// Prefixes, opcode, ModRM. `reg` is an operand to write or an extension.
    mutating func operands(
        _ opcode: [UInt8], reg: UInt8, width: Int, prefix: [UInt8] = [], memory: Bool? = nil, destination: Bool = true,
        lock: Bool = false
    ) {
        let inMemory = memory ?? (random.below(2) == 0)
        var rex: UInt8 = width == 8 ? 8 : 0
        rex |= (reg & 8) >> 1
        var tail: [UInt8] = []
        if inMemory {
            let base = derived ?? Self.pointers[random.below(4)]
            rex |= base >> 3
            // Mostly near the middle of a page, sometimes across its end.
            let displacement = random.below(4) == 0 ? Int32(0x7f8 + random.below(12)) : Int32(random.below(512)) - 256
            if random.below(4) == 0 {
                // A SIB byte without index.
                tail = [0x84 | (reg & 7) << 3, 0x20 | base & 7]
            } else {
                tail = [0x80 | (reg & 7) << 3 | base & 7]
            }
            tail += (0..<4).map { UInt8(truncatingIfNeeded: displacement >> Int32(8 * $0)) }
        } else {
            let rm = destination ? Self.written[random.below(10)] : UInt8(random.below(16))
            rex |= rm >> 3
            tail = [0xc0 | (reg & 7) << 3 | rm & 7]
        }
        if lock, inMemory { code.append(0xf0) }
        if width == 2 { code.append(0x66) }
        code += prefix
        if rex != 0 || width == 1 { code.append(0x40 | rex) }
        code += opcode + tail
    }

    /// A register that follows a pointer at a distance: accesses through it, and moves of it between them.
    private mutating func derivedPointer() {
        let register: UInt8 = [0, 1, 2, 5, 8, 10, 11, 13, 15][random.below(9)]
        let pointer = Self.pointers[random.below(4)]
        let rex = 0x48 | (register & 8) >> 1 | pointer >> 3
        if random.below(3) == 0 {
            code += [rex, 0x8b, 0xc0 | (register & 7) << 3 | pointer & 7]  // mov register, pointer
        } else {
            code += [rex, 0x8d, 0x40 | (register & 7) << 3 | pointer & 7, UInt8(random.below(256))]  // lea
        }
        derived = register
        defer { derived = nil }
        for _ in 0..<random.below(4) + 1 {
            switch random.below(4) {
            case 0:
                // add or sub register, imm8
                code += [0x48 | register >> 3, 0x83, (random.below(2) == 0 ? 0xc0 : 0xe8) | register & 7]
                code.append(UInt8(random.below(256)))
            case 1:
                operands([0x8b], reg: 12, width: wideWidth(), memory: true)
            case 2: operands([0x89], reg: anyRegister(), width: wideWidth(), memory: true)
            default: operands([UInt8(random.below(8)) << 3 | 1], reg: anyRegister(), width: wideWidth(), memory: true)
            }
        }
    }

    mutating func width() -> Int { [1, 2, 4, 4, 8, 8][random.below(6)] }
    mutating func wideWidth() -> Int { [2, 4, 8][random.below(3)] }
    mutating func target() -> UInt8 { Self.written[random.below(10)] }
    mutating func anyRegister() -> UInt8 { UInt8(random.below(16)) }

    private mutating func immediate(_ size: Int) {
        let value = random.value()
        code += (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    private mutating func arithmetic() {
        let operation = UInt8(random.below(8))
        let width = width()
        let byte: UInt8 = width == 1 ? 0 : 1
        switch random.below(4) {
        case 0:
            operands(
                [operation << 3 | byte], reg: anyRegister(), width: width, lock: operation != 7 && random.below(4) == 0)
        case 1:
            operands(
                [operation << 3 | 2 | byte], reg: operation == 7 ? anyRegister() : target(), width: width,
                destination: false)
        case 2:
            operands([width == 1 ? 0x80 : 0x81], reg: operation, width: width)
            immediate(min(width, 4))
        default:
            operands([width == 1 ? 0x80 : 0x83], reg: operation, width: width)
            immediate(1)
        }
        if random.below(8) == 0 {
            operands([width == 1 ? 0x84 : 0x85], reg: anyRegister(), width: width, destination: false)
        }
    }

    private mutating func move() {
        let width = width()
        switch random.below(5) {
        case 0: operands([width == 1 ? 0x88 : 0x89], reg: anyRegister(), width: width)
        case 1: operands([width == 1 ? 0x8a : 0x8b], reg: target(), width: width, destination: false)
        case 2:
            operands([width == 1 ? 0xc6 : 0xc7], reg: 0, width: width)
            immediate(min(width, 4))
        case 3: operands([0x8d], reg: target(), width: wideWidth(), memory: true)
        default:
            operands(
                [0x0f, [0xb6, 0xb7, 0xbe, 0xbf][random.below(4)]], reg: target(), width: wideWidth(), destination: false
            )
        }
    }

    private mutating func shift() {
        let width = width()
        let byte: UInt8 = width == 1 ? 0 : 1
        let operation = [0, 1, 2, 3, 4, 5, 7][random.below(7)] as UInt8
        switch random.below(3) {
        case 0:
            operands([0xc0 | byte], reg: operation, width: width)
            immediate(1)
        case 1: operands([0xd0 | byte], reg: operation, width: width)
        default: operands([0xd2 | byte], reg: operation, width: width)
        }
    }

    private mutating func unary() {
        let width = width()
        let byte: UInt8 = width == 1 ? 0 : 1
        switch random.below(3) {
        case 0: operands([0xfe | byte], reg: UInt8(random.below(2)), width: width)
        case 1: operands([0xf6 | byte], reg: UInt8(random.below(2)) + 2, width: width)
        // MUL and IMUL write RDX:RAX; division mostly faults.
        default:
            operands(
                [0xf6 | byte], reg: random.below(16) == 0 ? 6 : UInt8(random.below(2)) + 4, width: width,
                destination: false)
        }
    }

    private mutating func extended() {
        let width = wideWidth()
        switch random.below(6) {
        case 0: operands([0x0f, 0xaf], reg: target(), width: width, destination: false)
        case 1:
            operands([0x6b], reg: target(), width: width, destination: false)
            immediate(1)
        case 2: operands([0x0f, 0xb8], reg: target(), width: width, prefix: [0xf3], destination: false)
        case 3: operands([0x0f, [0xbc, 0xbd][random.below(2)]], reg: target(), width: width, destination: false)
        case 4:
            operands(
                [0x0f, [0xbc, 0xbd][random.below(2)]], reg: target(), width: width, prefix: [0xf3], destination: false)
        default:
            operands([0x0f, [0xa4, 0xac][random.below(2)]], reg: anyRegister(), width: width)
            immediate(1)
        }
    }

    private mutating func conditional() {
        let condition = UInt8(random.below(16))
        if random.below(2) == 0 {
            operands([0x0f, 0x90 | condition], reg: 0, width: 1)
        } else {
            operands([0x0f, 0x40 | condition], reg: target(), width: wideWidth(), destination: false)
        }
    }

    private mutating func stack() {
        switch random.below(5) {
        case 4:
            // add rsp, 8 to 32 or sub rsp, 8 to 32: flags that follow from a pointer which moves on.
            code += [0x48, 0x83, random.below(2) == 0 ? 0xc4 : 0xec, UInt8(8 + 8 * random.below(4))]
            for _ in 0..<random.below(3) { stack() }
        case 0:
            let register = anyRegister()
            if register >= 8 { code.append(0x41) }
            code.append(0x50 | register & 7)
        case 1:
            let register = target()
            if register >= 8 { code.append(0x41) }
            code.append(0x58 | register & 7)
        case 2:
            code.append(0x6a)
            immediate(1)
        default: operands([0xff], reg: 6, width: 4, memory: true)
        }
    }

    private mutating func bitOperation() {
        if random.below(2) == 0 {
            operands([0x0f, 0xba], reg: UInt8(random.below(4)) + 4, width: wideWidth())
            immediate(1)
        } else {
            operands(
                [0x0f, [0xa3, 0xab, 0xb3, 0xbb][random.below(4)]], reg: anyRegister(), width: wideWidth(), memory: false
            )
        }
    }

    private mutating func exchange() {
        let width = width()
        let byte: UInt8 = width == 1 ? 0 : 1
        switch random.below(3) {
        case 0: operands([0x86 | byte], reg: target(), width: width)
        case 1: operands([0x0f, 0xc0 | byte], reg: target(), width: width, lock: random.below(2) == 0)
        default: operands([0x0f, 0xb0 | byte], reg: anyRegister(), width: width, lock: random.below(2) == 0)
        }
    }

    /// SSE2: moves, additions, comparisons that set flags, conversions.
    private mutating func vector() {
        let register = anyRegister()
        switch random.below(9) {
        case 7: gather()
        case 0: operands([0x0f, 0x6f], reg: register, width: 4, prefix: [0xf3], destination: false)
        case 1: operands([0x0f, 0x7f], reg: register, width: 4, prefix: [0xf3], memory: true)
        case 2: operands([0x0f, 0xd4], reg: register, width: 4, prefix: [0x66], memory: false)
        case 3: operands([0x0f, 0x58], reg: register, width: 4, prefix: [0xf2], destination: false)
        case 4: operands([0x0f, 0x2e], reg: register, width: 4, prefix: [0x66], memory: false)
        case 5: operands([0x0f, 0x2a], reg: register, width: 8, prefix: [0xf2], destination: false)
        // Aligned: faults when it is not.
        case 6: operands([0x0f, 0x29], reg: register, width: 4, memory: true)
        default: operands([0x0f, 0x28], reg: register, width: 4, destination: false)
        }
    }

    /// VGATHER or VPGATHER of any shape, mostly by indices that lead to what is mapped.
    private mutating func gather() {
        let (destination, index) = (anyRegister(), anyRegister())
        let mask = anyRegister()
        let isLong = random.below(2) == 0
        let hasWideIndices = random.below(2) == 0
        func vex(_ map: UInt8, reg: UInt8, x: UInt8 = 0, rm: UInt8, w: Bool = false, vvvv: UInt8, pp: UInt8) -> [UInt8]
        {
            [
                0xc4, (reg < 8 ? 0x80 : 0) | (x < 8 ? 0x40 : 0) | (rm < 8 ? 0x20 : 0) | map,
                (w ? 0x80 : 0) | (~vvvv & 15) << 3 | (isLong ? 4 : 0) | pp,
            ]
        }
        if random.below(8) != 0 {
            // vpsrld or vpsrlq index, index, imm8
            code += vex(1, reg: 2, rm: index, vvvv: index, pp: 1)
            code += [hasWideIndices ? 0x73 : 0x72, 0xd0 | index & 7]
            code.append(UInt8((hasWideIndices ? 52 : 20) + random.below(12)))
        }
        if random.below(2) == 0 {
            // vpcmpeqd mask, mask, mask
            code += vex(1, reg: mask, rm: mask, vvvv: mask, pp: 1)
            code += [0x76, 0xc0 | (mask & 7) << 3 | mask & 7]
        }
        let base = Self.pointers[random.below(4)]
        code += vex(2, reg: destination, x: index, rm: base, w: random.below(2) == 0, vvvv: mask, pp: 1)
        code += [
            0x90 | UInt8(random.below(2) << 1) | (hasWideIndices ? 1 : 0), 0x44 | (destination & 7) << 3,
            UInt8(random.below(2)) << 6 | (index & 7) << 3 | base & 7, UInt8(random.below(256)),
        ]
    }

    /// Arithmetic, comparisons and moves on the x87 stack and on memory; control and status words, so that exceptions
    /// come unmasked; what the x87 state says of its last instruction becomes data.
    private mutating func x87() {
        switch random.below(9) {
        case 0...2: operands([UInt8(0xd8 + random.below(4) * 2)], reg: UInt8(random.below(8)), width: 4, memory: true)
        case 3:
            let (opcode, extensions) = [
                (0xd9, [0, 2, 3]), (0xdb, [0, 1, 2, 3, 5, 7]), (0xdd, [0, 1, 2, 3]), (0xdf, [0, 1, 2, 3, 5, 7]),
            ][
                random.below(4)]
            operands(
                [UInt8(opcode)], reg: UInt8(extensions[random.below(extensions.count)]), width: 4, memory: true)
        case 4:
            code += [[0xd8, 0xdc, 0xde][random.below(3)], 0xc0 | UInt8(random.below(2)) << 3 | UInt8(random.below(8))]
        case 5: code += [[0xd9, 0xdd][random.below(2)], 0xc0 | UInt8(random.below(8))]
        case 6:
            code +=
                [
                    [0xd9, 0xe0], [0xd9, 0xe1], [0xd9, 0xe5], [0xd9, 0xe8], [0xd9, 0xeb], [0xd9, 0xee], [0xd9, 0xfa],
                    [0xd9, 0xfc],
                    [0xdb, 0xf1], [0xdf, 0xe9], [0xda, 0xc1],
                ][random.below(11)]
        case 7:
            switch random.below(16) {
            case 0: operands([0xd9], reg: 5, width: 4, memory: true)
            case 1: operands([0xdd], reg: 7, width: 4, memory: true)
            case 2: operands([0xd9], reg: 6, width: 4, memory: true)
            case 3: operands([0x0f, 0xae], reg: 0, width: 8, memory: true)
            case 4: code.append(0x9b)
            case 5: code += [[0xdb, 0xe2], [0xdb, 0xe3]][random.below(2)]
            case 6...10: operands([0xd9], reg: 7, width: 4, memory: true)
            default: code += [0xdf, 0xe0]
            }
        default: code += [0xd9, [0xf0, 0xf3, 0xf4, 0xf6, 0xf7, 0xf8, 0xfd, 0xfe][random.below(8)]]
        }
    }

    /// MMX on registers and memory, and EMMS.
    private mutating func mmx() {
        let register = UInt8(random.below(8))
        switch random.below(8) {
        case 0: operands([0x0f, 0x6f], reg: register, width: 4, destination: false)
        case 1: operands([0x0f, 0x7f], reg: register, width: 4)
        case 2: operands([0x0f, 0x6e], reg: register, width: wideMMX(), destination: false)
        case 3: operands([0x0f, 0x7e], reg: register, width: wideMMX())
        case 4, 5:
            operands(
                [0x0f, [0xfc, 0xfd, 0xfe, 0xd4, 0xef, 0xdb, 0xf5, 0x75][random.below(8)]], reg: register, width: 4,
                destination: false)
        case 6: operands([0x0f, 0x2d], reg: register, width: 4, destination: false)
        default: code += [0x0f, 0x77]
        }
    }

    private mutating func wideMMX() -> Int { [4, 8][random.below(2)] }

    /// A short jump over nothing or a few bytes that are whole instructions.
    private mutating func jump() {
        let at = code.count
        code += [0x70 | UInt8(random.below(16)), 0]
        emitInstruction()
        let distance = code.count - at - 2
        if distance < 128 { code[at + 1] = UInt8(distance) } else { code.removeSubrange(at..<at + 2) }
    }

    /// PUSHFQ; POP of a register: what the flags are becomes data.
    private mutating func showFlags() {
        let register = target()
        code.append(0x9c)
        if register >= 8 { code.append(0x41) }
        code.append(0x58 | register & 7)
    }

    /// Without operands, or of the BMI sets.
    private mutating func bits() {
        switch random.below(8) {
        case 0: code.append(0x98)
        case 1: code += [0x48, 0x99]
        case 2: code.append([0xf8, 0xf9, 0xf5][random.below(3)])
        case 3: code.append([0x9f, 0x9e][random.below(2)])
        case 4:
            let register = target()
            code += [0x48 | register >> 3, 0x0f, 0xc8 | register & 7]
        default:
            // ANDN, BZHI, SHLX, PEXT, MULX by opcode and prefix.
            let (pp, opcode) = [(0, 0xf2), (0, 0xf5), (1, 0xf7), (2, 0xf5), (3, 0xf6)][random.below(5)]
            let (reg, vvvv, rm) = (target(), target(), anyRegister())
            code += [
                0xc4, (reg & 8 != 0 ? 0 : 0x80) | 0x40 | (rm & 8 != 0 ? 0 : 0x20) | 2,
                0x80 | (~vvvv & 15) << 3 | UInt8(pp), UInt8(opcode), 0xc0 | (reg & 7) << 3 | rm & 7,
            ]
        }
    }
}

extension SplitMix64 {
    mutating func value() -> UInt64 { next() }

    /// A number from 0 to `bound` - 1.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

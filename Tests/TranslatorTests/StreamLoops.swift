// Loops that show where flags are at their heads: accesses before anything that writes flags, a pointer that leaves what is
// mapped after some rounds, and conditions of every kind to go round by.

extension StreamGenerator {
    /// An access that leaves flags alone, or writes them.
    mutating func emitAccess() {
        switch random.below(8) {
        case 0...2: operands([0x8b], reg: target(), width: wideWidth(), memory: true)
        case 3: operands([0x89], reg: anyRegister(), width: wideWidth(), memory: true)
        case 4: operands([0x0f, 0xb6], reg: target(), width: wideWidth(), memory: true)
        case 5: operands([0x87], reg: target(), width: wideWidth(), memory: true)
        case 6: operands([UInt8(random.below(8)) << 3 | 3], reg: 12, width: wideWidth(), memory: true)
        default: operands([0x0f, 0xaf], reg: target(), width: wideWidth(), memory: true)
        }
    }

    /// Moves the pointer; returns by how much.
    mutating func emitAdvance() -> Int {
        let stride = [0x8, 0x40, 0x388, 0x1000, 0x1008][random.below(5)]
        let bytes = (0..<4).map { UInt8(truncatingIfNeeded: stride >> (8 * $0)) }
        switch random.below(3) {
        case 0: code += [0x48, 0x81, 0xc0 | Self.moving] + bytes  // add rbx, stride
        default: code += [0x48, 0x8d, 0x80 | Self.moving << 3 | Self.moving] + bytes  // lea rbx, [rbx + stride]
        }
        return stride
    }

    /// Counts down and goes round by a condition on flags, from a few instructions before; then HLT.
    mutating func closeByFlags() {
        let counter = Self.counter & 7
        let scratch: UInt8 = [0, 1, 2, 5][random.below(4)]
        func countDown() -> [UInt8] { [0x4d, 0x8d, 0x40 | counter << 3 | counter, 0xff] }  // lea r14, [r14 - 1]
        // For r14 as r/m: the prefixes of its widths.
        let prefixes: [(prefix: [UInt8], byte: UInt8)] = [([0x49], 1), ([0x41], 1), ([0x66, 0x41], 1), ([0x41], 0)]
        let (prefix, wide) = prefixes[random.below(4)]
        var condition: UInt8 = 5
        switch random.below(12) {
        case 0, 1: code += prefix + [0xfe | wide, 0xc8 | counter]  // dec
        case 2: code += prefix + [wide == 1 ? 0x83 : 0x80, 0xe8 | counter, 1]  // sub, 1
        case 3:
            code += prefix + [wide == 1 ? 0x83 : 0x80, 0xc0 | counter, 0xff]  // add, -1
            // All but 0 carry.
            if random.below(2) == 0 { condition = 2 }
        case 4: code += countDown() + [0x4d, 0x85, 0xc0 | counter << 3 | counter]  // test
        case 5: code += countDown() + prefix + [wide == 1 ? 0x83 : 0x80, 0xf8 | counter, 0]  // cmp, 0
        case 6: code += countDown() + prefix + [wide == 1 ? 0x83 : 0x80, 0xe0 | counter, 0x1f]  // and, 31
        case 7: code += countDown() + [0x4d, 0x09, 0xc0 | counter << 3 | counter]  // or
        case 8:
            // mov scratch, r14; test scratch, scratch
            code += countDown() + [0x4c, 0x89, 0xc0 | counter << 3 | scratch]
            code += [0x48, 0x85, 0xc0 | scratch << 3 | scratch]
        case 9:
            // mov scratch, 1; sub r14, scratch
            code += [0xb8 | scratch, 1, 0, 0, 0, 0x49, 0x29, 0xc0 | scratch << 3 | counter]
        case 10:
            // mov scratch, r14; neg scratch
            code += countDown() + [0x4c, 0x89, 0xc0 | counter << 3 | scratch, 0x48, 0xf7, 0xd8 | scratch]
        default:
            // mov r8, 1; cmp r14, r8; lea r14, [r14 - 1]
            code += [0x41, 0xb8, 1, 0, 0, 0, 0x4d, 0x39, 0xc6] + countDown()
            condition = 7
        }
        for _ in 0..<random.below(3) { emitNeutral() }
        if random.below(8) == 0 { code.append(0x90) }
        code += [0x0f, 0x80 | condition]
        let distance = Int32(-(code.count + 4))
        code += (0..<4).map { UInt8(truncatingIfNeeded: distance >> Int32(8 * $0)) }
        code.append(0xf4)
    }

    /// An instruction that leaves flags alone.
    private mutating func emitNeutral() {
        switch random.below(4) {
        case 0: operands([0x8b], reg: target(), width: wideWidth(), memory: true)
        case 1: operands([0x89], reg: anyRegister(), width: wideWidth(), memory: true)
        case 2: operands([0x8d], reg: target(), width: wideWidth(), memory: true)
        default: operands([0x8b], reg: target(), width: wideWidth(), memory: false, destination: false)
        }
    }

    /// Overwrites code: earlier code by what it is, or the instruction behind, NOP, by LAHF.
    mutating func codeWrite() {
        if code.isEmpty || random.below(2) == 0 {
            code += [0xc6, 0x05, 0, 0, 0, 0, 0x9f, 0x90]
        } else {
            let place = random.below(code.count)
            let distance = Int32(place - (code.count + 7))
            code += [0xc6, 0x05] + (0..<4).map { UInt8(truncatingIfNeeded: distance >> Int32(8 * $0)) } + [code[place]]
        }
    }
}

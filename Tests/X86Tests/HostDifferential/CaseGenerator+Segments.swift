// What cases of segment loads, far transfers and software interrupts need: selectors of descriptors that Linux gives
// every program and the guest has too, and of those that nobody has.

import HostCases

extension CaseGenerator {
    /// The user's code and data segments most of the time; the kernel's, null ones, and what lies beyond the table too.
    /// Not those that only Linux has: its TLS entries are empty, but 78H holds the CPU's number.
    mutating func selector() -> UInt16 {
        if random.below(3) != 0 { return random.pick([0x2b, 0x2b, 0x2b, 0x33, 0x23, 0]) }
        return random.pick([
            1, 2, 3, 8, 0x0b, 0x10, 0x13, 0x18, 0x1b, 0x20, 0x21, 0x28, 0x29, 0x30, 0x32, 0x43, 0x63, 0x6b, 4, 7, 0x84,
            0x88, 0xfff8, 0xffff,
        ])
    }

    mutating func codeSelector() -> UInt64 { random.once(in: 4) ? UInt64(selector()) : random.pick([0x33, 0x23]) }

    /// Bytes of an offset as the operand size has it.
    private var offsetSize: Int { rexW ? 8 : operandSizePrefix ? 2 : 4 }

    mutating func prepareSegments(_ encoding: Encoding) {
        switch encoding.setup {
        case .popSegment:
            pinned = [4]
            gpr[4] = random.once(in: 10) ? dataAddress() : writableAddress()
            poke(gpr[4], random.next() & ~0xffff | UInt64(selector()))
        case .retFar:
            pinned = [4]
            gpr[4] = max(writableAddress(), Self.data + 512) - 512
            pokeStack(gpr[4], [codeAddress(), codeSelector()])
        case .iret:
            pinned = [4]
            gpr[4] = random.once(in: 20) ? gpr[4] : writableAddress()
            // Not TF, NT, RF and AC, which change how the host goes on, nor VM.
            let flags = (random.next() & ~0x7_4100) | 2
            let stack = random.once(in: 8) ? UInt64(selector()) : 0x2b
            pokeStack(gpr[4], [codeAddress(), codeSelector(), flags & ~0x2_0000, writableAddress(), stack])
        case .farIndirect:
            // With a stack that can be pushed to: whether a CALL checks its target or its push first is up to the vendor.
            pinned = [4]
            gpr[4] = writableAddress() + 64
            if alignmentCheck { gpr[4] &= ~15 }
        case .farImmediate:
            pinned = [4]
            gpr[4] = writableAddress() + 64
            if alignmentCheck { gpr[4] &= ~15 }
        default: break
        }
    }

    private mutating func pokeStack(_ address: UInt64, _ values: [UInt64]) {
        let size = UInt64(offsetSize)
        var packed = [UInt8](repeating: 0, count: 48)
        for (index, value) in values.enumerated() {
            for byte in 0..<Int(size) {
                packed[index * Int(size) + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
            }
        }
        for word in 0..<(values.count * Int(size) + 7) / 8 {
            let value = packed.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self) }
            poke(address &+ UInt64(word * 8), value)
        }
    }

    /// A selector, or a far pointer, in memory.
    mutating func pokeSegments(_ encoding: Encoding, _ target: UInt64) {
        switch encoding.setup {
        case .selector: poke(target, random.next() & ~0xffff | UInt64(selector()))
        case .farPointer:
            let size = UInt64(operandSizePrefix ? 2 : 4)
            poke(target, random.next())
            poke(target &+ size, random.next() & ~0xffff | UInt64(selector()))
        default:
            let size = UInt64(operandSizePrefix ? 2 : 4)
            poke(target, codeAddress())
            poke(target &+ size, random.next() & ~0xffff | codeSelector())
        }
    }

    mutating func farImmediate() -> [UInt8] {
        let offset = codeAddress()
        let selector = codeSelector()
        return (0..<(operandSizePrefix ? 2 : 4)).map { UInt8(truncatingIfNeeded: offset >> UInt64(8 * $0)) }
            + [UInt8(truncatingIfNeeded: selector), UInt8(truncatingIfNeeded: selector >> 8)]
    }

    /// Never 80H, which calls the host's kernel.
    mutating func interruptVector() -> UInt8 {
        let vector = random.pick([3, 4, UInt8(random.below(256))])
        return vector == 0x80 ? 0x81 : vector
    }
}

// What cases of x87, MMX, SSE and AVX instructions need: register contents, exceptions unmasked or pending, operands in
// memory, vectors of indices, and images of state to load.

import HostCases

extension CaseGenerator {
    /// State for instructions that do not touch it.
    static let plainImage: [UInt8] = {
        var source = OperandGenerator(seed: 1)
        return source.xsave(masked: true)
    }()

    private mutating func operands() -> OperandGenerator { OperandGenerator(seed: random.next()) }

    private mutating func put(_ value: UInt64, _ size: Int, at offset: Int) {
        for n in 0..<size { image[offset + n] = UInt8(truncatingIfNeeded: value >> UInt64(8 * n)) }
    }

    /// Random x87, SSE and AVX state.
    mutating func prepareImage(_ encoding: Encoding) {
        let indices = image
        var source = operands()
        image = source.xsave(masked: random.below(2) == 0)
        // FOP, FIP, FDP
        put(random.next() & 0x7ff, 2, at: 6)
        put(random.next() >> 17, 8, at: 8)
        put(random.next() >> 17, 8, at: 16)
        if random.once(in: 10) {
            // An exception is pending: #MF comes before the next instruction that waits.
            let flag = UInt16(1) << UInt16(random.below(6))
            let control = (UInt16(image[0]) | UInt16(image[1]) << 8) & ~flag
            put(UInt64(control), 2, at: 0)
            put(UInt64(UInt16(image[2]) | UInt16(image[3]) << 8 | flag | 0x8080), 2, at: 2)
        }
        if encoding.vex?.isGather == true {
            // The index register, which addVectorMemory has chosen.
            image.replaceSubrange(160..<416, with: indices[160..<416])
            image.replaceSubrange(576..<832, with: indices[576..<832])
        }
    }

    /// VEX in two bytes where they say all.
    mutating func vexPrefix(_ vex: Encoding.VEX) -> [UInt8] {
        let last = (~vvvv & 15) << 3 | (wideVector ? 4 : 0) | vex.prefix
        let inverted = ~rex
        if vex.map == 1, rex & 11 == 0, random.below(2) == 0 { return [0xc5, (inverted & 4) << 5 | last] }
        return [0xc4, (inverted & 7) << 5 | vex.map, (rexW ? 0x80 : 0) | last]
    }

    /// What a memory operand holds.
    mutating func pokeOperands(_ target: UInt64, _ encoding: Encoding) {
        guard !random.once(in: 4) else { return }
        var source = operands()
        if encoding.memorySize == 10 {
            let number = source.extended() + [0, 0, 0, 0, 0, 0]
            poke(target, number.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })
            poke(target &+ 8, number.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self) })
            return
        }
        for word in 0..<UInt64(4) { poke(target &+ word * 8, source.quadword()) }
    }

    /// A gather's operand: a base, and indices that lead into the data and around it.
    mutating func addVectorMemory(_ encoding: Encoding, _ reg: UInt8) -> Bool {
        if compatibility && addressSizePrefix { return false }
        let registers = compatibility ? 8 : 16
        var index = UInt8(random.below(registers))
        if !random.once(in: 20) {
            // Three different registers, or it is #UD.
            while index == reg { index = UInt8(random.below(registers)) }
            while vvvv == reg || vvvv == index { vvvv = UInt8(random.below(registers)) }
        }
        let scale = UInt8(random.below(4))
        let base = random.pick((0..<registers).filter { $0 != 4 && $0 & 7 != 5 })
        let address = dataAddress() &- segmentBase
        gpr[base] = addressSizePrefix ? address & 0xffff_ffff | random.next() << 32 : address
        rex |= (index >> 3) << 1 | UInt8(base >> 3)
        tail = [(reg & 7) << 3 | 4, scale << 6 | (index & 7) << 3 | UInt8(base & 7)]
        var source = operands()
        image = source.xsave(masked: true)
        let size = encoding.bytes[encoding.bytes.count - 1] & 1 != 0 ? 8 : 4
        let spread = random.pick([16, 64, 4096, 20000])
        for offset in stride(from: 0, to: 32, by: size) {
            let value = UInt64(bitPattern: Int64(random.below(spread) - spread / 4))
            let wrapped = random.once(in: 40) ? random.next() : value
            let place = (offset < 16 ? 160 : 560) + 16 * Int(index) + offset
            for byte in 0..<size { image[place + byte] = UInt8(truncatingIfNeeded: wrapped >> UInt64(8 * byte)) }
        }
        return true
    }

    // MARK: State in memory

    mutating func prepareStateArea(_ encoding: Encoding) {
        // RFBM: host and guest know different components beyond the three.
        guard encoding.setup == .extendedArea || encoding.setup == .restoreArea else { return }
        pinned = [0, 2]
        gpr[0] = UInt64(random.below(8))
        gpr[2] = 0
    }

    /// Aligned and all within writable memory, most of the time.
    mutating func stateAreaAddress(_ encoding: Encoding) -> UInt64? {
        switch encoding.setup {
        case .saveArea, .extendedArea, .restoreArea:
            if random.once(in: 8) { return nil }
            return Self.data + UInt64(random.below((Int(Self.writable) - 1024) / 64)) * 64
        case .environment:
            return random.once(in: 8) ? nil : writableAddress() - 64
        default: return nil
        }
    }

    mutating func pokeStateArea(_ encoding: Encoding, _ target: UInt64) {
        switch encoding.setup {
        case .saveArea, .extendedArea:
            // MXCSR_MASK tells of bits that only the host knows.
            ignored = [(target &+ 28, 4)]
            // Which components count as in use is up to the processor (SDM volume 1, section 13.6).
            if encoding.setup == .extendedArea { ignored.append((target &+ 512, 8)) }
            if Self.hostIsAMD { ignored.append((target &+ 6, 18)) }
        case .restoreArea:
            let mxcsr = random.next() & (random.once(in: 10) ? 0xffff_ffff & ~0x2_0000 : 0xffff)
            poke(target &+ 24, mxcsr | 0xffff << 32)
            poke(target &+ 512, UInt64(random.below(8)))
            // Canonical x87 pointers: CPUs with 57-bit addresses extend those that are not from bit 56.
            poke(target &+ 8, random.next() >> 17)
            poke(target &+ 16, random.next() >> 17)
            let compacted: UInt64 = random.below(2) == 0 ? 0 : 1 << 63 | 7
            poke(target &+ 520, random.once(in: 12) ? random.next() : compacted)
            for word in UInt64(2)..<5 { poke(target &+ 512 &+ word * 8, random.once(in: 40) ? 1 : 0) }
        case .controlWord:
            // MXCSR's bit 17 exists on AMD's CPUs only.
            poke(target, random.next() & (random.once(in: 10) ? ~0x2_0000 : 0xffff))
        case .environment where encoding.stores && Self.hostIsAMD:
            ignored = [(target &+ (operandSizePrefix ? 6 : 12), operandSizePrefix ? 8 : 16)]
        default: for word in 0..<UInt64(4) { poke(target &+ word * 8, random.next()) }
        }
    }
}

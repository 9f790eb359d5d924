// Every encoding of the allow-list, on random operands, through the interpreter and on the bare host: registers, flags,
// memory and exceptions must agree bit for bit. A failure prints its seed, by which it can be run again.

import Testing
import VirtualCPU
import X86

/// An instruction of the allow-list as bytes, its memory operand [rbx].
struct EncodedInstruction {
    var bytes: [UInt8]
    var memory: Bool
    var memorySize: Int

    /// Encodes with random registers: never RSP, RBX, which is the memory operand's base, nor R14, which tests use.
    init(_ e: NativeAllowList.Encoding, memory: Bool, l: Bool, w: Bool, _ random: inout OperandGenerator) {
        func register() -> UInt8 {
            while true {
                let n = UInt8(random.next() % 16)
                if ![3, 4, 14].contains(n) { return n }
            }
        }
        let reg = register()
        let rm = memory ? 3 : register()
        let vvvv = e.usesVVVV ? register() : 0
        var modrm = (memory ? 0 : 0xc0) | (reg & 7) << 3 | rm & 7
        var rexBits: UInt8 = (reg >> 3) << 2 | rm >> 3
        if e.modrmMask != 0 {
            modrm = modrm & ~e.modrmMask | e.modrmValue
            if memory { modrm = modrm & 0x38 | 3 }
            rexBits &= e.isX87 ? 0 : 3
        }
        var out: [UInt8] = []
        let mandatory: [UInt8] = [[], [0x66], [0xf3], [0xf2]][Int(e.prefix)]
        if e.vex {
            out += [0xc4, ~(rexBits << 5) & 0xe0 | e.map]
            out += [(w ? 0x80 : 0) | (~vvvv & 15) << 3 | (l ? 4 : 0) | e.prefix]
        } else {
            out += mandatory
            if w || rexBits != 0 { out.append(0x40 | (w ? 8 : 0) | rexBits) }
            out += [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]][Int(e.map)]
        }
        out.append(e.opcode)
        if e.hasModRM { out.append(modrm) }
        if e.hasImmediate { out.append(UInt8(truncatingIfNeeded: random.next())) }
        bytes = out
        self.memory = memory
        memorySize = e.memorySize(l: l, w: w)
    }
}

@Suite(.serialized) struct NativeDifferentialTests {
    /// Where the operand lies and how often to try each encoding.
    enum Place: CaseIterable {
        /// Unaligned where allowed; reached through the TLB.
        case fast
        /// Not in the TLB.
        case missed
        /// Across two pages.
        case crossing
    }

    private func check(
        _ e: NativeAllowList.Encoding, _ guest: NativeTestMachine, masked: Bool, place: Place, seed: UInt64
    ) throws -> Bool {
        var random = OperandGenerator(seed: seed)
        let l = e.ls[Int(random.next() % UInt64(e.ls.count))]
        let w = e.ws[Int(random.next() % UInt64(e.ws.count))]
        let memory = e.takesMemory && (!e.takesRegister || place != .fast || random.chance(2))
        let instruction = EncodedInstruction(e, memory: memory, l: l, w: w, &random)
        let size = instruction.memorySize
        var start = OracleState()
        start.gpr = (0..<16).map { _ in random.quadword() }
        start.flags = random.next() & 0x8d5
        start.xsave = random.xsave(masked: masked)
        let contents = random.bytes(64)

        // The same bytes for both, at the same offset from a 64-byte boundary.
        let shift = e.isAligned || random.chance(2) ? 0 : Int(random.next() % 15) + 1
        let hostMemory = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 64)
        defer { hostMemory.deallocate() }
        var address = NativeTestMachine.data + 0x100 + UInt64(shift)
        if place == .crossing, size > 1, !e.isAligned { address = NativeTestMachine.data + 0x1000 - UInt64(size - 1) }
        let hostOperand = hostMemory + (e.isAligned ? 0 : shift)
        hostOperand.copyMemory(from: contents, byteCount: 64)
        try guest.writeData(contents, address)

        var state = NativeTestMachine.state()
        state.gpr = start.gpr
        state.gpr[4] = TestMachine.stackTop
        state.gpr[3] = address
        state.rflags = start.flags | 2
        state.xsave = start.xsave
        // mov r14b, [rbx]; mov [rbx], r14b: the page gets into the TLB.
        let warm: [UInt8] = place == .fast ? [0x44, 0x8a, 0x33, 0x44, 0x88, 0x33] : []
        let (outcome, after) = try guest.run(warm + instruction.bytes, count: place == .fast ? 3 : 1, state)
        if outcome == .raised(6) { return false }

        start.gpr[3] = UInt64(UInt(bitPattern: hostOperand))
        let expected = NativeOracle.shared.run(instruction.bytes, start)
        let bytes = instruction.bytes.map { String($0, radix: 16) }.joined(separator: " ")
        let note: Comment = "\(e.mnemonic), bytes \(bytes), \(place), masked \(masked), seed \(seed)"
        #expect(outcome == (expected.faulted ? .raised(19) : .completed), note)
        for n in 0..<16 where ![3, 4, 14].contains(n) { #expect(after.gpr[n] == expected.gpr[n], "\(note): r\(n)") }
        if !expected.faulted { #expect(after.rflags & 0x8d5 == expected.flags & 0x8d5, note) }
        // Whether a SIMD exception comes before or after the x87 stack's change to MMX differs among hosts.
        expectEqualImages(after.xsave, expected.xsave, x87: !(e.usesMMX && expected.faulted), note)
        let memoryAfter = try guest.readData(address, 64)
        #expect(memoryAfter == [UInt8](UnsafeRawBufferPointer(start: hostOperand, count: 64)), note)
        return true
    }

    /// Everything but the x87 instruction pointers, XSTATE_BV and reserved bytes.
    private func expectEqualImages(_ a: [UInt8], _ b: [UInt8], x87: Bool, _ note: Comment) {
        if x87 { #expect(a[0..<5] == b[0..<5], "\(note): x87 control, status, tags") }
        #expect(a[24..<28] == b[24..<28], "\(note): MXCSR")
        for n in 0..<8 where x87 {
            #expect(a[32 + 16 * n..<42 + 16 * n] == b[32 + 16 * n..<42 + 16 * n], "\(note): ST(\(n))")
        }
        for n in 0..<16 {
            #expect(a[160 + 16 * n..<176 + 16 * n] == b[160 + 16 * n..<176 + 16 * n], "\(note): XMM\(n)")
            #expect(a[576 + 16 * n..<592 + 16 * n] == b[576 + 16 * n..<592 + 16 * n], "\(note): YMM\(n), upper half")
        }
    }

    @Test(arguments: [true, false], Place.allCases)
    func agreesWithTheHost(masked: Bool, place: Place) throws {
        let guest = try NativeTestMachine()
        var seed: UInt64 = masked ? 0x1000_0000 : 0x2000_0000
        var missing: Set<String> = []
        var tried = 0
        for e in NativeAllowList.encodings where e.runsNatively && (place == .fast || e.takesMemory) {
            for _ in 0..<6 {
                seed += 1
                tried += 1
                if try !check(e, guest, masked: masked, place: place, seed: seed) { missing.insert(e.mnemonic) }
            }
        }
        #expect(tried > 1000)
        // On a host that has it all nothing may be missing.
        if NativeHost.hasEverything { #expect(missing.isEmpty, "\(missing.sorted())") }
    }
}

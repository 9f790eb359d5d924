// FXSAVE, XSAVE, FNSTENV and their kin: against the host's own instructions where these can be compared, and against the
// manual where they can't (headers, faults, formats of other modes).

import Memory
import Testing
import VirtualCPU
import X86

@Suite(.serialized) struct NativeStateTests {
    private static let area = NativeTestMachine.data + 0x200

    /// Runs an instruction with memory operand [rbx] on random state and random memory, in the guest and on the host.
    private func compare(
        _ code: [UInt8], size: Int, ignoring: [Range<Int>], seed: UInt64, image: [UInt8]? = nil
    ) throws -> (CPUState, OracleState) {
        let guest = try NativeTestMachine()
        var random = OperandGenerator(seed: seed)
        var start = OracleState()
        start.xsave = random.xsave(masked: false)
        start.gpr = (0..<16).map { _ in random.next() }
        start.gpr[0] = 7
        start.gpr[2] = 0
        let contents = image ?? random.bytes(size)
        var state = NativeTestMachine.state()
        state.gpr = start.gpr
        state.gpr[4] = TestMachine.stackTop
        state.gpr[3] = Self.area
        state.xsave = start.xsave
        try guest.writeData(contents, Self.area)
        let (outcome, after) = try guest.run(code, state)
        let memory = UnsafeMutableRawPointer.allocate(byteCount: 1024, alignment: 64)
        defer { memory.deallocate() }
        memory.copyMemory(from: contents, byteCount: size)
        start.gpr[3] = UInt64(UInt(bitPattern: memory))
        let expected = NativeOracle.shared.run(code, start)
        let note: Comment = "\(code), seed \(seed)"
        #expect(outcome == .completed, note)
        var ours = try guest.readData(Self.area, size)
        var theirs = [UInt8](UnsafeRawBufferPointer(start: memory, count: size))
        for range in ignoring {
            for n in range where n < size { (ours[n], theirs[n]) = (0, 0) }
        }
        #expect(ours == theirs, note)
        #expect(after.gpr[0] & 0xffff == expected.gpr[0] & 0xffff, note)
        for range in [0..<5, 24..<28, 160..<416, 576..<832] {
            #expect(Array(after.xsave[range]) == Array(expected.xsave[range]), "\(note), state \(range)")
        }
        for n in 0..<8 {
            let range = 32 + 16 * n..<42 + 16 * n
            #expect(Array(after.xsave[range]) == Array(expected.xsave[range]), "\(note), ST(\(n))")
        }
        return (after, expected)
    }

    /// Pointers and opcode of the last x87 instruction differ: the host's are its own. MXCSR_MASK and software's bytes too.
    private static let pointers = [6..<24, 28..<32]

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func storesLikeTheHost(seed: UInt64) throws {
        _ = try compare([0x0f, 0xae, 0x03], size: 512, ignoring: Self.pointers, seed: seed)  // fxsave
        _ = try compare([0x48, 0x0f, 0xae, 0x03], size: 512, ignoring: Self.pointers, seed: seed)  // fxsave64
        // XSTATE_BV is compared elsewhere: which components count as in use is the processor's business.
        let header = [512..<520]
        let zeroHeader = imageWithHeader(xstateBV: 0, xcompBV: 0, seed: seed)
        _ = try compare([0x0f, 0xae, 0x23], size: 832, ignoring: Self.pointers + header, seed: seed, image: zeroHeader)
        _ = try compare([0x0f, 0xae, 0x33], size: 832, ignoring: Self.pointers + header, seed: seed, image: zeroHeader)
        // fnstenv, fnsave and their 16-bit forms
        _ = try compare([0xd9, 0x33], size: 28, ignoring: [12..<28], seed: seed)
        _ = try compare([0x66, 0xd9, 0x33], size: 14, ignoring: [6..<14], seed: seed)
        _ = try compare([0xdd, 0x33], size: 108, ignoring: [12..<28], seed: seed)
        _ = try compare([0x66, 0xdd, 0x33], size: 94, ignoring: [6..<14], seed: seed)
        for code in [[0xd9, 0x3b], [0xdd, 0x3b], [0x0f, 0xae, 0x1b]] as [[UInt8]] {  // fnstcw, fnstsw, stmxcsr
            _ = try compare(code, size: 4, ignoring: [], seed: seed)
        }
        // fnstsw ax, fnclex, fninit, emms
        for code in [[0xdf, 0xe0], [0xdb, 0xe2], [0xdb, 0xe3], [0x0f, 0x77]] as [[UInt8]] {
            _ = try compare(code, size: 4, ignoring: [], seed: seed)
        }
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func loadsLikeTheHost(seed: UInt64) throws {
        var random = OperandGenerator(seed: seed &+ 1000)
        let image = random.xsave(masked: false)
        let legacy = Array(image[0..<512])
        _ = try compare([0x0f, 0xae, 0x0b], size: 512, ignoring: [], seed: seed, image: legacy)  // fxrstor
        _ = try compare([0x48, 0x0f, 0xae, 0x0b], size: 512, ignoring: [], seed: seed, image: legacy)
        for components in 0...7 as ClosedRange<UInt64> {
            var area = image
            area[512] = UInt8(components)
            _ = try compare([0x0f, 0xae, 0x2b], size: 832, ignoring: [], seed: seed, image: area)  // xrstor
            _ = try compare([0x48, 0x0f, 0xae, 0x2b], size: 832, ignoring: [], seed: seed, image: area)
            // Compacted.
            area[520] = 7
            area[527] = 0x80
            _ = try compare([0x0f, 0xae, 0x2b], size: 832, ignoring: [], seed: seed, image: area)
        }
        // fldenv, frstor: no exception pending or the instruction after it would raise it; the tags are random.
        var environment = random.bytes(108)
        environment[0] = 0x7f
        environment[1] = UInt8(truncatingIfNeeded: random.next() & 0x0f)
        _ = try compare([0xd9, 0x23], size: 28, ignoring: [], seed: seed, image: environment)
        _ = try compare([0x66, 0xd9, 0x23], size: 14, ignoring: [], seed: seed, image: environment)
        _ = try compare([0xdd, 0x23], size: 108, ignoring: [], seed: seed, image: environment)
        _ = try compare([0x66, 0xdd, 0x23], size: 94, ignoring: [], seed: seed, image: environment)
        var word = random.bytes(4)
        _ = try compare([0xd9, 0x2b], size: 4, ignoring: [], seed: seed, image: [word[0] | 0x3f] + word[1...])  // fldcw
        (word[2], word[3]) = (0, 0)
        _ = try compare([0x0f, 0xae, 0x13], size: 4, ignoring: [], seed: seed, image: word)  // ldmxcsr
    }

    private func imageWithHeader(xstateBV: UInt8, xcompBV: UInt8, seed: UInt64) -> [UInt8] {
        var random = OperandGenerator(seed: seed)
        var image = random.bytes(832)
        image.replaceSubrange(512..<576, with: [UInt8](repeating: 0, count: 64))
        (image[512], image[527]) = (xstateBV, xcompBV)
        return image
    }

    // MARK: Headers and faults

    /// Runs one of the family on `image`, with RFBM in EDX:EAX.
    private func run(
        _ code: [UInt8], rfbm: UInt64 = 7, image: [UInt8], offset: UInt64 = 0,
        _ change: (inout CPUState) -> Void = { _ in }
    ) throws -> (NativeOutcome, CPUState, [UInt8]) {
        let guest = try NativeTestMachine()
        var random = OperandGenerator(seed: 3)
        var state = NativeTestMachine.state()
        state.xsave = random.xsave(masked: true)
        state.gpr[0] = rfbm & 0xffff_ffff
        state.gpr[2] = rfbm >> 32
        state.gpr[3] = Self.area + offset
        change(&state)
        try guest.writeData(image, Self.area)
        let (outcome, after) = try guest.run(code, state)
        return (outcome, after, try guest.readData(Self.area, 832))
    }

    private static let xsave: [UInt8] = [0x0f, 0xae, 0x23]
    private static let xsaveopt: [UInt8] = [0x0f, 0xae, 0x33]
    private static let xsavec: [UInt8] = [0x0f, 0xc7, 0x23]
    private static let xsaves: [UInt8] = [0x0f, 0xc7, 0x2b]
    private static let xrstor: [UInt8] = [0x0f, 0xae, 0x2b]
    private static let xrstors: [UInt8] = [0x0f, 0xc7, 0x1b]
    private let filled = [UInt8](repeating: 0xcc, count: 832)

    /// XSAVE replaces the bits of XSTATE_BV that it was asked for and writes only those components.
    @Test func savesWhatIsRequested() throws {
        var image = filled
        image.replaceSubrange(512..<576, with: [UInt8](repeating: 0, count: 64))
        image[512] = 5
        let (outcome, _, after) = try run(Self.xsave, rfbm: 2, image: image)
        #expect(outcome == .completed)
        #expect(after[512] == 7)
        #expect(after[0..<24].allSatisfy { $0 == 0xcc })
        #expect(after[24..<28] != image[24..<28])
        #expect(after[32..<160].allSatisfy { $0 == 0xcc })
        #expect(after[160..<416] != image[160..<416])
        #expect(after[416..<512].allSatisfy { $0 == 0xcc })
        #expect(after[576..<832].allSatisfy { $0 == 0xcc })
    }

    /// Components in their initial configuration are left out by all but XSAVE, which writes their initial values.
    @Test func optimisesInitialState() throws {
        var image = filled
        image.replaceSubrange(512..<576, with: [UInt8](repeating: 0, count: 64))
        image[512] = 7
        let initial: (inout CPUState) -> Void = { state in
            state.xsave = [UInt8](repeating: 0, count: 832)
            (state.xsave[24], state.xsave[25]) = (0x80, 0x1f)
        }
        let (_, _, plain) = try run(Self.xsave, image: image, initial)
        #expect(plain[512] == 0)
        #expect(plain[0] == 0x7f && plain[1] == 3)
        #expect(plain[576..<832].allSatisfy { $0 == 0 })
        for code in [Self.xsaveopt, Self.xsavec, Self.xsaves] {
            let (outcome, _, after) = try run(code, image: image, initial)
            #expect(outcome == .completed)
            #expect(after[512] == 0, "\(code)")
            #expect(after[0..<24].allSatisfy { $0 == 0xcc })
            #expect(after[160..<416].allSatisfy { $0 == 0xcc })
            #expect(after[576..<832].allSatisfy { $0 == 0xcc })
            #expect(after[527] == (code == Self.xsaveopt ? 0 : 0x80))
            #expect(after[520] == (code == Self.xsaveopt ? 0 : 7))
        }
        // MXCSR alone makes SSE count as in use.
        let (_, _, after) = try run(Self.xsavec, image: image) { state in
            initial(&state)
            state.xsave[25] = 0x3f
        }
        #expect(after[512] == 2)
        #expect(after[25] == 0x3f)
    }

    /// What XSAVEC and XSAVES store, XRSTOR and XRSTORS load, if software has cleared the rest of the header.
    @Test func restoresCompactedAreas() throws {
        for (store, load) in [(Self.xsavec, Self.xrstor), (Self.xsaves, Self.xrstors)] {
            let (_, before, area) = try run(store, image: imageWithHeader(xstateBV: 0, xcompBV: 0, seed: 5))
            let (outcome, after, _) = try run(load, image: area) { $0.xsave = CPUState.initialXSAVE }
            #expect(outcome == .completed)
            #expect(after.xsave == before.xsave)
        }
    }

    @Test func refusesBadAreas() throws {
        var random = OperandGenerator(seed: 9)
        let good = random.xsave(masked: true)
        let changes: [(Int, UInt8)] = [
            (512, 0x0f),  // a component that XCR0 hasn't
            (520, 1), (528, 1),  // reserved header bytes
            (26, 1),  // MXCSR
        ]
        for (offset, value) in changes {
            var bad = good
            bad[offset] = value
            let (outcome, after, _) = try run(Self.xrstor, image: bad)
            #expect(outcome == .raised(13), "byte \(offset)")
            #expect(after.xsave[160..<416] != good[160..<416])
        }
        var compacted = good
        compacted[520] = 3
        compacted[527] = 0x80
        #expect(try run(Self.xrstor, image: compacted).0 == .raised(13))  // XSTATE_BV beyond XCOMP_BV
        #expect(try run(Self.xrstors, image: good).0 == .raised(13))  // standard format
        for code in [Self.xsave, Self.xsaveopt, Self.xsavec, Self.xrstor] {
            #expect(try run(code, image: good, offset: 16).0 == .raised(13))
            #expect(try run(code, image: good) { $0.cr4 &= ~(1 << 18) }.0 == .raised(6))
            #expect(try run(code, image: good) { $0.cr0 |= 8 }.0 == .raised(7))
        }
        #expect(try run([0x0f, 0xae, 0x03], image: good, offset: 8).0 == .raised(13))  // fxsave
        #expect(try run([0x0f, 0xae, 0x13], image: good, offset: 24) { _ in }.0 == .completed)  // ldmxcsr
        #expect(try run([0x0f, 0xae, 0x13], image: [0, 0, 1, 0]).0 == .raised(13))
        #expect(try run([0xc5, 0xf8, 0xae, 0x13], image: [0, 0, 1, 0]).0 == .raised(13))  // vldmxcsr
    }

    // MARK: Formats of other modes

    /// FNSTENV in 16-bit real mode and 32-bit protected mode: where pointers and opcode go.
    @Test func storesEnvironmentsOfOtherModes() throws {
        // fninit; fld1; fild word [0x200]; fnstenv [0x300]; hlt
        let real = try TestMachine(.real16, code: [0xdb, 0xe3, 0xd9, 0xe8, 0xdf, 0x06, 0, 2, 0xd9, 0x36, 0, 3, 0xf4])
        #expect(real.vcpu.run(budget: nil) == .halted)
        let image = try real.memory.read(at: GuestPhysicalAddress(0x300), count: 14)
        let opcode: UInt16 = 0x706
        #expect(image[6..<8] == [0x04, 0x10])
        #expect(UInt16(image[8]) | UInt16(image[9]) << 8 == opcode)
        #expect(image[10..<12] == [0, 2])
        // fninit; fld1; fild word [0x200]; fnstenv [0x300]; hlt
        let code: [UInt8] = [
            0xdb, 0xe3, 0xd9, 0xe8, 0xdf, 0x05, 0, 2, 0, 0, 0xd9, 0x35, 0, 3, 0, 0, 0xf4,
        ]
        let protected = try TestMachine(.protected32, code: code)
        #expect(protected.vcpu.run(budget: nil) == .halted)
        let long = try protected.memory.read(at: GuestPhysicalAddress(0x300), count: 28)
        #expect(Array(long[0..<12]) == [0x7f, 3, 0xff, 0xff, 0, 0x30, 0xff, 0xff, 0xff, 0x1f, 0xff, 0xff])
        #expect(Array(long[12..<16]) == [0x04, 0x10, 0, 0])
        #expect(Array(long[16..<20]) == [8, 0, 0x05, 0x07])
        #expect(Array(long[20..<28]) == [0, 2, 0, 0, 0x10, 0, 0xff, 0xff])
    }

    /// Export and import are exact, and an area without components means their initial configuration.
    @Test func movesState() throws {
        let guest = try NativeTestMachine()
        var random = OperandGenerator(seed: 11)
        for _ in 0..<50 {
            var state = NativeTestMachine.state()
            state.xsave = random.xsave(masked: false)
            try guest.machine.vcpu.importState(state)
            let exported = try guest.machine.vcpu.exportState()
            #expect(exported.xsave == state.xsave)
        }
        var empty = NativeTestMachine.state()
        empty.xsave = [UInt8](repeating: 0xff, count: 832)
        empty.xsave.replaceSubrange(512..<576, with: [UInt8](repeating: 0, count: 64))
        try guest.machine.vcpu.importState(empty)
        let exported = try guest.machine.vcpu.exportState()
        #expect(exported.xsave[0..<5] == [0x7f, 3, 0, 0, 0])
        #expect(exported.xsave[32..<416].allSatisfy { $0 == 0 })
        #expect(exported.xsave[576..<832].allSatisfy { $0 == 0 })
    }
}

// What stands around native instructions: #UD, #NM, #MF, #GP and #PF in their order, and nothing changed by an
// instruction that faults. Page 2 of the test machine's data is not present.

import Memory
import Testing
import VirtualCPU
import X86

@Suite(.serialized) struct NativeFaultTests {
    private static let absent = NativeTestMachine.data + 0x2000

    private func state(rbx: UInt64 = NativeTestMachine.data, _ change: (inout CPUState) -> Void = { _ in }) -> CPUState
    {
        var random = OperandGenerator(seed: 7)
        var state = NativeTestMachine.state()
        state.gpr[3] = rbx
        state.xsave = random.xsave(masked: true)
        change(&state)
        return state
    }

    private static let addps: [UInt8] = [0x0f, 0x58, 0xc1]
    private static let addpsMemory: [UInt8] = [0x0f, 0x58, 0x03]
    private static let vaddps: [UInt8] = [0xc5, 0xf0, 0x58, 0xc2]
    private static let paddb: [UInt8] = [0x0f, 0xfc, 0xc1]
    private static let fadd: [UInt8] = [0xd8, 0xc1]
    private static let fldMemory: [UInt8] = [0xd9, 0x03]
    private static let emms: [UInt8] = [0x0f, 0x77]
    private static let wait: [UInt8] = [0x9b]
    private static let andn: [UInt8] = [0xc4, 0xe2, 0x60, 0xf2, 0xc1]

    /// Control registers against families of instructions (SDM volume 3, table 2-2 and chapter 13).
    @Test func closesGates() throws {
        let guest = try NativeTestMachine()
        let ts: (inout CPUState) -> Void = { $0.cr0 |= 8 }
        let em: (inout CPUState) -> Void = { $0.cr0 |= 4 }
        let noFXSR: (inout CPUState) -> Void = { $0.cr4 &= ~0x200 }
        let noXSAVE: (inout CPUState) -> Void = { $0.cr4 &= ~(1 << 18) }
        let noAVX: (inout CPUState) -> Void = { $0.xcr0 = 3 }
        let noMP: (inout CPUState) -> Void = { $0.cr0 = $0.cr0 & ~2 | 8 }
        let cases: [([UInt8], (inout CPUState) -> Void, UInt8?)] = [
            (Self.addps, ts, 7), (Self.addps, em, 6), (Self.addps, noFXSR, 6), (Self.addps, noXSAVE, nil),
            (Self.vaddps, ts, 7), (Self.vaddps, em, nil), (Self.vaddps, noFXSR, nil), (Self.vaddps, noXSAVE, 6),
            (Self.vaddps, noAVX, 6), (Self.paddb, ts, 7), (Self.paddb, em, 6), (Self.paddb, noFXSR, nil),
            (Self.fadd, ts, 7), (Self.fadd, em, 7), (Self.fadd, noFXSR, nil), (Self.emms, em, 6), (Self.emms, ts, 7),
            (Self.wait, ts, 7), (Self.wait, noMP, nil), (Self.wait, em, nil), (Self.andn, ts, nil),
            (Self.andn, noXSAVE, nil),
        ]
        for (code, change, vector) in cases {
            let (outcome, _) = try guest.run(code, state(change))
            #expect(outcome == vector.map { .raised($0) } ?? .completed, "\(code)")
        }
        // A closed gate comes before the operand's page fault.
        let (outcome, _) = try guest.run(Self.addpsMemory, state(rbx: Self.absent, ts))
        #expect(outcome == .raised(7))
    }

    @Test func refusesWrongEncodings() throws {
        let guest = try NativeTestMachine()
        let encodings: [[UInt8]] = [
            [0xf0, 0x0f, 0x58, 0x03],  // lock addps
            [0xf0, 0xd8, 0x03],  // lock fadd
            [0x66, 0xc5, 0xf0, 0x58, 0xc2],  // 66 before VEX
            [0x40, 0xc5, 0xf0, 0x58, 0xc2],  // REX before VEX
            [0xc5, 0xf0, 0x28, 0xc2],  // vmovaps with VEX.vvvv in use
            [0xc5, 0xfc, 0x12, 0x03],  // vmovlps with L = 1
            [0xc4, 0xe2, 0xfd, 0x18, 0x03],  // vbroadcastss with W = 1
            [0xc4, 0xe2, 0x64, 0xf2, 0xc1],  // andn with L = 1
            [0xf3, 0x0f, 0x57, 0xc1],  // xorps with F3
            [0xd9, 0xd1], [0xd9, 0xe2], [0xd9, 0xef], [0xdb, 0xe5], [0xdf, 0xf8],  // holes of the x87 map
            [0xc4, 0xe2, 0x71, 0x90, 0x04, 0x0b],  // vpgatherdd with equal destination and mask
            [0xc4, 0xe2, 0x69, 0x90, 0x03],  // vpgatherdd without SIB
        ]
        for code in encodings {
            let (outcome, _) = try guest.run(code, state())
            #expect(outcome == .raised(6), "\(code)")
        }
    }

    @Test func offersWhatTheModelHas() throws {
        let old = try NativeTestMachine(model: "x86-64-v1")
        #expect(try old.run(Self.addps, state()).0 == .completed)
        #expect(try old.run([0x66, 0x0f, 0x38, 0x00, 0xc1], state()).0 == .raised(6))  // pshufb
        let state = state { ($0.cr4, $0.xcr0) = (0x620, 1) }
        #expect(try old.run(Self.vaddps, state).0 == .raised(6))
        #expect(try old.run(Self.andn, state).0 == .raised(6))
    }

    @Test func checksAlignment() throws {
        let guest = try NativeTestMachine()
        let odd = NativeTestMachine.data + 8
        #expect(try guest.run(Self.addpsMemory, state(rbx: odd)).0 == .raised(13))
        #expect(try guest.run([0x0f, 0x29, 0x03], state(rbx: odd)).0 == .raised(13))  // movaps store
        #expect(try guest.run([0x0f, 0x10, 0x03], state(rbx: odd)).0 == .completed)  // movups
        #expect(try guest.run([0xc5, 0xf0, 0x58, 0x03], state(rbx: odd)).0 == .completed)  // vaddps
        #expect(try guest.run([0xc5, 0xfc, 0x28, 0x03], state(rbx: odd + 8)).0 == .raised(13))  // vmovaps ymm
        #expect(try guest.run([0x66, 0x0f, 0x2c, 0x03], state(rbx: odd)).0 == .raised(13))  // cvttpd2pi
        // Alignment is checked before the page.
        #expect(try guest.run(Self.addpsMemory, state(rbx: Self.absent + 4)).0 == .raised(13))
    }

    /// Of an address by RBP that is neither canonical nor aligned FXSAVE and FXRSTOR report the first, others the second.
    @Test(
        arguments: [
            ([0x0f, 0xae, 0x45, 0x00], 12), ([0x48, 0x0f, 0xae, 0x4d, 0x00], 12),  // fxsave, fxrstor64
            ([0x0f, 0xae, 0x65, 0x00], 13), ([0x0f, 0xae, 0x6d, 0x00], 13),  // xsave, xrstor
            ([0x0f, 0x28, 0x45, 0x00], 13),  // movaps
        ] as [([UInt8], UInt8)])
    func reportsOneOfTwoFaults(code: [UInt8], vector: UInt8) throws {
        let guest = try NativeTestMachine()
        #expect(try guest.run(code, state { $0.gpr[5] = 0x387f_14d1_d4c3_2876 }).0 == .raised(vector))
    }

    /// F2 before VEX is #UD without another byte: the next page is not asked for.
    @Test func readsNoFurtherThanTheFault() {
        let code: [UInt8] = [0x67, 0xf2, 0xc4, 0xe1, 0x7c, 0x77]
        let decoded = code.withUnsafeBufferPointer { DecodedInstruction($0, mode: .code64) }
        #expect(decoded.outcome == .invalid)
    }

    /// IRET in 64-bit mode reads all of its frame before it looks at CS, which is null here: the flags, then SS, then RSP.
    @Test(arguments: [(0, 16), (16, 0), (24, 8), (32, 0)] as [(UInt64, UInt64)])
    func readsTheWholeFrame(present: UInt64, first: UInt64) throws {
        let guest = try NativeTestMachine()
        let (outcome, after) = try guest.run([0x48, 0xcf], state { $0.gpr[4] = Self.absent - present })
        #expect(outcome == .raised(14))
        #expect(after.cr2 == Self.absent + first)
    }

    /// Loads and stores that reach into the absent page: #PF with CR2 at its first byte, and nothing written.
    @Test(
        arguments: [
            ([0x0f, 0x10, 0x03], 16), ([0x0f, 0x11, 0x03], 16), ([0xc5, 0xfe, 0x6f, 0x03], 32),
            ([0xc5, 0xfe, 0x7f, 0x03], 32),
            ([0xdb, 0x2b], 10), ([0xdb, 0x3b], 10), ([0x0f, 0x6f, 0x03], 8), ([0x0f, 0x7f, 0x03], 8),
            ([0xd9, 0x33], 28),
            ([0xdd, 0x33], 108), ([0xd9, 0x23], 28), ([0xdd, 0x23], 108),
        ] as [([UInt8], UInt64)])
    func faultsAcrossPages(code: [UInt8], size: UInt64) throws {
        let guest = try NativeTestMachine()
        let address = Self.absent - size + 1
        let contents = [UInt8](repeating: 0x5a, count: Int(size) - 1)
        try guest.writeData(contents, address)
        let before = state(rbx: address)
        let (outcome, after) = try guest.run(code, before)
        #expect(outcome == .raised(14))
        #expect(after.cr2 == Self.absent)
        #expect(after.xsave == before.xsave)
        #expect(try guest.readData(address, contents.count) == contents)
    }

    /// An unmasked x87 exception stays pending until the next waiting instruction.
    @Test func delaysX87Exceptions() throws {
        let guest = try NativeTestMachine()
        // fldcw [rbx]: zero divide unmasked; fld1; fldz; fdivp: pending, not raised.
        try guest.writeData([0x7b, 0x03], NativeTestMachine.data)
        let divide: [UInt8] = [0xdb, 0xe3, 0xd9, 0x2b, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9]
        let (first, pending) = try guest.run(divide, count: 5, state())
        #expect(first == .completed)
        #expect(pending.xsave[2] & 0x84 == 0x84)
        // FOP and FIP name the division, 8 bytes into the code.
        #expect(UInt16(pending.xsave[6]) | UInt16(pending.xsave[7]) << 8 == 0x6f9)
        #expect(pending.xsave[8] == UInt8(TestMachine.codeAddress & 0xff) + 8)
        for waiting in [Self.fadd, Self.wait, Self.fldMemory, Self.paddb, Self.emms, [0xd9, 0x2b], [0xd9, 0x23]] {
            #expect(try guest.run(divide + waiting, count: 6, state()).0 == .raised(16), "\(waiting)")
            // With CR0.NE clear it is ignored.
            #expect(try guest.run(divide + waiting, count: 6, state { $0.cr0 &= ~0x20 }).0 == .completed, "\(waiting)")
        }
        for notWaiting in [[0xdf, 0xe0], [0xdb, 0xe2], [0xdb, 0xe3], [0xd9, 0x3b], [0xdb, 0xe0], Self.addps]
            as [[UInt8]]
        {
            #expect(try guest.run(divide + notWaiting, count: 6, state()).0 == .completed, "\(notWaiting)")
        }
    }

    /// An x87 store that an unmasked exception suppresses leaves memory as it was, also where it goes through a buffer.
    @Test(arguments: [NativeTestMachine.data, NativeTestMachine.data + 0x1000 - 3])
    func suppressesX87Stores(address: UInt64) throws {
        let guest = try NativeTestMachine()
        let control = NativeTestMachine.data + 0x100
        try guest.writeData([0x77, 0x03], control)  // overflow unmasked
        try guest.writeData([1, 2, 3, 4, 5, 6, 7, 8], address)
        // fninit; fldcw [rcx]; fld1; fldpi scaled up by 10000; fstp dword [rbx]
        try guest.writeData([0x10, 0x27, 0, 0], control + 8)  // 10000
        let code: [UInt8] = [0xdb, 0xe3, 0xd9, 0x29, 0xdb, 0x41, 0x08, 0xd9, 0xeb, 0xd9, 0xfd, 0xd9, 0x13]
        let (outcome, after) = try guest.run(code, count: 6, state(rbx: address) { $0.gpr[1] = control })
        #expect(outcome == .completed)
        #expect(after.xsave[2] & 0x88 == 0x88)
        #expect(try guest.readData(address, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test func reportsSIMDExceptions() throws {
        let guest = try NativeTestMachine()
        // 0/0 with invalid operation unmasked.
        let zeroes = state {
            $0.xsave.replaceSubrange(160..<192, with: [UInt8](repeating: 0, count: 32))
            ($0.xsave[24], $0.xsave[25]) = (0, 0x1f)
        }
        let (outcome, after) = try guest.run([0x0f, 0x5e, 0xc1], zeroes)
        #expect(outcome == .raised(19))
        #expect(after.xsave[24] == 1)
        #expect(after.xsave[160..<176].allSatisfy { $0 == 0 })
        var unreported = zeroes
        unreported.cr4 &= ~0x400
        #expect(try guest.run([0x0f, 0x5e, 0xc1], unreported).0 == .raised(6))
    }

    // MARK: Element by element

    /// A gather that faults at its third element has done two, and goes on when the page is there.
    @Test func gathersPartially() throws {
        let guest = try NativeTestMachine()
        let base = Self.absent - 16
        try guest.writeData([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0], base)
        let before = state(rbx: base) { s in
            // xmm0: destination, xmm1: indices, xmm2: mask
            s.xsave.replaceSubrange(160..<176, with: [UInt8](repeating: 9, count: 16))
            s.xsave.replaceSubrange(176..<192, with: [0, 0, 0, 0, 12, 0, 0, 0, 16, 0, 0, 0, 4, 0, 0, 0])
            s.xsave.replaceSubrange(192..<208, with: [UInt8](repeating: 0xff, count: 16))
        }
        let code: [UInt8] = [0xc4, 0xe2, 0x69, 0x90, 0x04, 0x0b]  // vpgatherdd xmm0, [rbx+xmm1], xmm2
        let (outcome, after) = try guest.run(code, before)
        #expect(outcome == .raised(14))
        #expect(after.cr2 == Self.absent)
        #expect(Array(after.xsave[160..<176]) == [1, 0, 0, 0, 4, 0, 0, 0] + [UInt8](repeating: 9, count: 8))
        #expect(Array(after.xsave[192..<208]) == [UInt8](repeating: 0, count: 8) + [UInt8](repeating: 0xff, count: 8))
        // From there with a present index.
        var again = after
        again.rip = TestMachine.codeAddress
        again.activity = .active
        again.gpr[3] = base
        again.xsave[184] = 8
        let (second, end) = try guest.run(code, again)
        #expect(second == .completed)
        #expect(Array(end.xsave[160..<176]) == [1, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0])
        #expect(end.xsave[192..<208].allSatisfy { $0 == 0 })
    }

    /// Masked elements in the absent page don't fault; a selected one does, and then nothing is stored.
    @Test func masksFaults() throws {
        let guest = try NativeTestMachine()
        let base = Self.absent - 8
        let stores: [UInt8] = [0xc4, 0xe2, 0x71, 0x2e, 0x03]  // vmaskmovps [rbx], xmm1, xmm0
        let loads: [UInt8] = [0xc4, 0xe2, 0x71, 0x2c, 0x03]  // vmaskmovps xmm0, xmm1, [rbx]
        for (mask, faults) in [([0xff, 0xff, 0, 0], false), ([0xff, 0, 0xff, 0], true), ([0, 0, 0, 0], false)]
            as [([UInt8], Bool)]
        {
            try guest.writeData([UInt8](repeating: 0x5a, count: 8), base)
            let before = state(rbx: base) { s in
                s.xsave.replaceSubrange(160..<176, with: 1...16)
                s.xsave.replaceSubrange(176..<192, with: mask.flatMap { [0, 0, 0, $0] })
            }
            let (stored, _) = try guest.run(stores, before)
            #expect(stored == (faults ? .raised(14) : .completed))
            let kept = [UInt8](repeating: 0x5a, count: 8)
            let whole = mask[0] != 0 ? Array(1...8) as [UInt8] : kept
            #expect(try guest.readData(base, 8) == (faults ? kept : whole))
            let (loaded, after) = try guest.run(loads, before)
            #expect(loaded == (faults ? .raised(14) : .completed))
            if faults { #expect(after.xsave == before.xsave) }
        }
    }

    /// MASKMOVDQU and MASKMOVQ store the selected bytes at [rdi].
    @Test func storesSelectedBytes() throws {
        let guest = try NativeTestMachine()
        for (code, count) in [([0x66, 0x0f, 0xf7, 0xc1], 16), ([0x0f, 0xf7, 0xc1], 8)] as [([UInt8], Int)] {
            let base = Self.absent - UInt64(count)
            try guest.writeData([UInt8](repeating: 0, count: 8), base)
            let before = state { s in
                s.gpr[7] = base
                s.xsave[3] = 0  // TOP = 0: MM0 is ST(0)
                s.xsave.replaceSubrange(160..<176, with: 1...16)
                s.xsave.replaceSubrange(176..<192, with: [0x80, 0, 0xff, 0x7f] + [UInt8](repeating: 0, count: 12))
                s.xsave.replaceSubrange(32..<40, with: 1...8)
                s.xsave.replaceSubrange(48..<56, with: [0x80, 0, 0xff, 0x7f, 0, 0, 0, 0])
            }
            #expect(try guest.run(code, before).0 == .completed)
            #expect(try guest.readData(base, 8) == [1, 0, 3, 0, 0, 0, 0, 0])
            // A part of the operand in the absent page: nothing is stored.
            var faulting = before
            faulting.gpr[7] = Self.absent - 2
            try guest.writeData([0, 0], Self.absent - 2)
            #expect(try guest.run(code, faulting).0 == .raised(14), "\(count)")
            #expect(try guest.readData(Self.absent - 2, 2) == [0, 0])
        }
    }

    // MARK: Other places and modes

    /// A device's registers are read and written in pieces.
    @Test func reachesDevices() throws {
        let guest = try NativeTestMachine()
        let device: UInt64 = 0x3000_0000
        let before = state(rbx: device)
        let (outcome, after) = try guest.run([0xc5, 0xfe, 0x6f, 0x03], before)  // vmovdqu ymm0, [rbx]
        #expect(outcome == .completed)
        #expect(after.xsave[160..<176].allSatisfy { $0 == 0xff })
        #expect(after.xsave[576..<592].allSatisfy { $0 == 0xff })
        #expect(try guest.run([0x0f, 0x11, 0x03], before).0 == .completed)
        #expect(try guest.run([0xdb, 0x3b], before).0 == .completed)
    }

    /// A vector store over code that was decoded already: the new code runs.
    @Test func rewritesCode() throws {
        let guest = try NativeTestMachine()
        // movups [rbx], xmm0; then 16 NOPs, which become inc ecx and NOPs.
        let code: [UInt8] = [0x0f, 0x11, 0x03] + [UInt8](repeating: 0x90, count: 16)
        let before = state(rbx: TestMachine.codeAddress + 3) { s in
            s.gpr[1] = 41
            s.xsave.replaceSubrange(160..<176, with: [0xff, 0xc1] + [UInt8](repeating: 0x90, count: 14))
        }
        let (outcome, after) = try guest.run(code, count: 2, before)
        #expect(outcome == .completed)
        #expect(after.gpr[1] == 42)
    }

    /// At CPL 3 with alignment checks on, operands that aren't aligned to their pieces raise #AC.
    @Test func checksAlignmentOfUsers() throws {
        let guest = try NativeTestMachine()
        let user: (inout CPUState) -> Void = { s in
            s.cr0 |= 1 << 18
            s.rflags |= 1 << 18
            s.segments[1].attributes |= 0x60
            s.segments[1].selector |= 3
            s.segments[2].attributes |= 0x60
            s.segments[2].selector |= 3
            // The stack of CPL 0, for delivery.
            s.segments[7] = SegmentState(selector: 0x18, base: NativeTestMachine.data, limit: 0x67, attributes: 0x8b)
        }
        try guest.writeData([0, 0, 0, 0, 0, 0x70, 0, 0], NativeTestMachine.data)  // RSP0 at byte 4
        for code in [[0x0f, 0x10, 0x03], [0x0f, 0x11, 0x03], [0xdd, 0x03], [0xdd, 0x1b], [0x0f, 0x6f, 0x03]]
            as [[UInt8]]
        {
            let aligned = try guest.run(code, state(rbx: NativeTestMachine.data + 0x100, user)).0
            #expect(aligned == .completed, "\(code)")
            let misaligned = try guest.run(code, state(rbx: NativeTestMachine.data + 0x101, user)).0
            #expect(misaligned == .raised(17), "\(code)")
        }
    }

    /// In 32-bit code only eight registers exist, and W and the highest bits of VEX.vvvv and is4 mean nothing.
    @Test func runsIn32BitMode() throws {
        let code: [UInt8] = [
            0xb9, 0x00, 0xff, 0x00, 0x00,  // mov ecx, ff00h
            0xba, 0x0f, 0xf0, 0x00, 0x00,  // mov edx, f00fh
            0xc4, 0xe2, 0xf0, 0xf2, 0xc2,  // andn eax, ecx, edx with W
            0x66, 0x0f, 0x6e, 0xc8,  // movd xmm1, eax
            0xc5, 0xf1, 0xfe, 0xd1,  // vpaddd xmm2, xmm1, xmm1
            0x66, 0x0f, 0x7e, 0x15, 0x00, 0x03, 0x00, 0x00,  // movd [300h], xmm2
            0xf4,
        ]
        let machine = try TestMachine(.protected32, code: code)
        var state = TestMachine.state(.protected32)
        state.cr4 |= 0x600 | 1 << 18
        state.xcr0 = 7
        try machine.vcpu.importState(state)
        #expect(machine.vcpu.run(budget: nil) == .halted)
        #expect(try machine.vcpu.exportState().gpr[0] == 0x000f)
        #expect(try machine.memory.readInteger(UInt32.self, at: GuestPhysicalAddress(0x300)) == 0x1e)
    }

    /// Real mode has SSE but no VEX: C5 is LDS there.
    @Test func runsInRealMode() throws {
        let machine = try TestMachine(.real16, code: [0x0f, 0x28, 0xc8, 0x0f, 0x54, 0xca, 0xc5, 0x36, 0, 3, 0xf4])
        var state = TestMachine.state(.real16)
        state.cr4 |= 0x200
        try machine.memory.write([0x34, 0x12, 0x00, 0x40], at: GuestPhysicalAddress(0x300))
        try machine.vcpu.importState(state)
        #expect(machine.vcpu.run(budget: nil) == .halted)
        let after = try machine.vcpu.exportState()
        #expect(after.gpr[6] & 0xffff == 0x1234)
        #expect(after.segments[3].selector == 0x4000)
    }
}

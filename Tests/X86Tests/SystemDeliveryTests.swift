// Events that guests can't look at from inside: double and triple faults, real-address mode's table, and the state that
// faults on the way leave behind.

import Testing
import VirtualCPU

@Suite struct SystemDeliveryTests {
    private static let ud2: [UInt8] = [0x0f, 0x0b]

    @Test(arguments: [TestMode.protected32, .long64]) func invalidOpcode(_ mode: TestMode) throws {
        let outcome = try TrapMachine(mode, code: Self.ud2).run()
        #expect(outcome.vector == 6)
        #expect(outcome.savedRIP == TestMachine.codeAddress)
        #expect(outcome.savedFlags == 0x10002)
    }

    @Test func realModeInterrupt() throws {
        // int 21h
        let outcome = try TrapMachine(.real16, code: [0xcd, 0x21]) { $0.rflags = 0x302 }.run()
        #expect(outcome.vector == 0x21)
        #expect(outcome.savedRIP == TestMachine.codeAddress + 2)
        #expect(outcome.savedFlags == 0x302)
        #expect(outcome.state.rflags & 0x300 == 0, "IF and TF are cleared")
        #expect(outcome.state.gpr[4] == TestMachine.stackTop - 6)
    }

    @Test func realModeLimits() throws {
        // mov al, [10000h] with a 32-bit address: beyond the limit of DS
        let outcome = try TrapMachine(.real16, code: [0x67, 0xa0, 0x00, 0x00, 0x01, 0x00]).run()
        #expect(outcome.vector == 13)
        #expect(outcome.error == nil)
        #expect(outcome.savedRIP == TestMachine.codeAddress)
    }

    @Test(arguments: [TestMode.protected32, .long64]) func missingGateBecomesNotPresent(_ mode: TestMode) throws {
        let machine = try TrapMachine(mode, code: Self.ud2)
        let size: UInt64 = mode == .long64 ? 16 : 8
        try machine.write(UInt8(0x0e), at: TrapMachine.idt + 6 * size + 5)
        let outcome = try machine.run()
        #expect(outcome.vector == 11)
        #expect(outcome.error == 6 << 3 | 2 | 1)
        #expect(outcome.savedRIP == TestMachine.codeAddress)
    }

    @Test(arguments: [TestMode.protected32, .long64]) func doubleFault(_ mode: TestMode) throws {
        // mov cr0, eax with PG and without PE: #GP(0), whose gate is not present
        let machine = try TrapMachine(mode, code: movEAX(0x8000_0000) + [0x0f, 0x22, 0xc0])
        let size: UInt64 = mode == .long64 ? 16 : 8
        try machine.write(UInt8(0x0e), at: TrapMachine.idt + 13 * size + 5)
        let outcome = try machine.run()
        #expect(outcome.vector == 8)
        #expect(outcome.error == 0)
        #expect(outcome.savedRIP == TestMachine.codeAddress + 5)
    }

    @Test(arguments: TestMode.allCases) func tripleFault(_ mode: TestMode) throws {
        let machine = try TrapMachine(mode, code: Self.ud2) { $0.idtr.limit = 0 }
        let outcome = try machine.run()
        #expect(outcome.exit == .shutdown)
        #expect(outcome.state.activity == .shutdown)
        #expect(outcome.state.rip == TestMachine.codeAddress)
        #expect(machine.machine.vcpu.run(budget: 10) == .shutdown, "and stays there")
    }

    @Test func nonCanonicalOperands() throws {
        let cases: [(code: [UInt8], vector: Int)] = [
            ([0x48, 0x8b, 0x03], 13),  // mov rax, [rbx]
            ([0x48, 0x8b, 0x45, 0x00], 12),  // mov rax, [rbp]
            ([0x48, 0x8b, 0x04, 0x24], 12),  // mov rax, [rsp]
            ([0x48, 0x89, 0x03], 13),  // mov [rbx], rax
            ([0xf0, 0x48, 0x01, 0x45, 0x00], 12),  // lock add [rbp], rax
            ([0x50], 12),  // push rax
            ([0x58], 12),  // pop rax
            ([0xff, 0x33], 13),  // push qword [rbx]
            ([0x9c], 12),  // pushf
            ([0xc3], 12),  // ret
            ([0xc9], 12),  // leave
            ([0xff, 0x13], 13),  // call [rbx]
        ]
        for (code, vector) in cases {
            let outcome = try TrapMachine(.long64, code: code) { state in
                state.gpr[3] = 0x8000_0000_0000
                state.gpr[5] = 0x8000_0000_0000
                state.gpr[4] = 0x8000_0000_0010
                // The handler's stack comes from the TSS, through IST 1.
                state.segments[7] = SegmentState(selector: 0x28, base: 0x6000, limit: 0x67, attributes: 0x8b)
            }.runWithIST()
            #expect(outcome.vector == vector, "\(code)")
            #expect(outcome.error == 0)
            #expect(outcome.savedRIP == TestMachine.codeAddress)
            #expect(outcome.state.cr2 == 0)
        }
    }
}

extension TrapMachine {
    /// Runs with every handler on IST 1.
    func runWithIST() throws -> TrapOutcome {
        for vector in 0..<32 as Range<UInt64> { try write(UInt8(1), at: Self.idt + 16 * vector + 4) }
        try write(TestMachine.stackTop, at: 0x6000 + 36)
        return try run()
    }
}

// What MOV SS holds back for one instruction, and what becomes of it then (SDM volume 3, section 6.8.3).

import Testing
import VirtualCPU

@Suite struct MoveSSTests {
    private static let watched: UInt64 = 0x5000

    /// MOV SS from a watched address, then `code`.
    private func afterWatchedLoad(_ code: [UInt8]) throws -> TrapOutcome {
        // mov ss, [5000h]
        let machine = try TrapMachine(.long64, code: [0x8e, 0x14, 0x25, 0x00, 0x50, 0x00, 0x00] + code) {
            $0.debugAddresses[0] = Self.watched
            $0.dr7 = 0x400 | 1 << 1 | 3 << 16 | 1 << 18  // reads and writes of two bytes
        }
        try machine.write(UInt16(0x10), at: Self.watched)
        return try machine.run()
    }

    @Test func watchpointTrapsAfterTheNextInstruction() throws {
        let outcome = try afterWatchedLoad([0x90, 0x90, 0xf4])
        #expect(outcome.vector == 1)
        #expect(outcome.savedRIP == TestMachine.codeAddress + 8)
        #expect(outcome.state.dr6 & 0xf == 1)
    }

    @Test func watchpointIsReportedWithINT1() throws {
        let outcome = try afterWatchedLoad([0xf1, 0xf4])
        #expect(outcome.vector == 1)
        #expect(outcome.savedRIP == TestMachine.codeAddress + 8)
        #expect(outcome.state.gpr[4] == TestMachine.stackTop - 40, "once")
        #expect(outcome.state.dr6 & 0xf == 1)
    }

    @Test func watchpointFollowsINT() throws {
        // int 1: its handler is entered, and the trap comes before the handler's first instruction.
        let outcome = try afterWatchedLoad([0xcd, 0x01, 0xf4])
        #expect(outcome.vector == 1)
        #expect(outcome.state.gpr[4] == TestMachine.stackTop - 88, "twice, each aligned to 16 bytes")
    }

    @Test(arguments: [("intel", nil), ("amd", 1)] as [(String, Int?)])
    func instructionBreakpointAfterMoveSS(vendor: String, vector: Int?) throws {
        // mov ss, eax; nop; hlt
        let machine = try TrapMachine(
            .long64, model: "host,vendor=\(vendor)", code: [0x8e, 0xd0, 0x90, 0xf4]
        ) {
            $0.gpr[0] = 0x10
            $0.debugAddresses[0] = TestMachine.codeAddress + 2
            $0.dr7 = 0x400 | 1 << 1
        }
        #expect(try machine.run().vector == vector)
    }

    @Test func nmiWaitsForTheInstructionAfterSTI() throws {
        // As if STI had just been executed, with the NMI pending already.
        let machine = try TrapMachine(.long64, code: [0x90, 0x90, 0xf4]) {
            $0.localAPIC.pendingNMI = true
            $0.shadow.sti = true
        }
        let outcome = try machine.run()
        #expect(outcome.vector == 2)
        #expect(outcome.savedRIP == TestMachine.codeAddress + 1)
    }
}

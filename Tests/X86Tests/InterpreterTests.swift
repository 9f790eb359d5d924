import Testing
import VirtualCPU

@Suite struct InterpreterTests {
    /// mov ecx, n; loop: add eax, ecx; lea edx, [rax+rcx*2]; xor eax, edx; dec ecx; jnz loop
    private static let loop: [UInt8] = [
        0xb9, 0x00, 0x00, 0x10, 0x00, 0x01, 0xc8, 0x8d, 0x14, 0x48, 0x31, 0xd0, 0xff, 0xc9, 0x75, 0xf5, 0xf4,
    ]

    @Test func countsInstructionsExactly() throws {
        let machine = try TestMachine(.long64, code: Self.loop)
        for budget in [1, 2, 3, 1000, 77] as [UInt64] {
            let before = machine.vcpu.counters().instructions ?? 0
            #expect(machine.vcpu.run(budget: budget) == .budgetSpent)
            #expect(machine.vcpu.counters().instructions == before + budget)
        }
        #expect(machine.vcpu.run(budget: nil) == .halted)
        #expect(machine.vcpu.counters().instructions == 1 + 5 * 0x100000 + 1)
        #expect(try machine.vcpu.exportState().gpr[1] == 0)
    }

    @Test func kicksAreNotLost() throws {
        let machine = try TestMachine(.long64, code: [0xeb, 0xfe])
        for _ in 0..<1000 {
            machine.vcpu.kick()
            #expect(machine.vcpu.run(budget: nil) == .kicked)
        }
    }
}

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

    /// mov byte [0x5000], 1; mov byte [0x7fff], al; hlt
    private static let stores: [UInt8] = [0xc6, 0x04, 0x25, 0, 0x50, 0, 0, 1, 0x88, 0x04, 0x25, 0xff, 0x7f, 0, 0, 0xf4]

    @Test func dirtyLogIsTakenOnce() throws {
        let machine = try TestMachine(.long64, code: Self.stores)
        let region = machine.memory.regions[0]
        _ = try machine.vm.takeDirtyPages(region)
        #expect(machine.vcpu.run(budget: nil) == .halted)
        let pages = try machine.vm.takeDirtyPages(region)
        #expect(Set(pages).isSuperset(of: [5, 7]) && !pages.contains(6))
        #expect(try machine.vm.takeDirtyPages(region).isEmpty)
        try machine.vcpu.importState(TestMachine.state(.long64))
        #expect(machine.vcpu.run(budget: nil) == .halted)
        #expect(Set(try machine.vm.takeDirtyPages(region)).isSuperset(of: [5, 7]))
    }

    @Test func protectedMemoryKeepsItsContents() throws {
        let machine = try TestMachine(.long64, code: Self.stores)
        let region = machine.memory.regions[0]
        try machine.vm.protect(region, readOnly: true)
        #expect(machine.vcpu.run(budget: nil) == .halted)
        #expect(try machine.memory.read(at: .init(0x5000), count: 1) == [0])
        try machine.vm.protect(region, readOnly: false)
        try machine.vcpu.importState(TestMachine.state(.long64))
        #expect(machine.vcpu.run(budget: nil) == .halted)
        #expect(try machine.memory.read(at: .init(0x5000), count: 1) == [1])
    }
}

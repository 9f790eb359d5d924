// Task switches between a 32-bit and a 16-bit TSS: what is saved, what is loaded, busy flags and back links (SDM volume 3,
// section 8.3).

import Testing
import VirtualCPU

@Suite struct TaskSwitchTests {
    private static let oldSelector: UInt16 = 0x28
    private static let newSelector: UInt16 = 0x30
    private static let oldTSS: UInt64 = 0x8000
    private static let newTSS: UInt64 = 0x9000
    private static let newTask: UInt64 = 0x5100

    /// In a task with a 32-bit TSS, about to execute `code`; a 16-bit TSS waits, whose task executes `newCode`.
    private func machine(code: [UInt8], newCode: [UInt8]) throws -> TrapMachine {
        let machine = try TrapMachine(.protected32, code: code) { state in
            state.gdtr.limit = 0x37
            state.segments[7] = SegmentState(
                selector: Self.oldSelector, base: Self.oldTSS, limit: 0x67, attributes: 0x8b)
            for n in [0, 1, 2, 3, 5, 6, 7] { state.gpr[n] = 0x1111_0000 + UInt64(n) }
        }
        try machine.write(0x0000_8b00_8000_0067 as UInt64, at: TrapMachine.gdt + UInt64(Self.oldSelector))
        try machine.write(0x0000_8100_9000_002b as UInt64, at: TrapMachine.gdt + UInt64(Self.newSelector))
        try machine.write(UInt16(Self.newTask), at: Self.newTSS + 14)
        try machine.write(2 as UInt16, at: Self.newTSS + 16)
        for n in 0..<8 as Range<UInt16> {
            try machine.write(n == 4 ? 0x7000 : 0xab00 + n, at: Self.newTSS + 18 + 2 * UInt64(n))
        }
        for (n, selector) in [0x10, 0x08, 0x10, 0x10].enumerated() {
            try machine.write(UInt16(selector), at: Self.newTSS + 34 + 2 * UInt64(n))
        }
        for (n, byte) in newCode.enumerated() { try machine.write(byte, at: Self.newTask + UInt64(n)) }
        return machine
    }

    private func type(_ selector: UInt16, _ machine: TrapMachine) throws -> UInt64 {
        try machine.read(TrapMachine.gdt + UInt64(selector)) >> 40 & 0xf
    }

    @Test func jumpToA16BitTask() throws {
        // jmp 0x30:0; there: hlt
        let machine = try machine(code: [0xea, 0, 0, 0, 0, 0x30, 0], newCode: [0xf4])
        let outcome = try machine.run()
        let state = outcome.state
        #expect(outcome.exit == .halted && state.rip == Self.newTask + 1)
        for n in [0, 1, 2, 3, 5, 6, 7] { #expect(state.gpr[n] == 0xffff_ab00 + UInt64(n)) }
        #expect(state.gpr[4] == 0xffff_7000)
        #expect(state.segments[4].selector == 0 && state.segments[5].selector == 0)
        #expect(state.segments[7].selector == Self.newSelector && state.segments[7].attributes & 0xf == 3)
        #expect(state.cr0 & 1 << 3 != 0, "TS")
        #expect(state.rflags & 1 << 14 == 0, "a jump does not nest")
        #expect(try type(Self.oldSelector, machine) == 9 && type(Self.newSelector, machine) == 3)
        #expect(try machine.read(Self.oldTSS + 32) & 0xffff_ffff == TestMachine.codeAddress + 7)
        #expect(try machine.read(Self.oldTSS + 40) & 0xffff_ffff == 0x1111_0000)
        #expect(try machine.read(Self.oldTSS + 76) & 0xffff == 8)
    }

    @Test func callAndReturn() throws {
        // call 0x30:0; hlt; there: inc ax; iret
        let machine = try machine(code: [0x9a, 0, 0, 0, 0, 0x30, 0, 0xf4], newCode: [0x66, 0x40, 0xcf])
        let outcome = try machine.run()
        let state = outcome.state
        #expect(outcome.exit == .halted && state.rip == TestMachine.codeAddress + 8)
        for n in [0, 1, 2, 3, 5, 6, 7] { #expect(state.gpr[n] == 0x1111_0000 + UInt64(n)) }
        #expect(state.segments[7].selector == Self.oldSelector && state.segments[7].attributes & 0xf == 11)
        #expect(state.rflags & 1 << 14 == 0)
        #expect(try type(Self.oldSelector, machine) == 11 && type(Self.newSelector, machine) == 1)
        #expect(try machine.read(Self.newTSS) & 0xffff == UInt64(Self.oldSelector))
        // The nested task was saved behind its IRET, its NT cleared.
        let saved = try machine.read(Self.newTSS + 14)
        #expect(saved & 0xffff == Self.newTask + 3 && saved >> 16 & 1 << 14 == 0)
        #expect(try machine.read(Self.newTSS + 18) & 0xffff == 0xab01)
    }
}

// Process-context identifiers: which translations MOV CR3 and INVPCID leave, and which they do not (SDM volume 3, sections 4.10.1
// and 4.10.4.1).

import Testing
import VirtualCPU

@Suite struct AddressSpaceTests {
    /// Where two address spaces have a page of their own, and where they share one.
    private static let own: UInt32 = 0x80_0000
    private static let shared: UInt32 = 0x81_0000
    private static let tables: [UInt64] = [0x20_0000, 0x21_0000]
    private static let frames: [UInt64] = [0x30_0000, 0x31_0000, 0x32_0000, 0x33_0000]
    private static let descriptor: UInt32 = 0x6000

    // MARK: Code

    /// MOV CR3 to an address space, whose PCID is its number + 1.
    private static func enter(_ space: Int, keeping: Bool = true) -> [UInt8] {
        let value = tables[space] | UInt64(space + 1) | (keeping ? 1 << 63 : 0)
        return [0x48, 0xb8] + (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } + [0x0f, 0x22, 0xd8]
    }

    /// MOV R8D to R15D, [own]
    private static func load(_ register: UInt8) -> [UInt8] {
        [0x44, 0x8b, (register & 7) << 3 | 4, 0x25] + littleEndian(own)
    }

    private static func store(_ value: UInt32, at address: UInt32) -> [UInt8] {
        [0xc7, 0x04, 0x25] + littleEndian(address) + littleEndian(value)
    }

    /// Leads the own page of an address space to another frame, and tells nobody.
    private static func move(_ space: Int, to frame: Int) -> [UInt8] {
        store(UInt32(frames[frame] | 0x67), at: UInt32(tables[space]) + 0x3000)
    }

    /// MOV ECX, 1; INVPCID of what the descriptor says
    private static let invalidateContext: [UInt8] =
        movECX(1) + [0x66, 0x0f, 0x38, 0x82, 0x0c, 0x25] + littleEndian(descriptor)

    /// Calls the shared page, and moves AL into a register (EBP is 5).
    private static func call(_ result: UInt8) -> [UInt8] {
        movEAX(shared) + [0xff, 0xd0, 0x0f, 0xb6, 0xc0 | result << 3]
    }

    private func machine(_ code: [UInt8]) throws -> TrapMachine {
        let machine = try TrapMachine(.long64, model: "x86-64-v3,+pcid,+invpcid", code: code + [0xf4]) { state in
            state.cr3 = Self.tables[0] | 1
            state.cr4 |= 1 << 17
        }
        for (space, table) in Self.tables.enumerated() {
            try machine.write(table + 0x1000 | 7, at: table)
            try machine.write(table + 0x2000 | 7, at: table + 0x1000)
            // 4 MiB one to one, and a table for what lies at 8 MiB.
            try machine.write(0xe7 as UInt64, at: table + 0x2000)
            try machine.write(0x20_00e7 as UInt64, at: table + 0x2008)
            try machine.write(table + 0x3000 | 7, at: table + 0x2020)
            try machine.write(Self.frames[space] | 0x67, at: table + 0x3000)
            try machine.write(0x34_0067 as UInt64, at: table + 0x3000 + 16 * 8)
        }
        for (number, frame) in Self.frames.enumerated() { try machine.write(UInt32(number), at: frame) }
        // PCID 2, any address.
        try machine.write(2 as UInt64, at: UInt64(Self.descriptor))
        return machine
    }

    // MARK: Tests

    @Test func translationsAreKeptUntilTheyAreForgotten() throws {
        let code =
            Self.load(8) + Self.enter(1) + Self.load(9)
            + Self.move(0, to: 2) + Self.enter(0) + Self.load(10)
            + Self.move(1, to: 3) + Self.invalidateContext + Self.enter(1) + Self.load(11)
            + Self.enter(0, keeping: false) + Self.load(12)
            + Self.move(1, to: 1) + Self.enter(1) + Self.load(13)
            + Self.enter(1, keeping: false) + Self.load(14)
        let outcome = try machine(code).run()
        #expect(outcome.exit == .halted && outcome.vector == nil)
        let seen = outcome.state.gpr[8...14]
        // What is kept need not be; that it is, is what PCIDs are for.
        #expect(Array(seen) == [0, 1, 0, 3, 2, 3, 1])
    }

    /// A page that code was made from while its writer's address space was away.
    @Test func writesToCodeAreSeenBehindKeptTranslations() throws {
        let code =
            Self.enter(1)
            // mov al, 1; ret
            + Self.store(0x00c3_01b0, at: Self.shared)
            + Self.enter(0) + Self.call(5)
            + Self.enter(1) + [0xc6, 0x04, 0x25] + littleEndian(Self.shared + 1) + [2]
            + Self.enter(0) + Self.call(6)
        let outcome = try machine(code).run()
        #expect(outcome.exit == .halted && outcome.vector == nil)
        #expect(outcome.state.gpr[5] == 1)
        #expect(outcome.state.gpr[6] == 2)
    }
}

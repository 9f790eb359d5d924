// Code that was found somewhere is not found there any more once the guest has led the address elsewhere and said so, whatever
// flushes there were in between that changed nothing.

import Memory
import Testing
import VirtualCPU

@Suite struct FoundCodeTests {
    private static let code: UInt64 = 0x60_0000
    private static let other: UInt64 = 0x80_0000
    /// The page-directory entry of `code`, and a page table for it.
    private static let directoryEntry: UInt64 = 0x10_2018
    private static let table: UInt64 = 0x20_0000

    /// mov qword [address], value
    private static func store(_ value: UInt64, at address: UInt64) -> [UInt8] {
        [0x48, 0xc7, 0x04, 0x25] + littleEndian(UInt32(address)) + littleEndian(UInt32(value))
    }

    /// mov edx, code; call rdx
    private static let call = [0xba] + littleEndian(UInt32(code)) + [0xff, 0xd2]
    /// mov ebx, eax
    private static let keep: [UInt8] = [0x89, 0xc3]
    /// mov rcx, cr4; xor ecx, 80h; mov cr4, rcx: all translations go.
    private static let flushAll: [UInt8] = [0x0f, 0x20, 0xe1, 0x81, 0xf1, 0x80, 0, 0, 0, 0x0f, 0x22, 0xe1]
    /// mov rcx, cr3; mov cr3, rcx
    private static let flushNonGlobal: [UInt8] = [0x0f, 0x20, 0xd9, 0x0f, 0x22, 0xd9]

    /// invlpg [address]
    private static func flush(_ address: UInt64) -> [UInt8] {
        [0x0f, 0x01, 0x3c, 0x25] + littleEndian(UInt32(address))
    }

    /// Runs code in 64-bit mode in global pages, with two routines: that at `code` gives 1, that at `other` 2. Returns what the first
    /// and the last call gave.
    private static func run(_ program: [UInt8]) throws -> [UInt64] {
        let machine = try TestMachine(.long64, code: call + keep + program + call + [0xf4])
        for page in 0..<8 as Range<UInt64> {
            try machine.memory.writeInteger(page << 21 | 0x1e7, at: GuestPhysicalAddress(0x10_2000 + page * 8))
        }
        try machine.memory.writeInteger(0x10_1027 as UInt64, at: GuestPhysicalAddress(0x10_0000))
        try machine.memory.writeInteger(0x10_2027 as UInt64, at: GuestPhysicalAddress(0x10_1000))
        try machine.memory.write([0xb8, 1, 0, 0, 0, 0xc3], at: GuestPhysicalAddress(code))
        try machine.memory.write([0xb8, 2, 0, 0, 0, 0xc3], at: GuestPhysicalAddress(other))
        try machine.memory.writeInteger(code | 0x1e7, at: GuestPhysicalAddress(table))
        var state = try machine.vcpu.exportState()
        state.cr4 |= 0x80
        try machine.vcpu.importState(state)
        #expect(machine.vcpu.run(budget: 10_000) == .halted)
        let end = try machine.vcpu.exportState()
        return [end.gpr[3], end.gpr[0]]
    }

    @Test func nothingChangedIsNothingForgotten() throws {
        #expect(try Self.run(Self.flushAll + Self.flushAll + Self.flushNonGlobal + Self.flush(Self.code)) == [1, 1])
    }

    @Test func anotherPartOfALargePageIsTheWholePage() throws {
        let moved = Self.store(Self.other | 0x1e7, at: Self.directoryEntry) + Self.flush(Self.code + 0x5000)
        #expect(try Self.run(moved) == [1, 2])
        // The TLB has forgotten that there was a large page.
        #expect(try Self.run(Self.flushAll + moved) == [1, 2])
    }

    @Test func pagesThatAreGlobalNoMoreGoWithTheOthers() throws {
        let split = Self.store(Self.table | 0x27, at: Self.directoryEntry) + Self.flush(Self.code) + Self.call
        let unmarked = Self.store(Self.code | 0x67, at: Self.table) + Self.flush(Self.code)
        let moved = Self.store(Self.other | 0x67, at: Self.table) + Self.flushNonGlobal
        #expect(try Self.run(split + unmarked + moved) == [1, 2])
        #expect(try Self.run(split + unmarked + Self.flushAll + Self.flushAll + moved) == [1, 2])
    }
}

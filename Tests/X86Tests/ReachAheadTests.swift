// What generated code asks for ahead of its accesses is entered into the TLB only where that neither faults nor sets a flag.

import Memory
import Testing
import VirtualCPU
import X86

@Suite struct ReachAheadTests {
    private static let linear: UInt64 = 0x40_0000
    private static let table: UInt64 = 0x20_0000
    private static let frame: UInt64 = 0x30_0000
    private static let present: UInt64 = 7
    private static let accessed: UInt64 = 0x27
    private static let dirty: UInt64 = 0x67

    /// A machine in 64-bit mode whose pages from `linear` on have these entries.
    private static func machine(_ entries: UInt64..., directory: UInt64 = accessed) throws -> TestMachine {
        let machine = try TestMachine(.long64, code: [0xf4])
        func write(_ value: UInt64, _ address: UInt64) throws {
            try machine.memory.writeInteger(value, at: GuestPhysicalAddress(address))
        }
        try write(0x10_1000 | accessed, 0x10_0000)
        try write(0x10_2000 | accessed, 0x10_1000)
        try write(table | directory, 0x10_2010)
        for (index, entry) in entries.enumerated() { try write(entry, table + UInt64(index) * 8) }
        return machine
    }

    /// The guest-physical address that is reached.
    private static func reach(
        _ machine: TestMachine, _ linear: UInt64 = linear, size: Int = 8, writes: Bool = false
    ) throws -> UInt64? {
        let vcpu = try #require(machine.vcpu as? SoftwareCPU)
        let before = try machine.memory.readInteger(UInt64.self, at: GuestPhysicalAddress(table))
        let host = vcpu.reachAhead(linear, size: size, writes: writes)
        #expect(try machine.memory.readInteger(UInt64.self, at: GuestPhysicalAddress(table)) == before)
        #expect(try vcpu.exportState().cr2 == 0)
        guard let host, let region = machine.memory.regions.first else { return nil }
        return region.base.rawValue + UInt64(host - region.host)
    }

    @Test func readingNeedsTheAccessedFlags() throws {
        #expect(try Self.reach(Self.machine(Self.frame | Self.accessed), Self.linear + 0x123) == Self.frame + 0x123)
        #expect(try Self.reach(Self.machine(Self.frame | Self.present)) == nil)
        #expect(try Self.reach(Self.machine(Self.frame | Self.accessed, directory: Self.present)) == nil)
        #expect(try Self.reach(Self.machine(0)) == nil)
    }

    @Test func writingNeedsTheDirtyFlag() throws {
        #expect(try Self.reach(Self.machine(Self.frame | Self.dirty), writes: true) == Self.frame)
        #expect(try Self.reach(Self.machine(Self.frame | Self.accessed), writes: true) == nil)
        let protected = try Self.machine(Self.frame | Self.dirty & ~2)
        let vcpu = try #require(protected.vcpu as? SoftwareCPU)
        var state = try vcpu.exportState()
        state.cr0 |= 1 << 16
        try vcpu.importState(state)
        #expect(try Self.reach(protected, writes: true) == nil)
        #expect(try Self.reach(protected) == Self.frame)
    }

    @Test func bytesInTwoPagesHaveToBeNeighbours() throws {
        let place = Self.linear + 0xffc
        let neighbours = try Self.machine(Self.frame | Self.accessed, Self.frame + 0x1000 | Self.accessed)
        #expect(try Self.reach(neighbours, place) == Self.frame + 0xffc)
        #expect(try Self.reach(neighbours, place, size: 4) == Self.frame + 0xffc)
        let others = try Self.machine(Self.frame | Self.accessed, Self.frame + 0x2000 | Self.accessed)
        #expect(try Self.reach(others, place) == nil)
        #expect(try Self.reach(Self.machine(Self.frame | Self.accessed, 0), place) == nil)
    }

    @Test func devicesAreNotReached() throws {
        #expect(try Self.reach(Self.machine(0xfe00_0000 | Self.dirty)) == nil)
        #expect(try Self.reach(Self.machine(Self.frame | Self.dirty), 0x8000_0000_0000) == nil)
    }
}

import Memory
import Synchronization
import Testing

@Suite struct GuestMemoryTests {
    @Test func laysOutRAMAroundTheHole() throws {
        let memory = try GuestMemory(size: 4 << 30)
        #expect(memory.regions.map(\.base.rawValue) == [0, 1 << 32])
        #expect(memory.regions.map(\.size) == [3 << 30, 1 << 30])
    }

    @Test(arguments: [0, 1 << 50, UInt64.max]) func refusesImpossibleSizes(size: UInt64) {
        #expect(throws: GuestMemoryError.self) { try GuestMemory(size: size) }
    }

    @Test func writesAreSeenMarkedDirtyAndReported() throws {
        let memory = try GuestMemory(size: 1 << 20)
        let seen = Mutex<[UInt64]>([])
        memory.observeWrites { address, count in seen.withLock { $0 += [address.rawValue, count] } }
        try memory.write([1, 2, 3], at: GuestPhysicalAddress(0x1ffe))
        #expect(try memory.read(at: GuestPhysicalAddress(0x1ffd), count: 5) == [0, 1, 2, 3, 0])
        #expect(memory.regions[0].dirty[1] == 1 && memory.regions[0].dirty[2] == 1 && memory.regions[0].dirty[3] == 0)
        #expect(seen.withLock { $0 } == [0x1ffe, 3])
    }

    @Test func refusesAccessOutsideMemoryAndOverlaps() throws {
        let memory = try GuestMemory(size: 1 << 20)
        #expect(throws: GuestMemoryError.self) { try memory.read(at: GuestPhysicalAddress(0xfffff), count: 2) }
        #expect(throws: GuestMemoryError.self) { try memory.write([1], at: GuestPhysicalAddress(1 << 20)) }
        #expect(throws: GuestMemoryError.self) { try memory.read(at: GuestPhysicalAddress(.max), count: 1) }
        #expect(throws: GuestMemoryError.self) {
            try memory.addROM(base: GuestPhysicalAddress(0xff000), contents: [UInt8](repeating: 0, count: 4096))
        }
    }
}

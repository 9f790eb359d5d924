// Memory that the host is asked for ahead holds what is written, asked for or not, and no more of it is asked for than there is.

import Glibc
import Memory
import Testing

@Suite struct PreparedMemoryTests {
    private static let size = 4 << 20

    /// How many pages of it the host has mapped.
    private static func residentPages(_ memory: UnsafeMutableRawPointer) -> Int {
        var pages = [UInt8](repeating: 0, count: size / 4096)
        guard mincore(memory, size, &pages) == 0 else { return -1 }
        return pages.count { $0 & 1 != 0 }
    }

    /// Memory that nobody has touched; allocations may get what others gave back.
    private static func fresh(_ protection: Int32) throws -> UnsafeMutableRawPointer {
        try #require(mmap(nil, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "the host gives no memory")
    }

    @Test func piecesAreThereBeforeTheyAreTouched() throws {
        let memory = try Self.fresh(PROT_READ | PROT_WRITE)
        defer { munmap(memory, Self.size) }
        var prepared = PreparedMemory(memory, size: Self.size)
        try #require(Self.residentPages(memory) == 0)
        prepared.reach(1)
        let first = Self.residentPages(memory)
        // Where the host can't, nothing happens.
        #expect(first == 0 || first >= 8 && first <= 128)
        var reached = 0
        while reached < Self.size {
            reached = min(reached + 12_345, Self.size)
            prepared.reach(reached)
            memory.storeBytes(of: 0x5a, toByteOffset: reached - 1, as: UInt8.self)
            let resident = Self.residentPages(memory) * 4096
            try #require(first == 0 || resident >= reached & ~4095)
            try #require(resident <= reached + (1 << 20))
        }
        prepared.startOver()
        prepared.reach(Self.size)
        #expect(memory.load(fromByteOffset: Self.size - 1, as: UInt8.self) == 0x5a)
        #expect(memory.load(fromByteOffset: 12_344, as: UInt8.self) == 0x5a)
    }

    @Test func memoryThatIsReadKeepsItsContents() throws {
        let memory = try Self.fresh(PROT_READ)
        defer { munmap(memory, Self.size) }
        var prepared = PreparedMemory(memory, size: Self.size, isWritten: false)
        prepared.reach(Self.size)
        #expect((0..<Self.size / 4096).allSatisfy { memory.load(fromByteOffset: $0 * 4096, as: UInt8.self) == 0 })
    }

    @Test func whatTheHostRefusesIsNotAskedForAgain() throws {
        let memory = try Self.fresh(PROT_NONE)
        defer { munmap(memory, Self.size) }
        var prepared = PreparedMemory(memory, size: Self.size)
        prepared.reach(1)
        try #require(mprotect(memory, Self.size, PROT_READ | PROT_WRITE) == 0)
        prepared.reach(Self.size)
        #expect(Self.residentPages(memory) == 0)
    }
}

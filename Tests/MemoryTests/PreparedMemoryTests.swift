// Memory that the host is asked for ahead holds what is written, asked for or not, and no more of it is asked for than there is.

import Glibc
import Memory
import Testing

@Suite struct PreparedMemoryTests {
    private static let size = 4 << 20

    /// How many pages of it the host has mapped.
    private static func residentPages(_ memory: UnsafeMutablePointer<UInt8>) -> Int {
        var pages = [UInt8](repeating: 0, count: size / 4096)
        guard mincore(memory, size, &pages) == 0 else { return -1 }
        return pages.count { $0 & 1 != 0 }
    }

    @Test func piecesAreThereBeforeTheyAreTouched() {
        let memory: UnsafeMutablePointer<UInt8> = pageAligned(Self.size)
        defer { free(memory) }
        var prepared = PreparedMemory(memory, size: Self.size)
        #expect(Self.residentPages(memory) == 0)
        prepared.reach(1)
        let first = Self.residentPages(memory)
        // Where the host can't, nothing happens.
        #expect(first == 0 || first >= 8 && first <= 128)
        var reached = 0
        while reached < Self.size {
            reached = min(reached + 12_345, Self.size)
            prepared.reach(reached)
            memory[reached - 1] = 0x5a
            if first > 0 { #expect(Self.residentPages(memory) * 4096 >= reached & ~4095) }
            #expect(Self.residentPages(memory) * 4096 <= reached + (1 << 20))
        }
        prepared.startOver()
        prepared.reach(Self.size)
        #expect(memory[Self.size - 1] == 0x5a && memory[12_344] == 0x5a)
    }

    @Test func memoryThatIsReadKeepsItsContents() throws {
        let memory = try #require(
            mmap(nil, Self.size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), "the host gives no memory")
        defer { munmap(memory, Self.size) }
        var prepared = PreparedMemory(memory, size: Self.size, isWritten: false)
        prepared.reach(Self.size)
        #expect((0..<Self.size / 4096).allSatisfy { memory.load(fromByteOffset: $0 * 4096, as: UInt8.self) == 0 })
    }

    @Test func whatTheHostRefusesIsNotAskedForAgain() throws {
        let memory = try #require(mmap(nil, Self.size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        defer { munmap(memory, Self.size) }
        var prepared = PreparedMemory(memory, size: Self.size)
        prepared.reach(1)
        try #require(mprotect(memory, Self.size, PROT_READ | PROT_WRITE) == 0)
        prepared.reach(Self.size)
        #expect(Self.residentPages(memory.assumingMemoryBound(to: UInt8.self)) == 0)
    }
}

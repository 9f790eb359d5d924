// The decoder reads no byte that it was not given, whatever the bytes: they end where memory ends.

import Foundation
import TestSupport
import Testing
import X86

@Suite struct BoundsTests {
    /// `count` accessible bytes before a page that is not.
    private final class Edge {
        private let pages: UnsafeMutableRawPointer
        private let size = 8192

        init() throws {
            let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
            pages = try #require(memory == MAP_FAILED ? nil : memory)
            mprotect(pages + 4096, 4096, PROT_NONE)
        }

        deinit { munmap(pages, size) }

        func put(_ bytes: ArraySlice<UInt8>) -> UnsafeBufferPointer<UInt8> {
            let start = (pages + 4096 - bytes.count).assumingMemoryBound(to: UInt8.self)
            for (index, byte) in bytes.enumerated() { start[index] = byte }
            return UnsafeBufferPointer(start: start, count: bytes.count)
        }
    }

    @Test(arguments: DecodedInstruction.Mode.allCases) func staysWithinItsBytes(mode: DecodedInstruction.Mode) throws {
        let seed: UInt64 = setting("TRAPEZE_DECODER_SEED", default: 11)
        var source = ByteSource(seed: seed)
        let edge = try Edge()
        var lengths: Set<Int> = []
        var tooLong = 0
        for _ in 0..<setting("TRAPEZE_DECODER_CASES", default: 100_000) {
            let bytes = source.instruction()
            let whole = bytes.withUnsafeBufferPointer { DecodedInstruction($0, mode: mode) }
            let count = Int(source.next() % 16)
            let part = DecodedInstruction(edge.put(bytes[..<count]), mode: mode)
            switch whole.outcome {
            case .valid:
                #expect(whole.length <= 15)
                lengths.insert(whole.length)
                // Cut short, an instruction is never taken for another one.
                #expect(part.outcome == (count >= whole.length ? .valid : .truncated), "\(bytes), \(count) of them")
                if part.outcome == .valid { #expect(part.length == whole.length && part.mnemonic == whole.mnemonic) }
            case .tooLong:
                tooLong += 1
                #expect(part.outcome == (count >= 15 ? .tooLong : .truncated))
            case .invalid: #expect(part.outcome == .invalid || part.outcome == .truncated)
            case .truncated: Issue.record("32 bytes are not enough: \(bytes)")
            }
        }
        #expect(lengths.contains(1) && lengths.count >= 10)
        // Outside 64-bit mode half of the prefixes are INC and DEC.
        if mode == .code64 { #expect(lengths.contains(15) && tooLong > 0) }
    }
}

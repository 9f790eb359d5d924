// The tar reader against tar, in pieces of every size, and against damage.

import DebianGuest
import TestSupport
import Testing

@Suite struct TarScannerTests {
    private func archive() throws -> [UInt8] {
        let folder = try TemporaryFolder()
        let long = String(repeating: "directory/", count: 15)
        let script = """
            mkdir -p t/\(long); cd t
            printf one >one; : >empty; head -c 512 /dev/zero >block; printf far >\(long)file; ln -s one link
            """
        try run("/bin/sh", ["-c", script], in: folder.path)
        let result = try run(try #require(hostTool("tar")), ["-c", "--format=gnu", "-C", folder("t"), "."])
        try #require(result.succeeds)
        return result.output
    }

    private func scan(_ bytes: [UInt8], step: Int) -> TarScanner {
        var scanner = TarScanner { !$0.hasPrefix("not") }
        bytes.withUnsafeBytes { whole in
            for start in stride(from: 0, to: whole.count, by: step) {
                scanner.feed(UnsafeRawBufferPointer(rebasing: whole[start..<min(start + step, whole.count)]))
            }
        }
        return scanner
    }

    @Test(arguments: [1, 7, 511, 512, 513, 65536])
    func readsWhatTarWrites(_ step: Int) throws {
        let scanner = scan(try archive(), step: step)
        #expect(scanner.isComplete)
        let long = String(repeating: "directory/", count: 15)
        #expect(scanner.members.keys.sorted() == ["block", long + "file", "empty", "one"])
        #expect(scanner.members["one"] == Array("one".utf8))
        #expect(scanner.members["block"]?.count == 512)
        #expect(scanner.members[long + "file"] == Array("far".utf8))
    }

    @Test func noticesDamage() throws {
        var bytes = try archive()
        #expect(!scan(Array(bytes.prefix(700)), step: 512).isComplete)
        #expect(!scan([UInt8](repeating: 0x41, count: 1024), step: 512).isComplete)
        bytes[124] = UInt8(ascii: "9")
        #expect(!scan(bytes, step: 512).isComplete)
        let small = TarScanner(memberLimit: 2) { _ in true }
        var scanner = small
        try archive().withUnsafeBytes { scanner.feed($0) }
        #expect(!scanner.isComplete)
    }

    @Test func survivesRandomBytes() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix64(seed: seed)
        let whole = try archive()
        for _ in 0..<300 {
            var bytes = whole
            for _ in 0..<20 {
                bytes[Int.random(in: 0..<min(4096, bytes.count), using: &generator)] =
                    UInt8.random(in: 0...255, using: &generator)
            }
            let scanner = scan(bytes, step: 4096)
            #expect(scanner.members.values.reduce(0) { $0 + $1.count } <= whole.count, "seed \(seed)")
        }
    }
}

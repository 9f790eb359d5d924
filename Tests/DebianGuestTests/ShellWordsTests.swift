// Arguments pass through a shell byte for byte.

import DebianGuest
import Glibc
import TestSupport
import Testing

@Suite struct ShellWordsTests {
    private static let hard: [[UInt8]] = [
        Array(1...255), [], Array("'".utf8), Array("''\\''".utf8), Array("a b\t\nc\n\n".utf8), Array("-n".utf8),
        Array("$HOME `id` $(id) \"x\" \\ * ? [a] ~ {a,b} !x #y ;&|<>()".utf8), Array("é\u{301}".utf8),
        [0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0xFF, 0xFE], Array("--".utf8),
    ]

    /// What a shell makes of the words, separated by NULs. The script comes from a file, as in the guest.
    private func words(_ shell: String, _ arguments: [String], _ words: [[UInt8]]) throws -> [UInt8] {
        let folder = try TemporaryFolder()
        let script = Array("set -- ".utf8) + (try ShellWords.joined(words)) + Array("\nprintf '%s\\0' \"$@\"\n".utf8)
        try HostFiles.write(script, to: folder("script"))
        return try run(shell, arguments + [folder("script")]).output
    }

    private func joined(_ words: [[UInt8]]) -> [UInt8] { words.flatMap { $0 + [0] } }

    @Test func everyByteThroughTheSystemShell() throws {
        #expect(try words("/bin/sh", [], Self.hard) == joined(Self.hard))
    }

    @Test(.enabled(if: hostTool("busybox") != nil, "busybox is not installed"))
    func everyByteThroughBusybox() throws {
        let busybox = try #require(hostTool("busybox"))
        #expect(try words(busybox, ["sh"], Self.hard) == joined(Self.hard))
    }

    @Test func randomWords() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix64(seed: seed)
        let random = (0..<500).map { _ in
            (0..<Int.random(in: 0...40, using: &generator)).map { _ in UInt8.random(in: 1...255, using: &generator) }
        }
        #expect(
            try words(hostTool("busybox") ?? "/bin/sh", hostTool("busybox") == nil ? [] : ["sh"], random)
                == joined(random), "seed \(seed)")
    }

    @Test func refusesNUL() {
        #expect(throws: DebianGuestError.argumentContainsNUL(index: 2)) {
            try ShellWords.joined([[1], [2], [3, 0]])
        }
    }
}

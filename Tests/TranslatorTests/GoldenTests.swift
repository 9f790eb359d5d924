// The host code for each class of guest instruction is what was reviewed and accepted: byte for byte, addresses by their
// meaning. See `GoldenFile.swift`.

import Disassembly
import Foundation
import Testing
import Translator
import X86

@Suite struct GoldenTests {
    private static let accepts = ProcessInfo.processInfo.environment["TRAPEZE_ACCEPT_GOLDEN"] == "1"

    /// The same on every host.
    private static func model() throws -> CPUModel { try CPUModel(describedBy: "x86-64-v3") }

    @Test func codeIsWhatWasAccepted() throws {
        let model = try Self.model()
        let files = try GoldenFile.all()
        #expect(files.count > 3)
        if Self.accepts {
            let disassembler = try Disassembler()
            for file in files {
                try file.accepted(model, disassembler).write(to: file.url, atomically: true, encoding: .utf8)
            }
            return
        }
        for file in files {
            for golden in file.cases {
                let actual = golden.listing(golden.dissect(model), nil).map(\.expected)
                guard actual != golden.expected else { continue }
                let place = zip(actual, golden.expected).enumerated().first { $1.0 != $1.1 }?.offset
                let at = place ?? min(actual.count, golden.expected.count)
                func line(_ lines: [String]) -> String { at < lines.count ? lines[at] : "(the end)" }
                Issue.record(
                    """
                    \(file.url.lastPathComponent), "\(golden.title)", line \(at + 1): \(line(actual)), \
                    expected \(line(golden.expected)). If the new code is right: \
                    TRAPEZE_ACCEPT_GOLDEN=1 Tools/test --filter GoldenTests, and review the difference.
                    """)
            }
        }
    }

    @Test func everyKindOfOperationHasACase() throws {
        let model = try Self.model()
        var seen: Set<String> = []
        for file in try GoldenFile.all() {
            for golden in file.cases {
                let block = golden.dissect(model)
                #expect(block.instructions.reduce(0) { $0 + $1.count } == golden.guest.count, "\(golden.title)")
                seen.formUnion(block.kinds)
            }
        }
        #expect(seen == Set(BlockDissection.allKinds))
    }
}

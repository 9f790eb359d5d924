// Random loops on the translator and on the interpreter: registers, flags, vector state, memory and exceptions must be the
// same. TRAPEZE_STREAMS and TRAPEZE_STREAM_SEED choose how many and which.

import Foundation
import Testing
import Translator
import X86

@Suite(.serialized) struct StreamTests {
    private static func setting(_ name: String, default value: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? value
    }

    /// Streams in 64-bit mode, and for the other modes a quarter of them each.
    @Test(arguments: StreamMode.allCases)
    func streamsDoWhatTheInterpreterDoes(mode: StreamMode) throws {
        let all = Self.setting("TRAPEZE_STREAMS", default: 20_000)
        let count = mode == .long64 ? all : all / 4
        let seed = Self.setting("TRAPEZE_STREAM_SEED", default: 20_261_126)
        print("translator streams in \(mode): \(count), TRAPEZE_STREAM_SEED=\(seed)")
        let reference = try StreamMachine(InterpretEngine(), mode)
        let translated = try StreamMachine(TranslateEngine(threshold: 0), mode)
        var completed = 0
        for number in 0..<count {
            // Near the end of a page, so that streams cross into the next, or of the first 64 KiB.
            let offset: UInt64 = mode.width < 8 && number % 8 == 7 ? 0xffc0 : 0xfc0
            let stream = Self.stream(seed &+ number, mode, at: offset)
            // A quarter of them in counted steps.
            let budget = number % 4 == 0 ? number / 4 % 37 + 1 : nil
            guard let expected = try reference.run(stream, at: offset, budget: budget) else { continue }
            let actual = try #require(try translated.run(stream, at: offset, budget: budget), "number \(number)")
            if expected.state.rip >= mode.origin + offset, expected.state.rip < mode.code + 0x2_0000 { completed += 1 }
            guard expected != actual else { continue }
            let bytes = stream.code.map { String(format: "%02x", $0) }.joined(separator: " ")
            Issue.record(
                "\(mode), number \(number) with TRAPEZE_STREAM_SEED=\(seed) TRAPEZE_STREAMS=\(all):\n\(actual.differences(from: expected))\n\(bytes)"
            )
            return
        }
        // Many reach their end, and many fault.
        #expect(completed > Int(count) / 8 && completed < Int(count) || count < 100)
    }

    private static func stream(_ seed: UInt64, _ mode: StreamMode, at offset: UInt64) -> Stream {
        if mode == .long64 {
            var generator = StreamGenerator(seed: seed)
            return generator.next(data: mode.data, stack: mode.stack)
        }
        var generator = LegacyStreamGenerator(seed: seed, mode, at: mode.origin + offset)
        return generator.next()
    }
}

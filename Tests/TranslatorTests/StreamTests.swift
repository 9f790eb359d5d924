// Random loops on the translator and on the interpreter: registers, flags, vector state, memory and exceptions must be the
// same. TRAPEZE_STREAMS and TRAPEZE_STREAM_SEED choose how many and which.

import Foundation
import Testing
import Translator
import X86

@Suite struct StreamTests {
    private static func setting(_ name: String, default value: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? value
    }

    @Test func streamsDoWhatTheInterpreterDoes() throws {
        let count = Self.setting("TRAPEZE_STREAMS", default: 20_000)
        let seed = Self.setting("TRAPEZE_STREAM_SEED", default: 20_261_126)
        print("translator streams: \(count), TRAPEZE_STREAM_SEED=\(seed)")
        let reference = try StreamMachine(InterpretEngine())
        let translated = try StreamMachine(TranslateEngine(threshold: 0))
        var completed = 0
        for number in 0..<count {
            var generator = StreamGenerator(seed: seed &+ number)
            let (code, registers, flags) = generator.next(data: StreamMachine.data, stack: StreamMachine.stack)
            // A quarter of them in counted steps.
            let budget = number % 4 == 0 ? number / 4 % 37 + 1 : nil
            let expected = try reference.run(code, registers: registers, flags: flags, budget: budget)
            let actual = try translated.run(code, registers: registers, flags: flags, budget: budget)
            if expected.state.rip >= StreamMachine.code { completed += 1 }
            guard expected != actual else { continue }
            let bytes = code.map { String(format: "%02x", $0) }.joined(separator: " ")
            Issue.record(
                "TRAPEZE_STREAM_SEED=\(seed &+ number) TRAPEZE_STREAMS=1:\n\(actual.differences(from: expected))\n\(bytes)"
            )
            return
        }
        // Many reach their end, and many fault.
        #expect(completed > Int(count) / 8 && completed < Int(count) || count < 100)
    }
}

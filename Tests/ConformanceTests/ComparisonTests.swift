// `compare`: engines that agree are found to, and one that errs is named, with what it got wrong.

import Comparison
import Guests
import Machine
import Synchronization
import Testing
import Trapeze
import VirtualCPU

/// A boot source as a boot loader.
private struct Source: BootLoader {
    var bootSource: BootSource
    func validate() throws(ConfigurationError) {}
}

extension TinyGuest {
    /// Prints a text through COM1, then ends with status 42. The text's first byte is at `textAddress`.
    static func printing(_ text: String) -> TinyGuest {
        let code: [UInt8] = [
            0xbe, 0x13, 0x7c,  // mov si, text
            0xac,  // next: lodsb
            0x84, 0xc0,  // test al, al
            0x74, 0x06,  // jz end
            0xba, 0xf8, 0x03,  // mov dx, 0x3f8
            0xee,  // out dx, al
            0xeb, 0xf5,  // jmp next
            0xb0, 0x2a,  // end: mov al, 42
            0xe6, 0xf4,  // out 0xf4, al
            0xf4,  // hlt
        ]
        return TinyGuest(name: "prints", mode: .real16, code: code + Array(text.utf8) + [0])
    }

    static let textAddress: UInt64 = 0x7c13
}

extension MachineSuite {
    @Suite struct ComparisonTests {
        private static let text = "result: one\r\nmeasured: speed = 2.5 MB/s\r\nplain\r\nresult: two\r\n"

        private func compare(
            _ candidates: [EngineComparison.Candidate], repeats: Int = 1
        ) async throws -> EngineComparisonResult {
            try await compare(Source(bootSource: TinyGuest.printing(Self.text).source), candidates, repeats, 60)
        }

        private func compare(
            _ loader: any BootLoader, _ candidates: [EngineComparison.Candidate], _ repeats: Int, _ timeLimit: Double?
        ) async throws -> EngineComparisonResult {
            var configuration = VirtualMachineConfiguration()
            configuration.bootLoader = loader
            configuration.memorySize = 16 << 20
            configuration.clockSource = .instructions
            let comparison = try EngineComparison(
                configuration, candidates: candidates, repeats: repeats, timeLimit: timeLimit)
            return try await comparison.run()
        }

        /// An engine that counts, and works here.
        private static var engine: any Engine {
            (TestEngine.counting.first { $0.obstacle(to: .engine) == nil } ?? TestEngine.counting[0]).engine
        }

        private static func candidate(_ fault: FaultyEngine.Fault? = nil) -> EngineComparison.Candidate {
            let base = engine
            guard let fault else { return EngineComparison.Candidate(name: "right", engine: base) }
            return EngineComparison.Candidate(name: "faulty", engine: FaultyEngine(base: base, fault: fault))
        }

        @Test func enginesThatAgree() async throws {
            let candidates = TestEngine.counting.map {
                EngineComparison.Candidate(name: $0.engine.name, engine: $0.engine)
            }
            let result = try await compare(candidates, repeats: 2)
            #expect(result.findings.isEmpty)
            #expect(result.reference?.name == "interpret")
            for contender in result.ran {
                #expect(contender.runs.count == 2)
                let run = try #require(contender.runs.first)
                #expect(run.outcome == .exited(status: 42))
                #expect(run.report.results == ["one", "two"])
                #expect(run.report.otherLines == ["plain"])
                #expect(contender.measurement("speed", unit: "MB/s")?.median == 2.5)
                #expect(result.consoleDifference(of: contender) == nil)
            }
        }

        @Test("A result that one engine gets wrong is found, in each of its runs")
        func plantedResult() async throws {
            // The "o" of "one".
            let address = TinyGuest.textAddress + 8
            let result = try await compare(
                [Self.candidate(), Self.candidate(.memory(at: 1, address: address))], repeats: 2)
            let wrong = Disagreement.result(number: 1, expected: "one", found: "\u{7f}ne")
            #expect(result.findings.map(\.engine) == ["faulty", "faulty"])
            #expect(result.findings.map(\.run) == [1, 2])
            #expect(result.findings.allSatisfy { $0.disagreement == wrong })
        }

        @Test func plantedEnd() async throws {
            // The status in "mov al, 42".
            let result = try await compare([Self.candidate(), Self.candidate(.memory(at: 1, address: 0x7c0f))])
            #expect(
                result.findings.map(\.disagreement) == [
                    .ending(expected: "exit status 42", found: "exit status 58")
                ])
        }

        @Test("Other text that differs is shown and decides nothing")
        func plantedText() async throws {
            let address = TinyGuest.textAddress + UInt64(Self.text.utf8.count) - 20  // the "p" of "plain"
            let result = try await compare([Self.candidate(), Self.candidate(.memory(at: 1, address: address))])
            #expect(result.findings.isEmpty)
            let difference = try #require(result.consoleDifference(of: result.contenders[1]))
            #expect(difference.lines == [.removed("plain"), .added("`lain")])
        }

        @Test func enginesThatCannotRunAreListedWithTheReason() async throws {
            let result = try await compare(
                [EngineComparison.Candidate(name: "absent", obstacle: "not here"), Self.candidate()])
            #expect(result.contenders.map(\.obstacle) == ["not here", nil])
            #expect(result.ran.map(\.name) == ["right"])
            #expect(result.findings.isEmpty)
        }

        @Test func timeLimit() async throws {
            let halt = try #require(EmbeddedGuest.named("halt"))
            let result = try await compare(Source(bootSource: halt.bootSource), [Self.candidate()], 1, 0.2)
            #expect(result.timedOut)
            #expect(result.contenders[0].runs.map(\.ending) == ["time limit"])
        }

        @Test("The engines take turns")
        func turns() async throws {
            var configuration = VirtualMachineConfiguration()
            configuration.bootLoader = Source(bootSource: TinyGuest.printing("").source)
            let engine = Self.engine
            let comparison = try EngineComparison(
                configuration, candidates: ["a", "b"].map { .init(name: $0, engine: engine) }, repeats: 2, timeLimit: 60
            )
            let seen = Mutex<[String]>([])
            _ = try await comparison.run { progress in
                seen.withLock { $0.append("\(progress.run)/\(progress.runs) \(progress.engine)") }
            }
            #expect(seen.withLock { $0 } == ["1/4 a", "2/4 b", "3/4 a", "4/4 b"])
        }
    }
}

/// Consoles, without machines.
@Suite struct GuestReportTests {
    private func report(_ text: String) -> GuestReport { GuestReport(console: Array(text.utf8)) }

    @Test func marks() {
        let report = report("result: a = b\r\nresult:c\n result: no mark\nresults: neither\n")
        #expect(report.results == ["a = b", "c"])
        #expect(report.otherLines == [" result: no mark", "results: neither"])
    }

    @Test func measurements() {
        let report = report(
            "measured: a = b = -1.5e3 MB/s of it\nmeasured: x=2\nmeasured: no number = fast\nmeasured: y = nan\n")
        #expect(
            report.measurements == [
                .init(name: "a = b", value: -1500, unit: "MB/s of it"), .init(name: "x", value: 2, unit: ""),
            ])
        #expect(report.otherLines == ["measured: no number = fast", "measured: y = nan"])
    }

    @Test func linesWithoutAnEnd() {
        #expect(report("").otherLines.isEmpty)
        #expect(report("\n\nresult: last").otherLines == ["", ""])
        #expect(report("\n\nresult: last").results == ["last"])
        #expect(GuestReport(console: [0xff, 0x0a]).otherLines == ["\u{fffd}"])
    }

    @Test func missingResults() {
        let (both, one) = (report("result: a\nresult: b\n"), report("result: a\n"))
        #expect(
            Disagreement(expectedEnding: "x", expected: both, foundEnding: "y", found: one)
                == .result(number: 2, expected: "b", found: nil))
        #expect(
            Disagreement(expectedEnding: "x", expected: one, foundEnding: "x", found: both)
                == .result(number: 2, expected: nil, found: "b"))
        #expect(Disagreement(expectedEnding: "x", expected: one, foundEnding: "x", found: one) == nil)
    }

    @Test func samples() throws {
        #expect(Samples([]) == nil)
        let odd = try #require(Samples([3, 1, 2]))
        #expect(odd.median == 2)
        #expect(odd.range == 1...3)
        #expect(Samples([4, 1, 2, 3])?.median == 2.5)
    }

    @Test func textDifferences() {
        func lines(_ a: String, _ b: String) -> [TextDifference.Line] {
            TextDifference(from: a.split(separator: " ").map(String.init), to: b.split(separator: " ").map(String.init))
                .lines
        }
        #expect(lines("a b c d", "a b c d").isEmpty)
        #expect(lines("a b c d", "a x c d e") == [.removed("b"), .added("x"), .added("e")])
        #expect(lines("", "a") == [.added("a")])
        #expect(lines("a a b", "a b b") == [.removed("a"), .added("b")])
        let stamps = TextDifference(from: ["[    0.000000] Linux", "[x.y] z"], to: ["[   12.345678] Linux", "[x] z"])
        #expect(stamps.lines == [.removed("[x.y] z"), .added("[x] z")])
    }

    @Test func longTextsTakeNoLong() {
        let a = (0..<100_000).map { "a\($0)" }
        let b = (0..<100_000).map { "b\($0)" }
        #expect(TextDifference(from: a, to: b).lines.count == 2 * TextDifference.limit)
        #expect(TextDifference(from: a, to: a + ["end"]).lines == [.added("end")])
    }
}

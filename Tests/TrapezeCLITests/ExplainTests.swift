// `trapeze explain` and the names for Linux perf, as users see them.

import Foundation
import Testing

@Suite struct ExplainTests {
    /// Without a disassembler there is nothing to show, and the command says so.
    private func requireDisassembler() throws {
        let result = try run("explain", "exit-status")
        if result.errors.contains("install Debian's package libcapstone4") {
            try Test.cancel("Capstone is not installed")
        }
    }

    @Test func theHottestBlock() throws {
        try requireDisassembler()
        let result = try run("explain", "integer-loop", "--hottest", "1")
        try #require(result.status == 0, "\(result.errors)")
        #expect(result.errors == "trapeze: the guest's end: exited\n")
        let text = result.output
        #expect(
            text.contains(#/block 1 of 1: 0x[0-9a-f]+, supervisor code of 64 bits at guest-physical 0x[0-9a-f]+\n/#))
        let missing = firstMissing(
            [
                "executed ", "links in: 0x", "(linked)", "guest code", "dec ecx", "operations after lowering",
                "access flags=writes size=4", "jumpIf", "operations after flag plan", "host code",
                "the way in for indirect jumps", "{code_base}", "add eax, dword ptr [r15]", "out of line",
                "call gate leaveHere", "jumps that are not linked", "jmp gate exit",
            ], in: text)
        #expect(missing == nil, "\(missing ?? "")\n\(text)")
        // A loop of twenty million rounds, of which the first few were interpreted.
        let executions = try #require(text.firstMatch(of: #/executed (\d+) times/#).flatMap { Int($0.1) })
        #expect(executions > 19_999_000 && executions <= 20_000_000)
        let share = try #require(text.firstMatch(of: #/times, ([\d.]+) %/#).flatMap { Double($0.1) })
        #expect(share > 99 && share <= 100)
        // The code that counts executions is not part of what is shown.
        #expect(!text.contains("lea r13, [r13 + 1]"))
    }

    @Test func byAddressSymbolAndAsJSON() throws {
        try requireDisassembler()
        try withTemporaryFolder { folder in
            let hottest = try run("explain", "integer-loop", "--hottest", "1", "--json", folder + "/all.json")
            let address = try #require(hottest.output.firstMatch(of: #/block 1 of 1: (0x[0-9a-f]+)/#)).1
            let byAddress = try run("explain", "integer-loop", "--address", String(address))
            #expect(byAddress.output.contains("block 1 of 1: \(address),"))

            let digits = address.dropFirst(2)
            try "\(digits) T the_loop\r\nffffffff00000000 T beyond\n".write(
                toFile: folder + "/map", atomically: true, encoding: .utf8)
            let named = try run("explain", "integer-loop", "--symbols", folder + "/map", "--symbol", "the_loop")
            #expect(named.status == 0, "\(named.errors)")
            #expect(named.output.contains("block 1 of"))
            #expect(named.output.contains("\(address) <the_loop>"))
            #expect(named.output.contains("jne \(address) <the_loop>"))

            struct Report: Decodable {
                struct Block: Decodable {
                    struct Line: Decodable { let offset: Int, part: String, bytes: String, text: String }
                    struct Stage: Decodable { let name: String, operations: [String] }
                    let address: String, executions: UInt64, guestBytes: Int, hostBytes: Int, stages: [Stage],
                        host: [Line]
                }
                let blocks: [Block]
            }
            let report = try JSONDecoder().decode(
                Report.self, from: try Data(contentsOf: URL(filePath: folder + "/all.json")))
            let block = try #require(report.blocks.first)
            #expect(block.address == address && block.executions > 19_999_000)
            #expect(block.stages.map(\.name) == ["lowering", "flag plan"] || block.stages.count > 2)
            let bytes = block.host.reduce(0) { $0 + $1.bytes.split(separator: " ").count }
            #expect(bytes == block.hostBytes && bytes > block.guestBytes)
        }
    }

    @Test(arguments: [
        (["integer-loop", "--address", "12g"], "with 0x before hexadecimal digits"),
        (["integer-loop", "--address", "0xdead0000"], "nothing was translated at 0xdead0000"),
        (["integer-loop", "--symbol", "x"], "--symbol needs --symbols"),
        (["integer-loop", "--symbols", "/nonexistent"], "symbols /nonexistent: no such file"),
        (["integer-loop", "--hottest", "2", "--address", "1"], "exclude each other"),
        (["integer-loop", "--hottest", "0"], "1 or more"), (["debian"], "needs a command after --, or --timeout"),
    ])
    func mistakes(arguments: [String], message: String) throws {
        try requireDisassembler()
        let result = try run(["explain"] + arguments)
        #expect(result.status == 125)
        #expect(result.output.isEmpty)
        #expect(result.errors.contains(message), "\(result.errors)")
    }

    // MARK: Names for perf

    @Test func perfMap() throws {
        try withTemporaryFolder { folder in
            try "0 T nothing\n1000 T low\n100000 T loader\n".write(
                toFile: folder + "/map", atomically: true, encoding: .utf8)
            let files = open(folder + "/err", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            defer { close(files) }
            let child = try ChildProcess(
                ["run", "integer-loop", "--engine", "translate", "--perf-map", "--symbols", folder + "/map"],
                errors: files)
            let end = try #require(child.wait(seconds: 60))
            let path = "/tmp/perf-\(child.pid).map"
            defer { unlink(path) }
            #expect(end.status == 42 || end.status == 0)
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            #expect(!lines.isEmpty)
            var last: UInt64 = 0
            for line in lines {
                let match = try #require(line.wholeMatch(of: #/([0-9a-f]+) ([0-9a-f]+) guest:(\S+)/#), "\(line)")
                let start = try #require(UInt64(match.1, radix: 16))
                let size = try #require(UInt64(match.2, radix: 16))
                // One vCPU's code lies in order, and nothing overlaps.
                #expect(start >= last && size > 0)
                last = start + size
            }
            #expect(lines.contains { $0.contains("guest:loader+0x") })
        }
    }

    @Test func perfMapNeedsTheTranslator() throws {
        let result = try run("run", "integer-loop", "--engine", "interpret", "--perf-map")
        #expect(result.status == 125)
        #expect(result.errors.contains("a perf map names the code of engine 'translate'"), "\(result.errors)")
    }

    // MARK: Stages

    @Test func statisticsHaveTheStages() throws {
        try withTemporaryFolder { folder in
            let result = try run(
                "run", "integer-loop", "--engine", "translate", "--serial", "null", "--stats", folder + "/stats")
            #expect(result.errors.isEmpty)
            let data = try Data(contentsOf: URL(filePath: folder + "/stats"))
            let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
            let counters = try #require(object["counters"] as? [String: Any])
            func nanoseconds(_ stage: String) throws -> Double {
                try #require(counters[stage + "Nanoseconds"] as? NSNumber, "\(stage)").doubleValue
            }
            let stages = ["lookup", "decode", "lower", "encode", "link", "execute", "interpret", "event"]
            let sum = try stages.reduce(0) { try $0 + nanoseconds($1) }
            let wall = try #require(object["wallSeconds"] as? NSNumber).doubleValue
            // A loop spends its time in generated code, and no stage counts what another does.
            #expect(try nanoseconds("execute") > 0.5 * sum)
            #expect(sum > 0 && sum < wall * 1.1e9)
            #expect((counters["lookups"] as? NSNumber)?.intValue ?? 0 > 0)
        }
    }
}

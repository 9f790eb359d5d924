// `trapeze compare` as users see it. What it finds where an engine errs is in ConformanceTests, where faults are planted.

import Foundation
import Testing

@Suite struct CompareTests {
    @Test func table() throws {
        // Without KVM, whose module decides how far a guest gets.
        let result = try run("compare", "tour", "--repeat", "2", environment: ["TRAPEZE_KVM_DEVICE": "/nonexistent"])
        #expect(result.status == 0)
        #expect(result.errors.isEmpty)
        #expect(result.output.hasPrefix("tour: 2 runs on each engine, 1 vCPU, 512 MiB\n\nengine "))
        #expect(result.output.contains(#/\ninterpret +[0-9.]+ +\([0-9.]+–[0-9.]+\) .* power-off\n/#))
        #expect(result.output.contains(#/\ntrap +cannot run: /#))
        #expect(result.output.contains(#/\nkvm +cannot run: there is no \/nonexistent/#))
        for row in ["portAccesses", "exceptions", "tlbMisses"] { #expect(result.output.contains("\n  \(row) ")) }
        #expect(result.output.hasSuffix("The engines agree on the end (power-off); the guest marks no results.\n"))
    }

    @Test("The costs of operations are in the table of nano")
    func nano() throws {
        let result = try run("compare", "nano", "--repeat", "1", "--engines", "translate,interpret", "--cpus", "2")
        #expect(result.status == 0, "\(result.output)")
        #expect(result.output.contains(#/measured by the guest +translate +interpret\n/#))
        let operations = [
            "syscall", "in", "out", "cr8wr", "call/ret", "cpuid", "divzero", "mmio", "pgfault", "ptemod", "cr3wr",
            "switch", "interrupt", "ipi",
        ]
        for operation in operations {
            let rows = result.output.split(separator: "\n").filter { $0.hasPrefix("  \(operation), ") }
            #expect(rows.count == 2, "\(operation): \(rows)")
            for row in rows { #expect(row.contains(#/(cycles|ns) +[0-9.,]+ +[0-9.,]+$/#), "\(row)") }
        }
        #expect(result.output.hasSuffix("agree on the end (exit status 0) and 14 results.\n"))
    }

    @Test func json() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/report.json"
            let result = try run("compare", "nano", "--repeat", "1", "--engines", "interpret,trap", "--json", path)
            #expect(result.status == 0)
            let report = try #require(
                JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: path))) as? [String: Any])
            #expect(report["schema"] as? Int == 1)
            #expect(report["agree"] as? Bool == true)
            #expect(report["reference"] as? String == "interpret")
            let engines = try #require(report["engines"] as? [[String: Any]])
            #expect(engines.map { $0["name"] as? String } == ["interpret", "trap"])
            #expect(engines[0]["obstacle"] is NSNull)
            #expect((engines[1]["obstacle"] as? String)?.isEmpty == false)
            #expect(engines[1]["wallSeconds"] is NSNull)
            #expect(engines[0]["ratio"] as? Double == 1)
            let runs = try #require(engines[0]["runs"] as? [[String: Any]])
            #expect(runs[0]["outcome"] as? String == "exited")
            #expect((runs[0]["results"] as? [String])?.contains("call/ret ok") == true)
            let counters = try #require(runs[0]["counters"] as? [String: Any])
            #expect(counters["instructions"] is Int)
            #expect(counters["blocksTranslated"] is NSNull)
            // Its keys are documented.
            let document = try String(
                contentsOf: URL(filePath: #filePath).appending(path: "../../../Docs/compare.md").standardized,
                encoding: .utf8)
            let keys = Set(report.keys).union(engines[0].keys).union(runs[0].keys)
            for key in keys { #expect(document.contains("`\(key)`"), "\(key)") }
        }
    }

    @Test("A guest whose result is a time disagrees with itself")
    func disagreement() throws {
        // 16-bit code that prints "result: X" with a letter from the TSC, and ends with status 0.
        let text = Array("result: A\n".utf8)
        let code: [UInt8] = [
            0x0f, 0x31,  // rdtsc
            0x24, 0x0f,  // and al, 15
            0x00, 0x06, 0x24, 0x7c,  // add [letter], al
            0xbe, 0x1c, 0x7c,  // mov si, text
            0xac,  // next: lodsb
            0x84, 0xc0,  // test al, al
            0x74, 0x06,  // jz end
            0xba, 0xf8, 0x03,  // mov dx, 0x3f8
            0xee,  // out dx, al
            0xeb, 0xf5,  // jmp next
            0x30, 0xc0,  // end: xor al, al
            0xe6, 0xf4,  // out 0xf4, al
            0xf4, 0x90,  // hlt
        ]
        try withTemporaryFolder { folder in
            let path = folder + "/guest"
            try Data(code + text + [0]).write(to: URL(filePath: path))
            let arguments = ["compare", "--flat", path, "--engines", "interpret", "--repeat", "12"]
            let result = try run(arguments)
            #expect(result.status == 1, "\(result.output)")
            #expect(result.output.contains("The engines DISAGREE"))
            #expect(
                result.output.contains(
                    #/\n  interpret, run [0-9]+: result 1\n    expected  [A-P]\n    found     [A-P]\n/#))
            let counted = try run(arguments + ["--clock", "instructions"])
            #expect(counted.status == 0, "\(counted.output)")
            #expect(counted.output.hasSuffix("its runs agree on the end (exit status 0) and 1 result.\n"))
        }
    }

    @Test func timeLimit() throws {
        let result = try run("compare", "halt", "--timeout", "0.2", "--repeat", "1", "--engines", "interpret")
        #expect(result.status == 124)
        #expect(result.output.contains("time limit\n"))
    }

    @Test func noEngine() throws {
        let result = try run("compare", "tour", "--engines", "trap")
        #expect(result.status == 126)
        #expect(result.output.contains("\ntrap    cannot run: it is not built into this version"))
        #expect(result.errors == "trapeze: none of the engines can run this guest here\n")
    }

    @Test("Progress is shown on a terminal, and taken away")
    func progress() throws {
        let terminal = try PseudoTerminal()
        let child = try ChildProcess(
            ["compare", "tour", "--repeat", "1", "--engines", "interpret"], terminal: terminal.path)
        try terminal.wait("the end: \(terminal.shown)") { child.wait(seconds: 0) != nil }
        #expect(terminal.shown.contains("\rrun 1 of 1: interpret, "))
        #expect(terminal.shown.contains("\r\u{1b}[Ktour: one run on each engine"))
    }

    @Test(arguments: [
        (["--engines", "interpet", "tour"], "unknown engine 'interpet'"),
        (["--engines", "auto"], "'auto' is no engine"),
        (["--engines", "interpret,"], "needs names with one comma"),
        (["--engines", "interpret,interpret"], "engine 'interpret' is given twice"),
        (["--repeat", "0"], "--repeat needs a number of 1 or more"), (["debian"], "needs a command after --"),
        (["tuor"], "unknown guest 'tuor'"), (["--json", "/nonexistent/x"], "report /nonexistent/x: no such file"),
        (["--kernel", "/nonexistent"], "/nonexistent: cannot be read"), (["--cpus", "99"], "1 to 64 vCPUs"),
    ])
    func mistakes(arguments: [String], message: String) throws {
        let result = try run(["compare"] + arguments)
        #expect(result.status == 125)
        #expect(result.output.isEmpty)
        #expect(result.errorLines.count == 1, "\(result.errors)")
        #expect(result.errors.contains(message), "\(result.errors)")
    }
}

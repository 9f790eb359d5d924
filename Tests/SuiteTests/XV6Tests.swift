// xv6 for the PC: its memory-disk kernel, by Multiboot, on one to four vCPUs, to its shell and through its own commands.

import Foundation
import Testing

@Suite(.serialized, SuiteFolder.xv6.isNamed)
struct XV6Tests {
    /// xv6 takes 224 MiB for granted.
    private func boot(engine: String, cpus: Int) throws -> InteractiveProgram {
        let folder = try #require(SuiteFolder.xv6.path)
        let program = try InteractiveProgram([
            "run", "--engine", engine, "--kernel", "\(folder)/kernelmemfs", "--cpus", "\(cpus)", "--memory", "256M",
        ])
        try program.wait("shell", seconds: 120) { $0.hasSuffix("$ ") }
        return program
    }

    /// Types a command and waits for the next prompt; the answer without its echo.
    private func run(_ command: String, on program: InteractiveProgram, seconds: Double = 120) throws -> String {
        try program.type(command + "\n")
        let answer = try program.wait("prompt after '\(command)'", seconds: seconds) { $0.hasSuffix("\n$ ") }
        return String(answer.dropFirst(command.count + 1).dropLast(2))
    }

    @Test(arguments: Program.engines, [1, 2, 4])
    func runsItsOwnCommands(engine: String, cpus: Int) throws {
        let program = try boot(engine: engine, cpus: cpus)
        for cpu in 0..<cpus { #expect(program.shown.contains("cpu\(cpu): starting \(cpu)\n")) }
        let files = try run("ls", on: program).split(separator: "\n").map { $0.prefix { $0 != " " } }
        for name in ["README", "cat", "sh", "usertests", "console"] { #expect(files.contains { $0 == name }) }
        #expect(try run("echo one two | wc", on: program) == "1 2 8 \n")
        #expect(try run("mkdir d", on: program) == "")
        #expect(try run("echo kept > d/f", on: program) == "")
        #expect(try run("cat d/f", on: program) == "kept\n")
        #expect(try run("rm d/f", on: program) == "")
        #expect(try run("cat README | grep Thompson", on: program).contains("Ken Thompson's Unix"))
        #expect(try run("forktest", on: program) == "fork test\nfork test OK\n")
        #expect(try run("stressfs", on: program).hasPrefix("stressfs starting\n"))
    }

    /// xv6's own test suite.
    @Test(
        .enabled(
            if: ProcessInfo.processInfo.environment["TRAPEZE_XV6_USERTESTS"] != nil,
            "TRAPEZE_XV6_USERTESTS is not set: it takes minutes"), arguments: Program.engines)
    func passesItsUserTests(engine: String) throws {
        let program = try boot(engine: engine, cpus: 2)
        try program.type("usertests\n")
        let report = try program.wait("end of usertests", seconds: 1800) { $0.hasSuffix("\n$ ") }
        #expect(report.contains("ALL TESTS PASSED"))
    }
}

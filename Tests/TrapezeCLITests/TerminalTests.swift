// The terminal belongs to the user: raw while a guest runs, and given back on every way out.

import Foundation
import Testing

@Suite(.serialized) struct TerminalTests {
    /// A guest that stays for good, on a terminal in raw mode.
    private func startHalted() throws -> (PseudoTerminal, ChildProcess, before: [UInt32]) {
        let terminal = try PseudoTerminal()
        let before = terminal.settings
        #expect(!terminal.isRaw)
        let child = try ChildProcess(["run", "halt"], terminal: terminal.path)
        try terminal.wait("raw mode") { terminal.isRaw }
        return (terminal, child, before)
    }

    private func expectEnd(
        _ terminal: PseudoTerminal, _ child: ChildProcess, before: [UInt32], status: Int32? = nil, signal: Int32? = nil
    ) throws {
        var end: (status: Int32?, signal: Int32?, usage: rusage)?
        try terminal.wait("the end: \(terminal.shown)") {
            end = child.wait(seconds: 0)
            return end != nil
        }
        #expect(end?.status == status)
        #expect(end?.signal == signal)
        #expect(terminal.settings == before)
    }

    @Test func quitKey() throws {
        let (terminal, child, before) = try startHalted()
        terminal.type("\u{1}x")
        try expectEnd(terminal, child, before: before, status: 0)
    }

    @Test func helpKeyAndKeysForTheGuest() throws {
        let (terminal, child, before) = try startHalted()
        // Ctrl-C and Ctrl-Z are the guest's, which does not listen.
        terminal.type("\u{3}\u{1a}\u{1}\u{1}\u{1}h")
        try terminal.wait("the keys") { terminal.shown.contains("Ctrl-A x       end the run\r\n") }
        #expect(child.wait(seconds: 0.2) == nil)
        terminal.type("\u{1}X")
        try expectEnd(terminal, child, before: before, status: 0)
    }

    @Test func guestEndsTheRun() throws {
        let terminal = try PseudoTerminal()
        let before = terminal.settings
        let child = try ChildProcess(["run", "exit-status"], terminal: terminal.path)
        try expectEnd(terminal, child, before: before, status: 42)
    }

    @Test func timeLimit() throws {
        let terminal = try PseudoTerminal()
        let before = terminal.settings
        let child = try ChildProcess(["run", "halt", "--timeout", "0.3"], terminal: terminal.path)
        try expectEnd(terminal, child, before: before, status: 124)
        #expect(terminal.shown.contains("the time limit of 0.3 s is reached\r\n"))
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP, SIGQUIT])
    func endingSignals(number: Int32) throws {
        let (terminal, child, before) = try startHalted()
        kill(child.pid, number)
        try expectEnd(terminal, child, before: before, signal: number)
    }

    @Test(arguments: [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP])
    func crashes(number: Int32) throws {
        let (terminal, child, before) = try startHalted()
        kill(child.pid, number)
        try expectEnd(terminal, child, before: before, signal: number)
    }

    /// Stopped by a shell's job control, the terminal is the shell's; continued, it is the guest's again.
    @Test func stopAndContinue() throws {
        let terminal = try PseudoTerminal()
        let before = terminal.settings
        // A shell with job control goes on when its job is stopped, and waits for a line before it continues it.
        let script = "set -m; \"$0\" run halt --timeout 60; read line; fg; echo \"ended with $?\""
        let shell = try ChildProcess(["-c", script, trapezePath], executable: "/bin/sh", terminal: terminal.path)
        try terminal.wait("raw mode") { terminal.isRaw }
        let child = try #require(childOf(shell.pid))
        kill(child, SIGTSTP)
        try terminal.wait("the terminal given back") { terminal.settings == before && state(of: child) == "T" }
        terminal.type("\n")
        try terminal.wait("raw mode again") { terminal.isRaw }
        terminal.type("\u{1}x")
        try terminal.wait("the end") { terminal.shown.contains("ended with 0") }
        #expect(terminal.settings == before)
    }

    private func childOf(_ pid: pid_t) -> pid_t? {
        let path = "/proc/\(pid)/task/\(pid)/children"
        return (try? String(contentsOfFile: path, encoding: .utf8))?.split(separator: " ").first.flatMap { pid_t($0) }
    }

    private func state(of pid: pid_t) -> String? {
        guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        return stat.split(separator: ")").last?.split(separator: " ").first.map(String.init)
    }
}

// The guest's own programs, and whole guests booted with QEMU's software CPU where QEMU and a fetched kernel exist.

import DebianGuest
import Glibc
import Testing

@Suite struct GuestProgramTests {
    @Test func foregroundRestoresSignals() throws {
        let folder = try TemporaryFolder()
        try folder.writeProgram("foreground", ForegroundProgram.file)
        let body = "trap '' INT QUIT; exec \"$@\" /bin/sh -c 'kill -INT $$; echo survived'"
        #expect(try text(run("/bin/sh", ["-c", body, "sh"]).output) == "survived\n")
        #expect(try run("/bin/sh", ["-c", body, "sh", folder("foreground")]).ending == .signalled(SIGINT))
        let quit = "trap '' INT QUIT; exec \(folder("foreground")) /bin/sh -c 'kill -QUIT $$'"
        #expect(try run("/bin/sh", ["-c", "ulimit -c 0; " + quit]).ending == .signalled(SIGQUIT))
    }

    @Test func foregroundPassesArgumentsAndEnvironment() throws {
        let folder = try TemporaryFolder()
        try folder.writeProgram("foreground", ForegroundProgram.file)
        let result = try run(
            "/bin/sh", ["-c", "X=y exec \(folder("foreground")) /bin/sh -c 'echo $0 $1 $X; exit 5' a 'b c'"])
        #expect(text(result.output) == "a b c y\n")
        #expect(result.ending == .exited(5))
        #expect(try run(folder("foreground"), ["/nonexistent"]).ending == .exited(127))
        #expect(try run(folder("foreground"), []).ending == .exited(127))
    }

    @Test(.enabled(if: hostTool("readelf") != nil, "readelf is not installed"))
    func exitProgramIsAnELFFile() throws {
        // Not run here: as root it would write the port and power the host off.
        let folder = try TemporaryFolder()
        try HostFiles.write(ExitProgram.file, to: folder("exit"), mode: 0o755)
        let result = try run(try #require(hostTool("readelf")), ["-hlW", folder("exit")])
        #expect(result.succeeds)
        #expect(result.errors.isEmpty)
        #expect(text(result.output).contains("Advanced Micro Devices X86-64"))
    }
}

/// Whether a guest can be booted here, and with what.
enum Emulator {
    static let qemu = hostTool("qemu-system-x86_64")
    static let isReady: Bool = {
        guard qemu != nil, let cache = try? DebianCache(environment: { getenv($0).map { String(cString: $0) } })
        else { return false }
        return cache.entry(for: .cloud) != nil
    }()
}

@Suite(
    .serialized,
    .enabled(if: Emulator.isReady, "needs qemu-system-x86_64, and Debian's kernel in the cache from an earlier run"))
struct BootTests {
    /// Boots and returns the console's bytes after the firmware's, and the status that the guest reported (QEMU's
    /// isa-debug-exit ends with twice the value plus one), nil for a clean power-off.
    private func boot(_ options: DebianGuestOptions) throws -> (console: [UInt8], status: Int32?) {
        let guest = try DebianGuest.prepare(options) { _ in Issue.record("the cache should be warm") }
        let folder = try TemporaryFolder()
        try HostFiles.write(guest.initrd, to: folder("initrd"))
        let result = try HostCommand(
            program: try #require(Emulator.qemu),
            arguments: [
                "-accel", "tcg", "-m", "256", "-display", "none", "-monitor", "none", "-nodefaults", "-no-reboot",
                "-serial", "file:" + folder("console"), "-device", "isa-debug-exit,iobase=0xf4,iosize=1",
                "-kernel", guest.kernelPath, "-initrd", folder("initrd"), "-append", guest.commandLine,
            ], timeLimit: 120
        ).run()
        let console = try run("/bin/cat", [folder("console")]).output
        guard case .exited(let code) = result.ending else {
            Issue.record("QEMU ended with \(result.ending): \(text(result.errors)) \(text(console))")
            return (console, nil)
        }
        return (console, code == 0 ? nil : code >> 1)
    }

    private func command(_ words: [[UInt8]]) -> DebianGuestOptions {
        var options = DebianGuestOptions()
        options.command = words
        return options
    }

    private func command(_ words: String...) -> DebianGuestOptions { command(words.map { Array($0.utf8) }) }

    @Test func argumentsAndOutputByteForByte() throws {
        // Neither NUL nor more than the console's own bytes: everything that is printed comes back as it is.
        let words: [[UInt8]] = [Array(1...255), [], Array("a\r\nb\n".utf8), Array("-n 'q' \"r\" $x".utf8)]
        let guest = try boot(command([Array("printf".utf8), Array("<%s>".utf8)] + words))
        #expect(guest.console == words.flatMap { Array("<".utf8) + $0 + Array(">".utf8) })
        #expect(guest.status == 0)
    }

    @Test func longOutputIsWholeAtTheEnd() throws {
        let guest = try boot(command("seq", "1", "5000"))
        #expect(guest.console == (1...5000).flatMap { Array("\($0)\n".utf8) })
        #expect(guest.status == 0)
    }

    @Test func statusesAsInAShell() throws {
        // Seven bits of the status come through QEMU's (value << 1) | 1.
        #expect(try boot(command("sh", "-c", "exit 37")).status == 37)
        #expect(try boot(command("sh", "-c", "kill -9 $$")).status == (128 + 9) & 0x7F)
        let missing = try boot(command("no such command"))
        #expect(missing.status == 127)
        #expect(text(missing.console) == "no such command: command not found\n")
        #expect(try boot(command("/etc/passwd")).status == 126)
    }

    @Test func powerOffIsSilentAndClean() throws {
        let guest = try boot(command("sh", "-c", "echo going; poweroff; sleep 30"))
        #expect(text(guest.console) == "going\n")
        #expect(guest.status == nil)
    }

    @Test func firstLineAndTerminalSettings() throws {
        var options = command("sh", "-c", "stty size; echo $TERM; uname -r; lsmod | grep -c ^pvpanic_mmio")
        options.firstLine = "it's the first"
        options.console = .terminal(term: "xterm-x", size: .init(rows: 31, columns: 101))
        let guest = try boot(options)
        let lines = text(guest.console).split(separator: "\r\n").map(String.init)
        let release = try DebianGuest.prepare(options) { _ in }.release
        #expect(lines == ["it's the first", "31 101", "xterm-x", release, "1"])
    }

    @Test func anAppendedUserlandKeepsItsOwnTools() throws {
        let folder = try TemporaryFolder()
        // A userland whose `ls` is its own, and which has nothing else.
        try run("/bin/mkdir", ["-p", folder("t/bin")])
        try folder.writeProgram("t/bin/ls", Array("#!/trapeze/busybox sh\necho own ls $0\n".utf8))
        var options = command("ls")
        options.userland = .folder(folder("t"))
        #expect(text(try boot(options).console) == "own ls /bin/ls\n")
        var archive = CPIOArchive()
        try archive.addTree(folder("t"))
        try HostFiles.write(archive.finished(), to: folder("base"))
        options.userland = .archive(folder("base"))
        #expect(text(try boot(options).console) == "own ls /bin/ls\n")
    }
}

// Programs of the host: what they print is collected, what they do wrong is bounded.

import DebianGuest
import Testing

@Suite struct HostCommandTests {
    @Test func collectsBothOutputsAndTheStatus() throws {
        var lines: [String] = []
        let result = try HostCommand(
            program: "/bin/sh", arguments: ["-c", "echo one; echo two >&2; printf end; exit 3"], timeLimit: 10
        ).run(onLine: { lines.append($0) })
        #expect(result.ending == .exited(3))
        #expect(text(result.output) == "one\nend")
        #expect(text(result.errors) == "two\n")
        #expect(lines.sorted() == ["end", "one", "two"])
    }

    @Test func endsWhatOverstays() throws {
        let result = try HostCommand(
            program: "/bin/sh", arguments: ["-c", "trap '' TERM; echo begun; while :; do sleep 0.1; done"], timeLimit: 1
        ).run()
        #expect(result.ending == .timedOut)
        #expect(text(result.output) == "begun\n")
    }

    @Test func endsWhatClosesItsOutputsAndOverstays() throws {
        let result = try HostCommand(
            program: "/bin/sh", arguments: ["-c", "exec >&- 2>&-; exec sleep 60"], timeLimit: 1
        ).run()
        #expect(result.ending == .timedOut)
    }

    @Test func doesNotWaitForGrandchildren() throws {
        let result = try HostCommand(
            program: "/bin/sh", arguments: ["-c", "sleep 5 & echo done"], timeLimit: 4
        ).run()
        #expect(result.ending == .exited(0))
        #expect(text(result.output) == "done\n")
    }

    @Test func reportsSignalsAndWhatCannotStart() throws {
        let result = try HostCommand(program: "/bin/sh", arguments: ["-c", "kill -9 $$"], timeLimit: 10).run()
        #expect(result.ending == .signalled(9))
        #expect(throws: DebianGuestError.toolNotStarted(tool: "/nonexistent", code: 2)) {
            try HostCommand(program: "/nonexistent", timeLimit: 1).run()
        }
    }

    @Test func standardInputIsEmptyAndTheLocaleIsC() throws {
        let result = try HostCommand(program: "/bin/sh", arguments: ["-c", "cat; echo $LC_ALL"], timeLimit: 10).run()
        #expect(text(result.output) == "C\n")
    }
}

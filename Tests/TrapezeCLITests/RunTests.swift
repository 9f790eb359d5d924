// Runs to their end: statuses, consoles, and what is written where.

import Foundation
import Testing

@Suite struct RunTests {
    @Test func tourIsTheDefaultAndPowersOff() throws {
        let result = try run("run")
        #expect(result.status == 0)
        let named = try run("run", "tour")
        #expect(result.output == named.output)
        #expect(result.output.split(whereSeparator: \.isNewline).count > 5)
        // `auto` says what it took, and why; the guest's output is the guest's alone.
        #expect(result.errorLines.count == 1)
        #expect(result.errors.contains(#/^trapeze: engine (kvm|interpret|translate) \(.+\)/#), "\(result.errors)")
    }

    @Test func autoDoesWithoutKVM() throws {
        let result = try run("run", "exit-status", environment: ["TRAPEZE_KVM_DEVICE": "/nonexistent"])
        #expect(result.status == 42)
        #expect(
            result.errors.contains(
                #/^trapeze: engine (interpret|translate) \(not kvm: there is no \/nonexistent.*\)\n$/#),
            "\(result.errors)")
    }

    @Test(arguments: [
        (["exit-status"], 42), (["exit-status", "--exit-port", "isa-debug"], 85), (["panic"], 255),
        (["triple-fault"], 255), (["reset"], 0), (["reset", "--on-reset", "exit:9"], 9),
        (["reset", "--on-reset", "restart", "--timeout", "0.5"], 124), (["halt", "--timeout", "0.5"], 124),
    ])
    func exitStatus(arguments: [String], status: Int) throws {
        let result = try run(["run"] + arguments)
        #expect(result.status == Int32(status), "\(result.errors)")
    }

    @Test func anEmbeddedKernelGetsACommandLine() throws {
        let result = try run("run", "compute", "--append", "scale=0 kernels=fib,aes-ni")
        #expect(result.status == 0)
        let lines = result.output.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("measured:") }
        #expect(lines.map { $0.split(separator: " ")[1] } == ["fib", "aes-ni"])
        #expect(try run("run", "compute", "--append", "kernels=none-such").status == 2)
    }

    @Test func engineAskedForByNameIsNotAnnounced() throws {
        let result = try run("run", "exit-status", "--engine", "interpret")
        #expect(result.status == 42)
        #expect(result.errors.isEmpty)
    }

    @Test func verboseGivesOneLine() throws {
        let result = try run("run", "exit-status", "--engine", "interpret", "-v")
        #expect(result.errorLines.count == 1)
        #expect(result.errors.contains(#/^trapeze: exit-status on interpret: exited, status 42, .* instructions /#))
    }

    // MARK: The console

    @Test func consoleToAFile() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/console"
            let result = try run("run", "tour", "--serial", "file=" + path)
            #expect(result.status == 0)
            #expect(result.output.isEmpty)
            let console = try String(contentsOfFile: path, encoding: .utf8)
            #expect(try console == run("run", "tour").output)
        }
    }

    @Test func consoleToNowhere() throws {
        let result = try run("run", "tour", "--serial", "null")
        #expect(result.status == 0)
        #expect(result.output.isEmpty)
    }

    @Test func consoleThatCannotBeWritten() throws {
        let result = try run("run", "tour", "--serial", "file=/dev/full")
        #expect(result.status == 125)
        #expect(result.errors.contains("serial console /dev/full: no space left on device"))
    }

    @Test func outputWhoseReaderIsGone() throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        close(ends[0])
        defer { close(ends[1]) }
        let child = try ChildProcess(["run", "tour"], output: ends[1])
        let end = try #require(child.wait(seconds: 30))
        #expect(end.status == 125)
    }

    @Test func outputWhoseReaderSleepsDoesNotOutliveTheTimeLimit() throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        // A pipe that is full from the start.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        let filler = [UInt8](repeating: 0, count: 4096)
        while write(ends[1], filler, filler.count) > 0 {}
        _ = fcntl(ends[1], F_SETFL, 0)
        let child = try ChildProcess(["run", "halt", "--timeout", "0.5"], output: ends[1])
        let end = try #require(child.wait(seconds: 30))
        #expect(end.status == 124)
    }

    @Test func nonBlockingOutputLosesNothing() throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        defer { close(ends[0]) }
        // The smallest pipe there is fills up, which a non-blocking writer learns as EAGAIN.
        _ = fcntl(ends[1], 1031, 4096)  // F_SETPIPE_SZ
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        let child = try ChildProcess(["run", "tour"], output: ends[1])
        close(ends[1])
        var output: [UInt8] = []
        let deadline = Date(timeIntervalSinceNow: 60)
        while Date() < deadline {
            var buffer = [UInt8](repeating: 0, count: 64)
            let count = read(ends[0], &buffer, buffer.count)
            if count == 0 { break }
            if count > 0 { output += buffer[..<count] } else { usleep(1000) }
        }
        #expect(child.wait(seconds: 30)?.status == 0)
        #expect(try String(decoding: output, as: UTF8.self) == run("run", "tour").output)
    }

    @Test func endOfInputLeavesTheGuestRunning() throws {
        let result = try run("run", "halt", "--timeout", "1", input: "typed\u{1}x")
        #expect(result.status == 124)
    }

    @Test func closedStandardStreams() throws {
        // With standard output closed the console is lost, and no file of Trapeze's own gets in its place.
        let child = try ChildProcess(
            ["-c", "exec \"$0\" run tour <&- >&- 2>&-", trapezePath], executable: "/bin/sh")
        #expect(try #require(child.wait(seconds: 30)).status == 125)
    }

    // MARK: Statistics

    /// What a run's statistics say of instructions; nil where they say that nobody counted.
    private func instructions(_ guest: String, status: Int32, _ engine: String, _ clock: String) throws -> Int? {
        try withTemporaryFolder { folder in
            let path = folder + "/stats.json"
            let result = try run("run", guest, "--engine", engine, "--clock", clock, "--stats", path)
            #expect(result.status == status)
            let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
            let counters = try #require((json as? [String: Any])?["counters"] as? [String: Any])
            return counters["instructions"] as? Int
        }
    }

    @Test("Instructions are counted exactly", arguments: ["interpret", "translate"], ["host", "instructions"])
    func countedInstructions(engine: String, clock: String) throws {
        // Too short to be translated, and long enough.
        let short = try #require(try instructions("exit-status", status: 42, "interpret", "instructions"))
        #expect(short > 0)
        #expect(try instructions("exit-status", status: 42, engine, clock) == short)
        guard clock == "instructions" else { return }
        let long = try #require(try instructions("strings", status: 0, "interpret", "instructions"))
        #expect(long > short)
        #expect(try instructions("strings", status: 0, engine, clock) == long)
    }

    @Test func uncountedInstructionsAreNotSaid() throws {
        #expect(try instructions("strings", status: 0, "translate", "host") == nil)
    }

    @Test func statistics() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/stats.json"
            let result = try run("run", "exit-status", "--engine", "interpret", "--stats", path)
            #expect(result.status == 42)
            let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
            let stats = try #require(json as? [String: Any])
            #expect(stats["schema"] as? Int == 1)
            #expect(stats["engine"] as? String == "interpret")
            #expect(stats["guest"] as? String == "exit-status")
            #expect(stats["outcome"] as? String == "exited")
            #expect(stats["exitStatus"] as? Int == 42)
            #expect(stats["memoryBytes"] as? Int == 512 << 20)
            let total = try #require(stats["counters"] as? [String: Any])
            let instructions = try #require(total["instructions"] as? Int)
            #expect((1...10_000).contains(instructions))
            let vcpus = try #require(stats["vcpus"] as? [[String: Any]])
            #expect(vcpus.count == 1)
            #expect((vcpus[0]["counters"] as? [String: Any])?["instructions"] as? Int == instructions)
            // Every key is documented.
            let root = URL(fileURLWithPath: #filePath).appending(path: "../../..").standardized
            let documentation = try String(contentsOf: root.appending(path: "Docs/stats.md"), encoding: .utf8)
            for key in Array(stats.keys) + Array(total.keys) { #expect(documentation.contains("`\(key)`"), "\(key)") }
        }
    }

    @Test func statisticsOnAFullDisk() throws {
        let result = try run("run", "exit-status", "--stats", "/dev/full")
        #expect(result.status == 125)
        #expect(result.errors.contains("statistics /dev/full: no space left on device"))
    }

    @Test(arguments: [
        ("64", 64 << 20), ("64M", 64 << 20), ("64MiB", 64 << 20), ("64mb", 64 << 20), ("65536K", 64 << 20),
        ("1G", 1 << 30), ("4096", 4 << 30),
    ])
    func memorySizes(text: String, bytes: Int) throws {
        for option in ["--memory", "-m"] {
            let result = try run("run", "exit-status", option, text, "--stats", "/dev/stdout")
            #expect(result.status == 42)
            #expect(result.output.contains("\"memoryBytes\": \(bytes),"))
        }
    }
}

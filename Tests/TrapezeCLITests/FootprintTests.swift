// What a machine on the translator costs the host before it does anything: time to its first instructions, and memory beside
// the guest's own.

import DebianGuest
import Foundation
import Testing

@Suite(.serialized) struct FootprintTests {
    /// From the process's start to the end of a guest of a few instructions, the best of some runs. Elsewhere in the suite
    /// others compute at the same time: what is held to the limit is processor time, which they do not lengthen.
    @Test func startUp() throws {
        var wall = Double.infinity
        var processor = Double.infinity
        for _ in 0..<10 {
            let start = ContinuousClock.now
            let result = try run("run", "exit-status", "--engine", "translate", "--serial", "null")
            wall = min(wall, start.duration(to: .now) / .seconds(1))
            processor = min(processor, result.cpuSeconds)
            #expect(result.status == 42)
        }
        print("start to end of the smallest guest: \(Int(wall * 1e3)) ms, \(Int(processor * 1e3)) ms of them computing")
        #expect(processor < 0.05)
    }

    /// A mapping of a process.
    private struct Mapping {
        var name: String
        var size = 0
        var resident = 0
    }

    /// All of a file whose size nobody knows before it is read, as those of /proc.
    private func contents(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        try #require(descriptor >= 0, "\(path)")
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            try #require(count >= 0)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
    }

    /// The process's mappings, in bytes (proc_pid_smaps(5)).
    private func mappings(of pid: pid_t) throws -> [Mapping] {
        var mappings: [Mapping] = []
        for line in try contents("/proc/\(pid)/smaps").split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count >= 5, words[0].contains("-"), !words[0].hasSuffix(":") {
                mappings.append(Mapping(name: words.count > 5 ? String(words[5]) : ""))
            } else if words.count == 3, let kilobytes = Int(words[1]), !mappings.isEmpty {
                if words[0] == "Size:" { mappings[mappings.count - 1].size = kilobytes << 10 }
                if words[0] == "Rss:" { mappings[mappings.count - 1].resident = kilobytes << 10 }
            }
        }
        return mappings
    }

    @Test func debianAtTheShell() throws {
        do throws(DebianGuestError) {
            _ = try DebianGuest.prepare(DebianGuestOptions()) { print($0) }
        } catch {
            try Test.cancel("Debian cannot be prepared: \(error.description)")
        }
        try withTemporaryFolder { folder in
            var ends: [Int32] = [-1, -1]
            try #require(pipe(&ends) == 0)
            let output = open(folder + "/out", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            let child = try ChildProcess(
                ["run", "debian", "--engine", "translate", "--memory", "512", "--timeout", "300"], input: ends[0],
                output: output, errors: output)
            defer {
                close(ends[1])
                kill(child.pid, SIGTERM)
                _ = child.wait(seconds: 30)
            }
            close(ends[0])
            close(output)
            let deadline = Date(timeIntervalSinceNow: 280)
            func shown() throws -> String {
                String(decoding: try Data(contentsOf: URL(filePath: folder + "/out")), as: UTF8.self)
            }
            var text = try shown()
            while !text.contains("~#") {
                let end = child.wait(seconds: 0)
                try #require(Date() < deadline && end == nil, "\(String(describing: end)): \(text)")
                usleep(100_000)
                text = try shown()
            }
            // What comes behind the prompt: the shell waits.
            sleep(2)
            let all = try mappings(of: child.pid)
            let ram = all.filter { $0.size == 512 << 20 }
            #expect(ram.count == 1)
            let touched = ram.reduce(0) { $0 + $1.resident }
            let resident = all.reduce(0) { $0 + $1.resident }
            print("resident \(resident >> 20) MiB, of which the guest touched \(touched >> 20) MiB")
            #expect(touched > 32 << 20)
            #expect(resident <= touched + (96 << 20))
        }
    }
}

// One boot: a child process whose console is watched for a text. It is ended as soon as the text is there.

import BenchmarkSupport
import Foundation

/// What one boot took.
struct BootTime {
    /// From the start of the process to the text, in seconds.
    var seconds: Double
    /// Processor time of the process to its end, in seconds.
    var processorSeconds: Double
    /// What the program says of its speed.
    var instructionsPerSecond: Double?
}

/// A process that is about to be started and timed.
struct TimedBoot {
    var path: String
    var arguments: [String]
    /// The file that takes the standard error.
    var errors: String

    /// Starts the process and waits for `marker` in its output.
    func run(until marker: String, limit: Duration) throws -> BootTime {
        var pipeEnds: [Int32] = [0, 0]
        guard pipe(&pipeEnds) == 0 else { throw Failure("no pipe: \(errnoText(errno))") }
        for end in pipeEnds { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let output = pipeEnds[0]
        defer { close(output) }

        let start = ContinuousClock.now
        let process: pid_t
        do {
            defer { close(pipeEnds[1]) }
            process = try spawn(output: pipeEnds[1])
        }
        var console: [UInt8] = []
        let found = watch(output, for: Array(marker.utf8), until: start + limit, console: &console)
        let seconds = (ContinuousClock.now - start) / .seconds(1)

        let (status, usage) = end(process, draining: output)
        guard found else {
            let how = seconds >= limit / .seconds(1) ? "had to be ended" : "ended with \(status)"
            throw Failure(
                "no “\(marker)” after \(String(format: "%.1f", seconds)) s, when it \(how)\n"
                    + lastLines(String(decoding: console, as: UTF8.self), "the console")
                    + lastLines((try? String(contentsOfFile: errors, encoding: .utf8)) ?? "", "standard error"))
        }
        return BootTime(seconds: seconds, processorSeconds: Self.seconds(usage.ru_utime) + Self.seconds(usage.ru_stime))
    }

    private func spawn(output: Int32) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, path, &actions, nil, &words, environ)
        guard result == 0 else { throw Failure("it cannot be started: \(errnoText(result))") }
        return process
    }

    /// Reads until `marker` shows; false at the end of the output or at the deadline.
    private func watch(
        _ output: Int32, for marker: [UInt8], until deadline: ContinuousClock.Instant, console: inout [UInt8]
    ) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let left = (deadline - .now) / .milliseconds(1)
            guard left > 0 else { return false }
            var ready = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, Int32(min(left.rounded(.up), 1e9))) > 0 else { continue }
            let count = read(output, &buffer, buffer.count)
            guard count > 0 else { return false }
            // Only what is new can complete the marker.
            let from = max(0, console.count - marker.count + 1)
            console += buffer[..<count]
            if console[from...].contains(marker) { return true }
        }
    }

    /// Asks the process to end, insists after five seconds, and says how it went.
    private func end(_ process: pid_t, draining output: Int32) -> (status: String, usage: rusage) {
        kill(process, SIGTERM)
        let deadline = ContinuousClock.now + .seconds(5)
        var status: Int32 = 0
        var usage = rusage()
        // A full pipe would keep it from ending.
        _ = fcntl(output, F_SETFL, O_NONBLOCK)
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var insisted = false
        while wait4(process, &status, WNOHANG, &usage) == 0 {
            while read(output, &buffer, buffer.count) > 0 {}
            if !insisted, ContinuousClock.now >= deadline {
                kill(process, SIGKILL)
                insisted = true
            }
            usleep(2000)
        }
        let signal = status & 0x7f
        return (signal == 0 ? "status \(status >> 8 & 0xff)" : "signal \(signal)", usage)
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

    private func lastLines(_ text: String, _ title: String) -> String {
        let lines = text.split(whereSeparator: \.isNewline).suffix(10)
        return lines.isEmpty ? "" : "  the end of \(title):\n" + lines.map { "    \($0)\n" }.joined()
    }
}

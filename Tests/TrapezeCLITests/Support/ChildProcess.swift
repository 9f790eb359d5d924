// Runs the built `trapeze` as users do, as a process of its own, and reports all that can be seen of it from outside.

import Foundation
import Testing

/// The binary under test: the build puts it beside the test bundle.
let trapezePath: String = {
    let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return URL(fileURLWithPath: bundle).deletingLastPathComponent().appending(path: "trapeze").path()
}()

/// What came of a process.
struct Result {
    /// The exit status; nil if a signal ended it.
    var status: Int32?
    /// The signal that ended it.
    var signal: Int32?
    var output: String
    var errors: String
    /// Processor time in seconds, which other load does not lengthen.
    var cpuSeconds: Double
    /// The largest resident size in bytes.
    var peakMemory: Int

    /// The lines on standard error.
    var errorLines: [Substring] { errors.split(separator: "\n", omittingEmptySubsequences: false).dropLast() }
}

/// A process that was started.
final class ChildProcess {
    let pid: pid_t
    private var ended: (status: Int32, usage: rusage)?

    /// Starts `trapeze` with its descriptors 0, 1 and 2 being these.
    ///
    /// - Parameter terminal: the path of a terminal to make the process's controlling one and its standard streams.
    init(
        _ arguments: [String], executable: String = trapezePath, input: Int32 = -1, output: Int32 = -1,
        errors: Int32 = -1, terminal: String? = nil, environment: [String: String] = [:]
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Tests run on threads that block signals, which a process would inherit.
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var flags = Int16(POSIX_SPAWN_SETSIGMASK)
        if terminal != nil { flags |= 0x80 }  // POSIX_SPAWN_SETSID, which Swift does not see
        posix_spawnattr_setflags(&attributes, flags)
        if let terminal {
            // The leader of a new session gets the first terminal that it opens as its controlling one.
            posix_spawn_file_actions_addopen(&actions, 0, terminal, O_RDWR, 0)
            posix_spawn_file_actions_adddup2(&actions, 0, 1)
            posix_spawn_file_actions_adddup2(&actions, 0, 2)
        } else {
            for (target, source) in [(Int32(0), input), (1, output), (2, errors)] {
                if source >= 0 {
                    posix_spawn_file_actions_adddup2(&actions, source, target)
                } else {
                    posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_RDWR, 0)
                }
            }
        }
        var variables = ProcessInfo.processInfo.environment
        variables.merge(environment) { $1 }
        variables["SWIFT_BACKTRACE"] = nil
        var argv = ([executable] + arguments).map { strdup($0) } + [nil]
        var envp = variables.map { strdup("\($0)=\($1)") } + [nil]
        defer { for pointer in argv + envp { free(pointer) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, executable, &actions, &attributes, &argv, &envp)
        try #require(error == 0, "cannot start \(executable): \(String(cString: strerror(error)))")
        self.pid = pid
    }

    deinit {
        if ended == nil {
            kill(pid, SIGKILL)
            _ = wait(seconds: 10)
        }
    }

    /// Waits for the end; nil if it does not come in time.
    func wait(seconds: Double) -> (status: Int32?, signal: Int32?, usage: rusage)? {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while ended == nil {
            var status: Int32 = 0
            var usage = rusage()
            if wait4(pid, &status, WNOHANG, &usage) == pid { ended = (status, usage) }
            guard ended != nil || Date() < deadline else { return nil }
            if ended == nil { usleep(2000) }
        }
        return ended.map { status, usage in
            let signal = status & 0x7f
            return (signal == 0 ? status >> 8 & 0xff : nil, signal == 0 ? nil : signal, usage)
        }
    }
}

/// Runs `trapeze` to its end, which must come within `seconds`. Output goes through files, which never block.
func run(
    _ arguments: String..., input: String = "", seconds: Double = 60, environment: [String: String] = [:]
) throws -> Result {
    try run(arguments, input: input, seconds: seconds, environment: environment)
}

/// Runs `trapeze` with a list of arguments.
func run(
    _ arguments: [String], input: String = "", seconds: Double = 60, environment: [String: String] = [:]
) throws -> Result {
    try withTemporaryFolder { folder in
        let files = try ["in", "out", "err"].map { name in
            let path = folder + "/" + name
            try (name == "in" ? input : "").write(toFile: path, atomically: false, encoding: .utf8)
            return path
        }
        let descriptors = files.map { open($0, O_RDWR) }
        defer { for descriptor in descriptors { close(descriptor) } }
        let child = try ChildProcess(
            arguments, input: descriptors[0], output: descriptors[1], errors: descriptors[2], environment: environment)
        let end = try #require(child.wait(seconds: seconds), "no end within \(seconds) s: \(arguments)")
        let texts = try files[1...].map {
            String(decoding: try Data(contentsOf: URL(fileURLWithPath: $0)), as: UTF8.self)
        }
        func time(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return Result(
            status: end.status, signal: end.signal, output: texts[0], errors: texts[1],
            cpuSeconds: time(end.usage.ru_utime) + time(end.usage.ru_stime),
            peakMemory: end.usage.ru_maxrss * 1024)
    }
}

/// Calls `body` with a folder that is gone afterwards.
func withTemporaryFolder<R>(_ body: (String) throws -> R) throws -> R {
    var template = Array("/tmp/trapeze-test-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    return try body(folder)
}

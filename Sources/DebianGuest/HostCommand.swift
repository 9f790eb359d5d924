// Runs a program of the host: bounded in time and in what it may print, with both outputs collected.
//
// The one place that starts processes. Standard input is /dev/null, the locale is C (messages are matched elsewhere),
// and the child stays in the caller's process group, so that Ctrl-C on the terminal ends it too.

import Glibc

package struct HostCommand {
    package enum Ending: Equatable {
        case exited(Int32)
        case signalled(Int32)
        case timedOut
    }

    package struct Result {
        package var ending: Ending
        package var output: [UInt8] = []
        package var errors: [UInt8] = []

        var succeeded: Bool { ending == .exited(0) }
        var outputLines: [String] { lines(of: output) }

        /// The line that best says what went wrong: the first that apt marks as an error, else the last one.
        var complaint: String {
            let lines = lines(of: errors).filter { !$0.isEmpty }
            if let marked = lines.first(where: { $0.hasPrefix("E: ") || $0.hasPrefix("Err:") }) {
                return marked.hasPrefix("E: ") ? String(marked.dropFirst(3)) : marked
            }
            if let last = lines.last { return last }
            switch ending {
            case .exited(let status): return "exit status \(status)"
            case .signalled(let signal): return "ended by signal \(signal)"
            case .timedOut: return "timed out"
            }
        }

        private func lines(of bytes: [UInt8]) -> [String] {
            bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Absolute path of the program.
    let program: String
    var arguments: [String] = []
    var workingFolder: String?
    /// Seconds after which the program is ended.
    var timeLimit: Int
    /// Bytes kept of each output; what comes beyond is read and dropped.
    var outputLimit = 64 << 20

    package init(program: String, arguments: [String] = [], workingFolder: String? = nil, timeLimit: Int) {
        self.program = program
        self.arguments = arguments
        self.workingFolder = workingFolder
        self.timeLimit = timeLimit
    }

    /// Looks `tool` up in a search path of colon-separated folders.
    package static func find(_ tool: String, in searchPath: String) -> String? {
        searchPath.split(separator: ":").lazy.map { "\($0)/\(tool)" }.first(where: HostFiles.isExecutableFile)
    }

    /// Runs to the end. `onLine` sees each line of both outputs as it arrives; `onOutput`, when given, takes standard
    /// output instead of the result and `onLine`.
    package func run(
        onLine: (String) -> Void = { _ in }, onOutput: ((UnsafeRawBufferPointer) -> Void)? = nil
    ) throws(DebianGuestError) -> Result {
        var (outRead, outWrite): (Int32, Int32) = (-1, -1)
        var (errRead, errWrite): (Int32, Int32) = (-1, -1)
        guard Self.makePipe(&outRead, &outWrite) else { throw .toolNotStarted(tool: program, code: errno) }
        defer { close(outRead) }
        guard Self.makePipe(&errRead, &errWrite) else {
            close(outWrite)
            throw .toolNotStarted(tool: program, code: errno)
        }
        defer { close(errRead) }
        var child: pid_t = 0
        let code = spawn(&child, output: outWrite, errors: errWrite)
        close(outWrite)
        close(errWrite)
        guard code == 0 else { throw .toolNotStarted(tool: program, code: code) }

        var result = Result(ending: .timedOut)
        var output = Stream(descriptor: outRead)
        var errors = Stream(descriptor: errRead)
        let deadline = Self.now() + Double(timeLimit)
        var status: Int32?
        while output.isOpen || errors.isOpen {
            guard Self.now() < deadline else { break }
            var polled = [
                pollfd(fd: output.isOpen ? outRead : -1, events: Int16(POLLIN), revents: 0),
                pollfd(fd: errors.isOpen ? errRead : -1, events: Int16(POLLIN), revents: 0),
            ]
            let ready = poll(&polled, 2, 200)
            if ready > 0 && polled[0].revents != 0 {
                if let onOutput {
                    output.drain(into: onOutput)
                } else {
                    output.drain(keeping: &result.output, limit: outputLimit, onLine)
                }
            }
            if ready > 0 && polled[1].revents != 0 {
                errors.drain(keeping: &result.errors, limit: outputLimit, onLine)
            }
            // A grandchild may keep the pipes open after the program itself is gone.
            if ready == 0 && status == nil { status = Self.reap(child, WNOHANG) }
            if ready == 0 && status != nil { break }
        }
        output.finish(onLine)
        errors.finish(onLine)
        // The outputs may close some time before the program ends.
        while status == nil && Self.now() < deadline {
            status = Self.reap(child, WNOHANG)
            if status == nil { usleep(2000) }
        }
        guard let status else {
            Self.end(child)
            return result
        }
        // WIFEXITED and its kin, which are macros in C: the low seven bits are the signal, 0 for an exit.
        result.ending = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .signalled(status & 0x7F)
        return result
    }

    // MARK: - Steps

    private func spawn(_ child: inout pid_t, output: Int32, errors: Int32) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, errors, 2)

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        var defaults = sigset_t()
        sigemptyset(&defaults)
        sigaddset(&defaults, SIGPIPE)
        posix_spawnattr_setsigdefault(&attributes, &defaults)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        // posix_spawn has no portable way to change folder; env does it for those that need one.
        let line = workingFolder.map { ["/usr/bin/env", "-C", $0, program] + arguments } ?? [program] + arguments
        var words: [UnsafeMutablePointer<CChar>?] = line.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] = Self.environment().map { strdup($0) } + [nil]
        defer { for word in words + variables { free(word) } }
        return posix_spawn(&child, line[0], &actions, &attributes, &words, &variables)
    }

    /// The caller's environment in the C locale, without the variables that make apt ask questions.
    private static func environment() -> [String] {
        var kept = ["LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"]
        var cursor = environ
        while let entry = cursor.pointee {
            let text = String(cString: entry)
            if !text.hasPrefix("LC_") && !text.hasPrefix("LANG") && !text.hasPrefix("DEBIAN_FRONTEND=") {
                kept.append(text)
            }
            cursor += 1
        }
        return kept
    }

    private static func makePipe(_ read: inout Int32, _ write: inout Int32) -> Bool {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return false }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        (read, write) = (ends[0], ends[1])
        return true
    }

    /// The child's wait status once it has ended.
    private static func reap(_ child: pid_t, _ flags: Int32) -> Int32? {
        var status: Int32 = 0
        while true {
            let answer = waitpid(child, &status, flags)
            if answer == child { return status }
            if answer < 0 && errno == EINTR { continue }
            return nil
        }
    }

    /// Ends a child that overstayed: politely, so that apt can end its own children, then for good.
    private static func end(_ child: pid_t) {
        kill(child, SIGTERM)
        for _ in 0..<100 {
            if reap(child, WNOHANG) != nil { return }
            usleep(20_000)
        }
        kill(child, SIGKILL)
        _ = reap(child, 0)
    }

    /// Monotonic seconds.
    static func now() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}

/// The reading end of one output, cut into lines as it arrives.
private struct Stream {
    let descriptor: Int32
    private(set) var isOpen = true
    private var line: [UInt8] = []

    init(descriptor: Int32) { self.descriptor = descriptor }

    mutating func drain(into consume: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 16) { buffer in
            let count = read(descriptor, buffer.baseAddress, buffer.count)
            if count > 0 {
                consume(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            } else if count == 0 || errno != EINTR {
                isOpen = false
            }
        }
    }

    mutating func drain(keeping kept: inout [UInt8], limit: Int, _ onLine: (String) -> Void) {
        var arrived: [UInt8] = []
        drain { arrived.append(contentsOf: $0) }
        kept.append(contentsOf: arrived.prefix(max(0, limit - kept.count)))
        for byte in arrived {
            if byte == UInt8(ascii: "\n") {
                finish(onLine)
            } else if line.count < 4096 {
                line.append(byte)
            }
        }
    }

    /// Hands on the line that is still unfinished.
    mutating func finish(_ onLine: (String) -> Void) {
        if !line.isEmpty { onLine(String(decoding: line, as: UTF8.self)) }
        line.removeAll(keepingCapacity: true)
    }
}

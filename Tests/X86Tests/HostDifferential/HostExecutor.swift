// The host's side of the comparison: the `host-executor` child process, fed with batches through pipes.

import Foundation
import HostCases

struct HostExecutorError: Error, CustomStringConvertible {
    let description: String
}

/// A running executor. A case that kills it is an error: nothing in the allow-list may.
final class HostExecutor {
    private let process: Int32
    private let to: Int32
    private let from: Int32

    init() throws {
        var process: Int32 = 0
        var to: Int32 = -1
        var from: Int32 = -1
        let path = try Self.path()
        let error = tz_host_spawn(path, &process, &to, &from)
        guard error == 0 else { throw HostExecutorError(description: "cannot start \(path): error \(error)") }
        (self.process, self.to, self.from) = (process, to, from)
    }

    deinit {
        close(to)
        close(from)
        var status: Int32 = 0
        waitpid(process, &status, 0)
    }

    /// The executable lies beside the test bundle.
    private static func path() throws -> String {
        var candidates = [URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()]
        candidates += CommandLine.arguments.filter { $0.contains(".xctest") }.map { URL(fileURLWithPath: $0) }
        for start in candidates {
            var folder = start.deletingLastPathComponent()
            for _ in 0..<4 {
                let path = folder.appendingPathComponent("host-executor").path
                if FileManager.default.isExecutableFile(atPath: path) { return path }
                folder.deleteLastPathComponent()
            }
        }
        throw HostExecutorError(description: "host-executor is not beside \(candidates.map(\.path))")
    }

    func run(_ cases: [tz_host_case]) throws -> [tz_host_outcome] {
        var count = UInt64(cases.count)
        try withUnsafeBytes(of: &count) { try transfer($0) { write(to, $0, $1) } }
        try cases.withUnsafeBytes { try transfer($0) { write(to, $0, $1) } }
        var outcomes = [tz_host_outcome](repeating: tz_host_outcome(), count: cases.count)
        try outcomes.withUnsafeMutableBytes { target in
            try transfer(UnsafeRawBufferPointer(target)) { read(from, UnsafeMutableRawPointer(mutating: $0), $1) }
        }
        return outcomes
    }

    private func transfer(_ bytes: UnsafeRawBufferPointer, _ step: (UnsafeRawPointer, Int) -> Int) throws {
        var done = 0
        while done < bytes.count, let start = bytes.baseAddress {
            let moved = step(start + done, bytes.count - done)
            guard moved > 0 else { throw HostExecutorError(description: "host-executor ended unexpectedly") }
            done += moved
        }
    }
}

// The file by which Linux perf names generated code: /tmp/perf-PID.map, lines of start, size and name (tools/perf,
// Documentation/jit-interface.txt).

import Foundation
import Synchronization
import VirtualCPU

/// The file of this process, for all its translators.
package final class PerformanceMap: Sendable {
    private struct State {
        /// Lines by the translator whose code they name.
        var lines: [ObjectIdentifier: [String]] = [:]
    }

    /// Where it is.
    package let path: String
    private let descriptor: Int32
    private let symbol: @Sendable (UInt64) -> String?
    private let state = Mutex(State())

    /// Makes the file, or empties it. `symbol` gives names for guest addresses.
    package init(symbol: @escaping @Sendable (UInt64) -> String?) throws(EngineError) {
        self.symbol = symbol
        path = "/tmp/perf-\(getpid()).map"
        // perf takes a map for the process's own only if it belongs to the same user; nobody else's file is followed.
        unlink(path)
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else {
            throw EngineError("perf map \(path): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }

    /// Names a block's code.
    func add(_ owner: ObjectIdentifier, host: UInt, size: Int, linear: UInt64, isUser: Bool) {
        let hexadecimal = String(linear, radix: 16)
        // Names end at the end of the line: symbols have no blanks.
        let name = isUser ? nil : symbol(linear)
        let line =
            "\(String(host, radix: 16)) \(String(size, radix: 16)) guest:\(name.map { $0 + "@" } ?? "")\(hexadecimal)\n"
        state.withLock { state in
            state.lines[owner, default: []].append(line)
            write(line)
        }
    }

    /// A translator has emptied its code memory: its names go, since the next code gets the same addresses.
    func forget(_ owner: ObjectIdentifier) {
        state.withLock { state in
            state.lines[owner] = nil
            ftruncate(descriptor, 0)
            write(state.lines.values.joined().joined())
        }
    }

    private func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
        }
    }
}

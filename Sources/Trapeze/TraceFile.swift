// The file that a trace goes to: lines from all vCPU threads, in the order in which they came, buffered, and written by
// whoever fills the buffer.

import Foundation
import Synchronization
import VirtualCPU

/// Takes traced events and writes them down, one line each (Docs/tracing.md).
///
/// A machine that writes to it must have ended before `finish()`; the file may serve several machines, one after the other.
public final class TraceFile: Sendable {
    /// What is traced.
    public let events: TraceEvents
    /// The file's name, for messages.
    public let name: String

    private struct State {
        var text = TraceText()
        /// The `errno` value with which writing failed first; what comes after is dropped.
        var failure: Int32?
    }
    private let state = Mutex(State())
    private let descriptor: Int32
    private let onFailure: @Sendable (ConfigurationError) -> Void
    private static let bufferSize = 1 << 16

    /// Opens a file for a trace, emptying it.
    ///
    /// - Parameters:
    ///   - path: the file; nil stands for standard error.
    ///   - events: what is traced.
    ///   - onFailure: called once, on a vCPU's thread, when the file cannot be written to any more. The machine goes on.
    /// - Throws: `ConfigurationError` if the file cannot be opened.
    public init(
        path: String?, events: TraceEvents, onFailure: @escaping @Sendable (ConfigurationError) -> Void = { _ in }
    ) throws(ConfigurationError) {
        self.events = events
        self.onFailure = onFailure
        name = path ?? "standard error"
        if let path {
            descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        } else {
            descriptor = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
        }
        guard descriptor >= 0 else { throw Self.error(name, errno) }
    }

    deinit {
        finish()
        close(descriptor)
    }

    /// Writes what is still buffered; the first error of all writing, if there was one.
    @discardableResult public func finish() -> ConfigurationError? {
        state.withLock { state in
            flush(&state)
            return state.failure.map { Self.error(name, $0) }
        }
    }

    private func flush(_ state: inout State) {
        guard state.failure == nil else { return }
        let failure = writeAll(state.text.bytes, to: descriptor)
        state.text.bytes.removeAll(keepingCapacity: true)
        if failure != 0 { state.failure = failure }
    }

    private static func error(_ name: String, _ number: Int32) -> ConfigurationError {
        let reason = String(cString: strerror(number))
        return ConfigurationError(.badFile, "trace \(name): \(reason.prefix(1).lowercased())\(reason.dropFirst())")
    }
}

extension TraceFile: TraceSink {
    /// Appends one line.
    public func record(_ record: TraceRecord) {
        let failed: Int32? = state.withLock { state in
            guard state.failure == nil else { return nil }
            record.append(to: &state.text)
            if state.text.bytes.count >= Self.bufferSize { flush(&state) }
            return state.failure
        }
        if let failed { onFailure(Self.error(name, failed)) }
    }
}

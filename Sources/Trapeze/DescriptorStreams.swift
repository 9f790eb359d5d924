// Reading and writing of file descriptors by threads of their own, so that a slow reader or writer costs a vCPU nothing
// until 64 KiB wait. Pipes, terminals and files, blocking or not, are all right.

import Foundation

/// Writes bytes to a descriptor in the background, in order.
final class DescriptorWriter: @unchecked Sendable {
    // SAFETY (Sendable): all that changes is touched between `condition.lock()` and `condition.unlock()` only.
    private let condition = NSCondition()
    private var waiting: [UInt8] = []
    private var writing = false
    private var dropping = false
    private var threadStarted = false

    private let descriptor: Int32
    private let onFailure: @Sendable (Int32) -> Void
    /// As many bytes may wait before `write` blocks.
    private static let limit = 1 << 16

    init(descriptor: Int32, onFailure: @escaping @Sendable (Int32) -> Void) {
        self.descriptor = descriptor
        self.onFailure = onFailure
    }

    /// Queues bytes; blocks while the queue is full.
    func write(_ bytes: [UInt8]) {
        condition.lock()
        defer { condition.unlock() }
        while waiting.count >= Self.limit, !dropping { condition.wait() }
        guard !dropping else { return }
        waiting += bytes
        condition.broadcast()
        guard !threadStarted else { return }
        threadStarted = true
        let thread = Thread { self.run() }
        thread.name = "serial-out"
        thread.start()
    }

    /// Waits until the queue is written; false if that takes longer than `seconds`, or bytes were dropped.
    func drain(seconds: Double?) -> Bool {
        let deadline = seconds.map { Date(timeIntervalSinceNow: $0) }
        condition.lock()
        defer { condition.unlock() }
        while !waiting.isEmpty || writing, !dropping {
            // Foundation cannot wait until a date as far as `.distantFuture`.
            guard let deadline else {
                condition.wait()
                continue
            }
            guard condition.wait(until: deadline) else { return false }
        }
        return !dropping
    }

    /// Drops what waits and what comes.
    func abandon() {
        condition.lock()
        dropping = true
        waiting = []
        condition.broadcast()
        condition.unlock()
    }

    private func run() {
        while true {
            condition.lock()
            while waiting.isEmpty, !dropping { condition.wait() }
            guard !dropping else { return condition.unlock() }
            let chunk = waiting
            waiting.removeAll(keepingCapacity: true)
            writing = true
            condition.broadcast()
            condition.unlock()
            let failure = writeAll(chunk, to: descriptor)
            condition.lock()
            writing = false
            if failure != 0 {
                dropping = true
                waiting = []
            }
            condition.broadcast()
            condition.unlock()
            if failure != 0 { return onFailure(failure) }
        }
    }
}

/// Writes all of `bytes`; 0, or the `errno` value that ended it.
func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
    bytes.withUnsafeBytes { buffer in
        var rest = buffer[...]
        while !rest.isEmpty {
            let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count >= 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN || errno == EWOULDBLOCK {
                var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&ready, 1, -1)
            } else if errno != EINTR {
                return errno
            }
        }
        return 0
    }
}

/// Reads a descriptor on a thread of its own until its end, or until `isWanted` says no (it is asked four times a
/// second): chunks of up to 4 KiB go to `onBytes`.
func startReading(
    _ descriptor: Int32, while isWanted: @escaping @Sendable () -> Bool,
    onBytes: @escaping @Sendable ([UInt8]) -> Void, onEnd: @escaping @Sendable () -> Void
) {
    let thread = Thread {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while isWanted() {
            var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, 250) > 0 else { continue }
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 {
                onBytes(Array(buffer[..<count]))
            } else if count == 0 || (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
                return onEnd()
            }
        }
    }
    thread.name = "serial-in"
    thread.start()
}

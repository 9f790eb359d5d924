// The stub's thread: one socket that listens, at most one connection, and a pipe by which the machine's threads tell of
// stops. Everything that concerns the debugger happens here, one thing after the other.

import Foundation
import Synchronization
import VirtualCPU

/// Serves one debugger at a time.
public final class DebugServer: Sendable {
    private enum Notice {
        case stopped(DebugEvent)
        case ended(DebuggedExit)
    }

    private struct Mailbox {
        var notices: [Notice] = []
        var endWaiters: [CheckedContinuation<Void, Never>] = []
        var isFinished = false
        var isStarted = false
    }

    private let mailbox = Mutex(Mailbox())
    private let listener: ListeningSocket
    private let wakeRead: Int32
    private let wakeWrite: Int32

    /// Where it listens.
    public var endpoint: DebugEndpoint { listener.endpoint }

    /// Begins to listen; connections wait until `serve`.
    ///
    /// - Throws: when the address is not to be had.
    public init(_ endpoint: DebugEndpoint) throws(DebugServerError) {
        listener = try ListeningSocket(endpoint)
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            close(listener.descriptor)
            throw DebugServerError(description: "cannot make a pipe: \(String(cString: strerror(errno)))")
        }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (wakeRead, wakeWrite) = (ends[0], ends[1])
    }

    deinit { for descriptor in [listener.descriptor, wakeRead, wakeWrite] { close(descriptor) } }

    // MARK: The machine's side

    /// Begins to serve. The thread holds the target and this server until `end`.
    ///
    /// - Parameter waits: whether the machine is held until a debugger lets it go on.
    public func serve(_ target: any DebugTarget, waits: Bool) {
        mailbox.withLock { $0.isStarted = true }
        let debuggee = Debuggee(target: target, waitsForDebugger: waits)
        let loop = ServerLoop(server: self, debuggee: debuggee)
        let thread = Thread { loop.run() }
        thread.name = "gdb"
        thread.start()
    }

    /// Tells of a stop. Any thread.
    public func stopped(_ event: DebugEvent) { post(.stopped(event)) }

    /// Tells that the run is over, and returns when the debugger knows.
    public func end(_ exit: DebuggedExit) async {
        post(.ended(exit))
        await withCheckedContinuation { continuation in
            let isOver = mailbox.withLock { mailbox in
                if mailbox.isFinished || !mailbox.isStarted { return true }
                mailbox.endWaiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }

    /// Tells that the run is over to a thread that may outlive the caller.
    public func abandon() { post(.ended(.aborted)) }

    private func post(_ notice: Notice) {
        mailbox.withLock { $0.notices.append(notice) }
        // A pipe that is full wakes the thread as well.
        var byte: UInt8 = 0
        _ = write(wakeWrite, &byte, 1)
    }

    // MARK: The loop

    // Sendable: only its own thread uses it.
    private final class ServerLoop: @unchecked Sendable {
        private let server: DebugServer
        private let debuggee: Debuggee
        private var connection: Int32 = -1
        private var session: Session?

        init(server: DebugServer, debuggee: Debuggee) {
            self.server = server
            self.debuggee = debuggee
        }

        func run() {
            while debuggee.state != .ended {
                var polled = [server.listener.descriptor, server.wakeRead, connection].map {
                    pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
                }
                guard poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
                if polled[1].revents != 0 { takeNotices() }
                if polled[2].revents != 0, connection >= 0 { receive() }
                if polled[0].revents != 0 { accept() }
            }
            disconnect()
            let waiters = server.mailbox.withLock { mailbox in
                mailbox.isFinished = true
                return mailbox.endWaiters
            }
            for waiter in waiters { waiter.resume() }
        }

        private func takeNotices() {
            var bytes = [UInt8](repeating: 0, count: 64)
            while read(server.wakeRead, &bytes, bytes.count) > 0 {}
            let notices = server.mailbox.withLock { mailbox in
                defer { mailbox.notices = [] }
                return mailbox.notices
            }
            for notice in notices {
                switch notice {
                case .stopped(let event):
                    if debuggee.stopped(event), let session { send(session.stopped(event)) }
                case .ended(let exit):
                    debuggee.end()
                    if let session { send(session.ended(exit)) }
                }
            }
        }

        // MARK: Connections

        private func accept() {
            let descriptor = Foundation.accept(server.listener.descriptor, nil, nil)
            guard descriptor >= 0 else { return }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            guard connection < 0 else {
                // One debugger at a time: the other learns at once that it is not served.
                close(descriptor)
                return
            }
            var one: Int32 = 1
            setsockopt(
                descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
            // A peer that reads nothing cannot hold the stub up for long.
            var limit = timeval(tv_sec: 5, tv_usec: 0)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
            connection = descriptor
            session = Session(debuggee)
        }

        private func receive() {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = recv(connection, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count < 0, errno == EAGAIN || errno == EINTR { return }
            guard count > 0, let session else { return disconnect() }
            send(session.receive(buffer[..<count]))
        }

        private func send(_ bytes: [UInt8]) {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes {
                    Foundation.send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return disconnect() }
                rest = rest.dropFirst(count)
            }
            if session?.isOver == true { disconnect() }
        }

        private func disconnect() {
            guard connection >= 0 else { return }
            close(connection)
            connection = -1
            session = nil
            debuggee.connectionLost()
        }
    }
}

// The guest's serial console as `--serial` says: the terminal with its escape keys, a file, or nothing.

import Foundation
import Synchronization
import Trapeze

/// The host's side of the guest's console.
final class Console: Sendable {
    /// What the console has to tell the run.
    enum Event {
        case quit
        case help
        /// Output can't be written any more; the `errno` value.
        case lost(Int32)
    }

    /// What the machine's serial port is wired to.
    let attachment: FileHandleSerialPortAttachment
    private let lost: FailureBox

    /// Opens the console.
    ///
    /// - Parameters:
    ///   - endOfInput: sent to the guest when standard input ends.
    ///   - onEvent: called on the threads that read and write.
    init(_ option: SerialOption, endOfInput: [UInt8], onEvent: @escaping @Sendable (Event) -> Void) throws {
        let lost = FailureBox()
        self.lost = lost
        let onError: @Sendable (Int32) -> Void = { error in
            lost.set(error)
            onEvent(.lost(error))
        }
        switch option {
        case .null:
            attachment = FileHandleSerialPortAttachment(fileHandleForReading: nil, fileHandleForWriting: nil)
        case .file(let path):
            let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else {
                throw Failure("serial console \(path): \(String(cString: strerror(errno)).lowercasedFirst)")
            }
            attachment = FileHandleSerialPortAttachment(
                fileHandleForReading: nil, fileHandleForWriting: FileHandle(fileDescriptor: descriptor),
                onOutputError: onError)
        case .stdio:
            let keys = Mutex(EscapeKeys())
            let interactive = Terminal.isInteractive
            attachment = FileHandleSerialPortAttachment(
                fileHandleForReading: .standardInput, fileHandleForWriting: .standardOutput,
                inputFilter: { typed in
                    // In what a program sends, Ctrl-A is data.
                    guard interactive else { return typed }
                    let (forGuest, actions) = keys.withLock { $0.filter(typed) }
                    for action in actions { onEvent(action == .quit ? .quit : .help) }
                    return forGuest
                },
                onEndOfInput: { port in if !endOfInput.isEmpty { port.send(endOfInput) } },
                onOutputError: onError)
        }
    }

    /// The `errno` value with which output failed, if it did.
    var failure: Int32? { lost.value }

    /// Waits until all output is written, for at most so many seconds.
    @discardableResult
    func drain(seconds: Double?) -> Bool { attachment.drain(seconds: seconds) }

    /// Drops output from now on.
    func abandon() { attachment.abandonOutput() }
}

/// An error number that one thread sets and another reads.
private final class FailureBox: Sendable {
    private let stored = Mutex<Int32?>(nil)
    var value: Int32? { stored.withLock { $0 } }
    func set(_ error: Int32) { stored.withLock { $0 = error } }
}

extension String {
    /// The text as it stands after a colon.
    var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}

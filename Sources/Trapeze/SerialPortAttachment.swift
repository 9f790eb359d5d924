// The host's end of a machine's serial port. A port is wired to an attachment; what stands behind the attachment, a
// terminal, a file, a closure, is its own business.

import Foundation
import Synchronization

/// The other end of a serial port's wire.
public protocol SerialPortAttachment: AnyObject, Sendable {
    /// Called once, when the machine is made: `port` takes what is to reach the guest.
    func connect(to port: SerialPort)
    /// The guest sent a byte. Called on the vCPU's thread, which waits for the return.
    func receive(_ byte: UInt8)
}

/// A machine's serial port as its attachment sees it.
public final class SerialPort: Sendable {
    private let sendToGuest: @Sendable ([UInt8]) -> Void
    private let backlogInGuest: @Sendable () -> Int

    init(send: @escaping @Sendable ([UInt8]) -> Void, backlog: @escaping @Sendable () -> Int) {
        sendToGuest = send
        backlogInGuest = backlog
    }

    /// Queues bytes for the guest. Any thread.
    public func send(_ bytes: [UInt8]) { sendToGuest(bytes) }

    /// Bytes queued that the guest has not taken yet. A sender of much data waits while this is large.
    public var backlog: Int { backlogInGuest() }
}

/// Hands every byte that the guest sends to a closure, and takes input by `send(_:)`.
public final class ClosureSerialPortAttachment: SerialPortAttachment {
    private let output: @Sendable (UInt8) -> Void
    private let port = Mutex<SerialPort?>(nil)

    /// Wires a port to a closure, which is called on the vCPU's thread.
    public init(onOutput output: @escaping @Sendable (UInt8) -> Void) { self.output = output }

    /// Queues bytes for the guest; they are lost before the machine is made.
    public func send(_ bytes: [UInt8]) { port.withLock { $0 }?.send(bytes) }

    /// Starts to read the input, for `port`.
    public func connect(to port: SerialPort) { self.port.withLock { $0 = port } }

    /// Passes a byte of the guest's on.
    public func receive(_ byte: UInt8) { output(byte) }
}

/// Wires a port to file descriptors: what can be read from one goes to the guest, what the guest sends is written to
/// the other.
///
/// The descriptors' owner keeps them open while the machine runs. The end of input leaves the guest running.
public final class FileHandleSerialPortAttachment: SerialPortAttachment {
    private let input: FileHandle?
    private let output: DescriptorWriter?
    private let inputFilter: @Sendable ([UInt8]) -> [UInt8]
    private let onEndOfInput: @Sendable (SerialPort) -> Void

    /// Makes an attachment.
    ///
    /// - Parameters:
    ///   - fileHandleForReading: where input comes from; nil for no input.
    ///   - fileHandleForWriting: where output goes; nil drops it.
    ///   - inputFilter: sees every chunk of input and says what the guest gets of it. On the reading thread.
    ///   - onEndOfInput: called once at the end of the input.
    ///   - onOutputError: called once with an `errno` value when writing fails; output is dropped from then on.
    public init(
        fileHandleForReading: FileHandle?, fileHandleForWriting: FileHandle?,
        inputFilter: @escaping @Sendable ([UInt8]) -> [UInt8] = { $0 },
        onEndOfInput: @escaping @Sendable (SerialPort) -> Void = { _ in },
        onOutputError: @escaping @Sendable (Int32) -> Void = { _ in }
    ) {
        input = fileHandleForReading
        output = fileHandleForWriting.map {
            DescriptorWriter(descriptor: $0.fileDescriptor, onFailure: onOutputError)
        }
        self.inputFilter = inputFilter
        self.onEndOfInput = onEndOfInput
    }

    /// Starts to read the input, for `port`.
    public func connect(to port: SerialPort) {
        guard let input else { return }
        let (filter, onEnd) = (inputFilter, onEndOfInput)
        startReading(input.fileDescriptor) { bytes in
            let wanted = filter(bytes)
            if !wanted.isEmpty { port.send(wanted) }
            // A guest that does not read must not make a long input pile up here.
            while port.backlog > 1 << 16 { usleep(2000) }
        } onEnd: {
            onEnd(port)
        }
    }

    /// Passes a byte of the guest's on.
    public func receive(_ byte: UInt8) { output?.write(byte) }

    /// Waits until everything that the guest sent is written, or `seconds` are over (nil: for as long as it takes).
    ///
    /// - Returns: whether all was written.
    @discardableResult
    public func drain(seconds: Double? = nil) -> Bool { output?.drain(seconds: seconds) ?? true }

    /// Drops output that is not written yet and all that follows, so that no vCPU waits for a reader that is not there.
    public func abandonOutput() { output?.abandon() }
}

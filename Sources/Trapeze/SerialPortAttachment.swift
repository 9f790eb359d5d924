// The host's end of a machine's serial port. A port is wired to an attachment; what stands behind the attachment, a
// terminal, a file, a closure, is its own business.

import Foundation
import Synchronization

/// The other end of a serial port's wire.
public protocol SerialPortAttachment: AnyObject, Sendable {
    /// Called once, when the machine is made: `port` takes what is to reach the guest.
    func connect(to port: SerialPort)
    /// The guest sent bytes. The machine's devices wait for the return.
    func receive(_ bytes: [UInt8])
}

/// Hands everything that the guest sends to a closure, and takes input by `send(_:)`.
public final class ClosureSerialPortAttachment: SerialPortAttachment {
    private let output: @Sendable ([UInt8]) -> Void
    private let port = Mutex<SerialPort?>(nil)

    /// Wires a port to a closure. The machine's devices wait for its return, so it may not call the machine.
    public init(onOutput output: @escaping @Sendable ([UInt8]) -> Void) { self.output = output }

    /// Sends bytes to the guest, and waits until its port has taken them; they are lost before the machine is made.
    public func send(_ bytes: [UInt8]) { port.withLock { $0 }?.send(bytes) }

    /// Keeps the port for `send(_:)`.
    public func connect(to port: SerialPort) { self.port.withLock { $0 = port } }

    /// Passes the guest's bytes on.
    public func receive(_ bytes: [UInt8]) { output(bytes) }
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
    ///   - onEndOfInput: called once at the end of the input. On the reading thread.
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
        // What is typed is looked at at once, even while the guest takes nothing: the filter may know keys that end
        // the run. Everything else is read no faster than the guest takes it.
        let typed = isatty(input.fileDescriptor) == 1 ? TypeAhead(port) : nil
        startReading(input.fileDescriptor, while: { !port.isClosed }) { bytes in
            let wanted = filter(bytes)
            if let typed { typed.send(wanted) } else { port.send(wanted) }
        } onEnd: {
            onEnd(port)
        }
    }

    /// Passes the guest's bytes on.
    public func receive(_ bytes: [UInt8]) { output?.write(bytes) }

    /// Waits until everything that the guest sent is written, or `seconds` are over (nil: for as long as it takes).
    ///
    /// - Returns: whether all was written.
    @discardableResult
    public func drain(seconds: Double? = nil) -> Bool { output?.drain(seconds: seconds) ?? true }

    /// Drops output that is not written yet and all that follows, so that no vCPU waits for a reader that is not there.
    public func abandonOutput() { output?.abandon() }
}

/// Sends without making the caller wait; what does not fit into 64 KiB is dropped, as from any keyboard.
private final class TypeAhead: Sendable {
    private let port: SerialPort
    private let queue = DispatchQueue(label: "serial-type-ahead")
    private let waiting = Mutex(0)
    private static let limit = 1 << 16

    init(_ port: SerialPort) { self.port = port }

    func send(_ bytes: [UInt8]) {
        let fits = waiting.withLock { waiting in
            guard waiting + bytes.count <= Self.limit else { return false }
            waiting += bytes.count
            return true
        }
        guard fits, !bytes.isEmpty else { return }
        queue.async {
            self.port.send(bytes)
            self.waiting.withLock { $0 -= bytes.count }
        }
    }
}

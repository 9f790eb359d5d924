// A machine's serial port as its attachment sees it: a sink for bytes that is patient with a guest that reads slowly.

import Foundation

/// A machine's serial port.
public final class SerialPort: @unchecked Sendable {
    // SAFETY (Sendable): `spaceSignals` and `offer` are touched with the condition's lock held only.
    private let condition = NSCondition()
    private var spaceSignals = 0
    /// Hands bytes to the device, which says how many it took; nil once the run is over.
    private var offer: (@Sendable ([UInt8]) -> Int)?

    init(offer: @escaping @Sendable ([UInt8]) -> Int) { self.offer = offer }

    /// Sends bytes to the guest, and waits until the port has taken all of them (it holds 64 KiB). After the end of the
    /// run they are lost. Any thread but those on which the machine calls.
    public func send(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            condition.lock()
            let signals = spaceSignals
            let offer = offer
            condition.unlock()
            guard let offer else { return }
            // Without the lock: the device may be signalling space at this moment, from within its own lock.
            rest = rest.dropFirst(offer(Array(rest)))
            guard !rest.isEmpty else { return }
            condition.lock()
            while spaceSignals == signals, self.offer != nil { condition.wait() }
            condition.unlock()
        }
    }

    /// Whether the run is over, so that nothing sent will be read.
    public var isClosed: Bool {
        condition.lock()
        defer { condition.unlock() }
        return offer == nil
    }

    /// The device has room again after it refused some bytes.
    func spaceIsThere() {
        condition.lock()
        spaceSignals &+= 1
        condition.broadcast()
        condition.unlock()
    }

    /// The machine starts over: bytes go to its new device from now on. Nil: the run is over.
    func reconnect(_ offer: (@Sendable ([UInt8]) -> Int)?) {
        condition.lock()
        self.offer = offer
        spaceSignals &+= 1
        condition.broadcast()
        condition.unlock()
    }
}

// A machine's serial port as its attachment sees it: a sink for bytes that is patient with a guest that reads slowly.

import Foundation

/// A machine's serial port.
public final class SerialPort: @unchecked Sendable {
    // SAFETY (Sendable): what changes is touched with the condition's lock held only.
    private let condition = NSCondition()
    private var spaceSignals = 0
    private var dtr = (isHigh: false, wasLowered: false, wasCycled: false)
    /// Hands bytes to the device, which says how many it took; nil once the run is over.
    private var offer: (@Sendable ([UInt8]) -> Int)?

    /// A port that is wired to no device yet.
    init() {}

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

    /// Waits until the guest has lowered DTR (data terminal ready), once it was high, and raised it again, or the run is
    /// over. A guest that has input to wait for says so in this way: what comes before its terminal is set up is lost.
    public func waitForCycledDTR() {
        condition.lock()
        while !dtr.wasCycled, offer != nil { condition.wait() }
        condition.unlock()
    }

    /// The guest wrote the modem control register: bit 0 is DTR, bit 4 cuts the port off from the world.
    func modemControlWritten(_ value: UInt8) {
        let isHigh = value & 0x11 == 1
        condition.lock()
        if dtr.isHigh, !isHigh { dtr.wasLowered = true }
        if dtr.wasLowered, isHigh { dtr.wasCycled = true }
        dtr.isHigh = isHigh
        condition.broadcast()
        condition.unlock()
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

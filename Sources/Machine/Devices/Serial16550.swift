// The 16550A UART (PC16550D data sheet): registers, FIFOs and interrupts. Characters are sent at once. They are received
// by the FIFO: after every 16 that a guest reads the next ones take their time to arrive, some seven times less than at
// 115,200 baud. A driver's interrupt handler reads until nothing is left, so with no pause it would never come to an end,
// and what it has read would overflow before RTS can go low. A character timeout is due whenever the FIFO holds less than
// its trigger.
//
// What arrives from the host waits in a bounded queue until the FIFO has room, as with a sender that honours RTS, so that
// nothing typed ahead is lost to a driver that clears the FIFO while it starts. A driver that listens without ever having
// raised RTS or OUT2 was made for a board on which neither is connected, and gets its characters and interrupts all the
// same.

import VirtualCPU

/// How far a guest has come whose input waits for it: DTR up, down, and up again, loopback apart.
enum SerialInputGate: UInt8, Codable, Sendable {
    case closed, raised, lowered, open
}

/// A 16550A's registers, FIFO and queue.
package struct Serial16550State: Codable, Equatable, Sendable {
    var interruptEnable: UInt8 = 0
    var fifoEnabled = false
    /// FIFO control register, bits 7:6.
    var trigger: UInt8 = 0
    var lineControl: UInt8 = 0
    var modemControl: UInt8 = 0
    /// Never written: the guest does not know of RTS, and characters flow.
    var modemControlWritten = false
    /// The modem control outputs that have ever been on, loopback apart.
    var modemControlRaised: UInt8 = 0
    var gate = SerialInputGate.open
    var overrun = false
    var modemDelta: UInt8 = 0
    var scratch: UInt8 = 0
    var divisor: UInt16 = 12
    /// Characters in the receiver; bit 8 marks a break.
    var received: [UInt16] = []
    /// Host input that is not in the receiver yet.
    var queued: [UInt16] = []
    /// Characters read since the last pause, at most 16.
    var burst = 0
    /// When the pause is over, in nanoseconds.
    var nextArrival: UInt64 = 0
    /// The transmitter-empty interrupt waits.
    var transmitterInterrupt = false
}

/// A serial port. Its port offsets are the eight registers.
package final class Serial16550: PortDevice, StatefulDevice {
    private enum Enable {
        static let received: UInt8 = 1
        static let transmitterEmpty: UInt8 = 2
        static let lineStatus: UInt8 = 4
        static let modemStatus: UInt8 = 8
    }
    private enum Modem {
        static let dtr: UInt8 = 1
        static let rts: UInt8 = 2
        static let out2: UInt8 = 8
        static let loop: UInt8 = 0x10
    }
    private static let breakMark: UInt16 = 0x100
    /// Host input that may wait, in characters.
    package static let queueLimit = 65_536
    /// As many characters arrive without a pause …
    private static let burstLength = 16
    /// … of so many nanoseconds.
    private static let pause: UInt64 = 200_000
    /// Output is handed over at a newline, at this many characters, …
    private static let outputLimit = 256
    /// … or this long after its first character, in nanoseconds.
    private static let outputDelay: UInt64 = 1_000_000

    private let environment: DeviceEnvironment
    private let line: InterruptLine
    private let output: ([UInt8]) -> Void
    private let outputTimer: DeviceTimer
    private let inputTimer: DeviceTimer
    private var pendingOutput: [UInt8] = []
    @exclusivity(unchecked) private var state = Serial16550State()
    /// Index of the first character of `state.queued` that has not gone to the receiver.
    private var queueStart = 0

    /// Called, with the device lock held, when the queue has become half empty after `receive` took less than it was given.
    package var onInputSpace: (() -> Void)?
    private var refusedInput = false

    /// Makes a port after reset. `output` takes what the guest sends, with the device lock held: it should hand the bytes on
    /// and return. With `holdsInput`, input waits until the guest has lowered DTR and raised it again.
    package init(
        _ environment: DeviceEnvironment, line: InterruptLine, holdsInput: Bool = false,
        output: @escaping ([UInt8]) -> Void
    ) {
        state.gate = holdsInput ? .closed : .open
        self.environment = environment
        self.line = line
        self.output = output
        outputTimer = DeviceTimer(environment)
        inputTimer = DeviceTimer(environment)
        outputTimer.onExpiry { [weak self] in self?.flush() }
        inputTimer.onExpiry { [weak self] in
            self?.refill()
            self?.update()
        }
    }

    // MARK: The host's side

    /// Takes input. Any thread. Returns how many bytes were taken; the rest has to be offered again.
    package func receive(_ bytes: [UInt8]) -> Int {
        environment.lock.withLock {
            let count = min(bytes.count, max(0, Self.queueLimit - (state.queued.count - queueStart)))
            refusedInput = count < bytes.count
            state.queued += bytes.prefix(count).map(UInt16.init)
            refill()
            update()
            return count
        }
    }

    /// Takes a break condition in, after the input so far. Any thread.
    package func receiveBreak() {
        environment.lock.withLock {
            guard state.queued.count - queueStart < Self.queueLimit else { return }
            state.queued.append(Self.breakMark)
            refill()
            update()
        }
    }

    /// Hands over what the guest has sent and `output` has not seen. Device lock held.
    package func flush() {
        outputTimer.arm(at: nil)
        guard !pendingOutput.isEmpty else { return }
        let bytes = pendingOutput
        pendingOutput.removeAll(keepingCapacity: true)
        output(bytes)
    }

    private func send(_ byte: UInt8) {
        pendingOutput.append(byte)
        if byte == 0x0a || pendingOutput.count >= Self.outputLimit {
            flush()
        } else if pendingOutput.count == 1 {
            outputTimer.arm(at: environment.clock.now() + Self.outputDelay)
        }
    }

    // MARK: Receiver

    private var capacity: Int { state.fifoEnabled ? 16 : 1 }
    private var triggerLevel: Int { state.fifoEnabled ? [1, 4, 8, 14][Int(state.trigger)] : 1 }
    private var looped: Bool { state.modemControl & Modem.loop != 0 }

    /// Whether the sender may send: RTS is on, or the guest shows that it does not know of RTS.
    private var senderMaySend: Bool {
        if !state.modemControlWritten || state.modemControl & Modem.rts != 0 { return true }
        return state.modemControlRaised & Modem.rts == 0 && state.interruptEnable & Enable.received != 0
    }

    /// Moves queued input into the receiver while the sender may send.
    private func refill() {
        guard state.gate == .open, !looped, senderMaySend else { return }
        guard environment.clock.now() >= state.nextArrival else {
            return inputTimer.arm(at: queueStart < state.queued.count ? state.nextArrival : nil)
        }
        while queueStart < state.queued.count, state.received.count < capacity {
            state.received.append(state.queued[queueStart])
            queueStart += 1
        }
        if queueStart == state.queued.count || queueStart >= 4096 {
            state.queued.removeFirst(queueStart)
            queueStart = 0
        }
        if refusedInput, state.queued.count - queueStart <= Self.queueLimit / 2 {
            refusedInput = false
            onInputSpace?()
        }
    }

    private func readReceiver() -> UInt8 {
        guard !state.received.isEmpty else { return 0 }
        let character = state.received.removeFirst()
        state.burst = min(state.burst + 1, Self.burstLength)
        if state.received.isEmpty {
            if state.burst == Self.burstLength {
                state.burst = 0
                state.nextArrival = environment.clock.now() + Self.pause
            }
            refill()
        }
        update()
        return UInt8(truncatingIfNeeded: character)
    }

    private func transmit(_ byte: UInt8) {
        state.transmitterInterrupt = false
        update()
        if looped {
            if state.received.count < capacity {
                state.received.append(UInt16(byte))
            } else {
                state.overrun = true
            }
        } else {
            send(byte)
        }
        // Sent already: the transmitter is empty again, which is an event of its own.
        state.transmitterInterrupt = true
        update()
    }

    // MARK: Status and interrupts

    private var atBreak: Bool { (state.received.first ?? 0) & Self.breakMark != 0 }

    /// LSR; the transmitter is always empty.
    private var lineStatus: UInt8 {
        let anyBreak = state.fifoEnabled && state.received.contains { $0 & Self.breakMark != 0 }
        return 0x60 | (state.received.isEmpty ? 0 : 1) | (state.overrun ? 2 : 0) | (atBreak ? 0x10 : 0)
            | (anyBreak ? 0x80 : 0)
    }

    private func readLineStatus() -> UInt8 {
        let status = lineStatus
        state.overrun = false
        if atBreak { state.received[0] &= ~Self.breakMark }
        update()
        return status
    }

    /// MSR bits 7:4: a terminal that is always ready, or MCR's outputs in loopback.
    private func modemInputs(_ control: UInt8) -> UInt8 {
        guard control & Modem.loop != 0 else { return 0xb0 }
        return (control & 2) << 3 | (control & 1) << 5 | (control & 4) << 4 | (control & 8) << 4
    }

    private func writeModemControl(_ value: UInt8) {
        let before = modemInputs(state.modemControl)
        state.modemControl = value & 0x1f
        if !state.modemControlWritten {
            // A driver takes the port over, and drivers begin by emptying the receiver: it gets its input after that.
            state.queued.insert(contentsOf: state.received, at: queueStart)
            state.received.removeAll()
            state.modemControlWritten = true
        }
        if !looped { state.modemControlRaised |= state.modemControl }
        moveGate()
        let after = modemInputs(state.modemControl)
        // DCTS, DDSR and DDCD are changes; TERI is a fall of RI.
        var delta = (before ^ after) >> 4 & 0xb
        if before & ~after & 0x40 != 0 { delta |= 4 }
        state.modemDelta |= delta
        refill()
        update()
    }

    private func moveGate() {
        guard !looped else { return }
        switch (state.gate, state.modemControl & Modem.dtr != 0) {
        case (.closed, true): state.gate = .raised
        case (.raised, false): state.gate = .lowered
        case (.lowered, true): state.gate = .open
        default: break
        }
    }

    /// The highest-priority interrupt (PC16550D, table IV).
    private var identification: UInt8 {
        let enable = state.interruptEnable
        if enable & Enable.lineStatus != 0, state.overrun || atBreak { return 0x06 }
        if enable & Enable.received != 0, !state.received.isEmpty {
            return state.received.count >= triggerLevel ? 0x04 : 0x0c
        }
        if enable & Enable.transmitterEmpty != 0, state.transmitterInterrupt { return 0x02 }
        if enable & Enable.modemStatus != 0, state.modemDelta != 0 { return 0x00 }
        return 0x01
    }

    /// On a PC, OUT2 lets the interrupt out, for guests that know of it; loopback cuts it off.
    private func update() {
        let isConnected = state.modemControl & Modem.out2 != 0 || state.modemControlRaised & Modem.out2 == 0
        line.set(identification & 1 == 0 && isConnected && !looped)
    }

    private func readIdentification() -> UInt8 {
        let identification = identification
        if identification == 0x02 {
            state.transmitterInterrupt = false
            update()
        }
        return identification | (state.fifoEnabled ? 0xc0 : 0)
    }

    // MARK: Ports

    private var divisorAccess: Bool { state.lineControl & 0x80 != 0 }

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        let value: UInt8
        switch offset {
        case 0: value = divisorAccess ? UInt8(truncatingIfNeeded: state.divisor) : readReceiver()
        case 1: value = divisorAccess ? UInt8(state.divisor >> 8) : state.interruptEnable
        case 2: value = readIdentification()
        case 3: value = state.lineControl
        case 4: value = state.modemControl
        case 5: value = readLineStatus()
        case 6:
            value = modemInputs(state.modemControl) | state.modemDelta
            state.modemDelta = 0
            update()
        case 7: value = state.scratch
        default: value = 0xff
        }
        return UInt32(value)
    }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        switch offset {
        case 0 where divisorAccess: state.divisor = state.divisor & 0xff00 | UInt16(value)
        case 0: transmit(value)
        case 1 where divisorAccess: state.divisor = state.divisor & 0xff | UInt16(value) << 8
        case 1:
            // Enabling the transmitter interrupt while the transmitter is empty raises it.
            if value & ~state.interruptEnable & Enable.transmitterEmpty != 0 { state.transmitterInterrupt = true }
            let mightSend = senderMaySend
            state.interruptEnable = value & 0x0f
            if senderMaySend && !mightSend {
                // The driver is about to empty the receiver, as they all begin.
                state.nextArrival = environment.clock.now() + Self.pause
                refill()
            }
            update()
        case 2: writeFIFOControl(value)
        case 3: state.lineControl = value
        case 4: writeModemControl(value)
        case 7: state.scratch = value
        default: break
        }
    }

    private func writeFIFOControl(_ value: UInt8) {
        let enable = value & 1 != 0
        // Switching the FIFOs on or off clears them, and so does bit 1.
        if enable != state.fifoEnabled || value & 2 != 0 { state.received.removeAll() }
        state.fifoEnabled = enable
        state.trigger = enable ? value >> 6 : 0
        refill()
        update()
    }

    // MARK: State

    /// Registers, FIFO and waiting input; output is handed over first.
    package func exportState() -> Serial16550State {
        flush()
        var exported = state
        exported.queued.removeFirst(queueStart)
        return exported
    }

    /// Puts the port back.
    package func importState(_ state: Serial16550State) throws(DeviceStateError) {
        guard state.received.count <= 16, state.queued.count <= Self.queueLimit + 16, state.trigger < 4,
            state.modemControl < 0x20, (0...Self.burstLength).contains(state.burst), state.interruptEnable < 0x10
        else { throw DeviceStateError("not the state of a 16550A") }
        flush()
        self.state = state
        queueStart = 0
        if state.received.isEmpty { refill() }
    }
}

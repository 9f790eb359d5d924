// The I/O APIC (Intel 82093AA): 24 inputs, each with a redirection entry that says what message a request becomes.

import VirtualCPU

/// Fields of a redirection entry (82093AA, section 3.2.4).
private enum Entry {
    static let destinationLogical: UInt64 = 1 << 11
    static let remoteIRR: UInt64 = 1 << 14
    static let level: UInt64 = 1 << 15
    static let masked: UInt64 = 1 << 16
    static let readOnly: UInt64 = 1 << 12 | remoteIRR
    static let writable: UInt64 = 0xff00_0000_0001_ffff & ~readOnly
}

/// An I/O APIC. Its register window is 4 KiB: IOREGSEL at 0x00, IOWIN at 0x10.
package final class IOAPIC: MMIODevice, StatefulDevice {
    /// Sends a message; the result says whether a local APIC took it.
    package var send: ((_ address: UInt64, _ data: UInt32) -> Bool)?

    @exclusivity(unchecked) private var state = IOAPICState()
    private static let pins = 24

    /// Makes an I/O APIC after reset, with all pins masked and low.
    package init() {}

    // MARK: Pins

    /// Drives a pin.
    package func setLine(_ pin: Int, level: Bool) {
        guard (0..<Self.pins).contains(pin) else { return }
        let bit: UInt32 = 1 << UInt32(pin)
        let rose = level && state.lines & bit == 0
        state.lines = state.lines & ~bit | (level ? bit : 0)
        let entry = state.redirection[pin]
        if entry & Entry.level != 0 {
            serveLevel(pin)
        } else if rose, entry & Entry.masked == 0 {
            // An edge at a masked pin is lost.
            _ = signal(entry)
        }
    }

    /// Sets a pin's level without an edge.
    package func presetLine(_ pin: Int, level: Bool) {
        guard (0..<Self.pins).contains(pin) else { return }
        let bit: UInt32 = 1 << UInt32(pin)
        state.lines = state.lines & ~bit | (level ? bit : 0)
    }

    /// An EOI broadcast: level-triggered pins with this vector may request again.
    package func endOfInterrupt(vector: UInt8) {
        for pin in 0..<Self.pins {
            let entry = state.redirection[pin]
            guard entry & (Entry.level | Entry.remoteIRR) == Entry.level | Entry.remoteIRR,
                UInt8(truncatingIfNeeded: entry) == vector
            else { continue }
            state.redirection[pin] &= ~Entry.remoteIRR
            serveLevel(pin)
        }
    }

    /// A level-triggered pin that is high asks once until its EOI.
    private func serveLevel(_ pin: Int) {
        let entry = state.redirection[pin]
        guard entry & (Entry.level | Entry.masked | Entry.remoteIRR) == Entry.level,
            state.lines & 1 << UInt32(pin) != 0
        else { return }
        // Before sending, since the EOI may come while the message is on its way.
        state.redirection[pin] |= Entry.remoteIRR
        if !signal(entry) { state.redirection[pin] &= ~Entry.remoteIRR }
    }

    /// Sends an entry's message, in the encoding of an MSI (SDM volume 3, section 11.11).
    private func signal(_ entry: UInt64) -> Bool {
        let logical = entry & Entry.destinationLogical != 0
        let address = MMIOMap.localAPIC | (entry >> 56) << 12 | (logical ? 1 << 2 : 0)
        let trigger = UInt32(truncatingIfNeeded: entry & Entry.level)
        let data = UInt32(truncatingIfNeeded: entry & 0x7ff) | 1 << 14 | trigger
        return send?(address, data) ?? false
    }

    // MARK: Registers

    /// Reads IOREGSEL or, through IOWIN, the selected register.
    package func readMMIO(_ offset: UInt64, size: Int) -> UInt64 {
        switch offset {
        case 0x00: UInt64(state.select)
        case 0x10: UInt64(readRegister(state.select))
        default: 0
        }
    }

    /// Writes IOREGSEL or, through IOWIN, the selected register.
    package func writeMMIO(_ offset: UInt64, size: Int, value: UInt64) {
        switch offset {
        case 0x00: state.select = UInt8(truncatingIfNeeded: value)
        case 0x10: writeRegister(state.select, UInt32(truncatingIfNeeded: value))
        default: break
        }
    }

    private func readRegister(_ index: UInt8) -> UInt32 {
        switch index {
        case 0, 2: return UInt32(state.id) << 24
        case 1: return UInt32(Self.pins - 1) << 16 | 0x11
        case 0x10..<0x40:
            let entry = state.redirection[Int(index - 0x10) / 2]
            return UInt32(truncatingIfNeeded: index & 1 == 0 ? entry : entry >> 32)
        default: return 0
        }
    }

    private func writeRegister(_ index: UInt8, _ value: UInt32) {
        if index == 0 { state.id = UInt8(value >> 24 & 0xf) }
        guard (0x10..<0x40).contains(index) else { return }
        let pin = Int(index - 0x10) / 2
        let old = state.redirection[pin]
        var entry =
            index & 1 == 0
            ? old & 0xffff_ffff_0000_0000 | UInt64(value) : old & 0xffff_ffff | UInt64(value) << 32
        entry = entry & Entry.writable | old & Entry.readOnly
        // Remote IRR means nothing to an edge-triggered pin; kernels clear it by switching over and back.
        if entry & Entry.level == 0 { entry &= ~Entry.remoteIRR }
        state.redirection[pin] = entry
        serveLevel(pin)
    }

    // MARK: State

    /// Registers and pins.
    package func exportState() -> IOAPICState { state }

    /// Puts registers and pins back; nothing is sent.
    package func importState(_ state: IOAPICState) throws(DeviceStateError) {
        let allowed = Entry.writable | Entry.readOnly
        guard state.redirection.count == Self.pins, state.redirection.allSatisfy({ $0 & ~allowed == 0 }), state.id < 16,
            state.lines >> UInt32(Self.pins) == 0
        else { throw DeviceStateError("not the state of an I/O APIC with \(Self.pins) pins") }
        self.state = state
    }
}

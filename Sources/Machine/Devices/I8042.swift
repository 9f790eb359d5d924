// The keyboard controller (IBM PC AT; 8042), with nothing plugged into it. What remains is what systems expect of it: a
// self test, the A20 gate's register, and the line that resets the CPU. Every command that wants an answer gets one, so
// that no driver waits for its time limit.

/// The controller's registers.
package struct I8042State: Codable, Equatable, Sendable {
    /// The command byte: interrupts off, both interfaces disabled.
    var commandByte: UInt8 = 0x30
    /// Output port: bit 0 is the CPU's reset (low active), bit 1 A20.
    var outputPort: UInt8 = 0x03
    /// Answer that waits in the output buffer.
    var answer: UInt8?
    /// The answer is an error: nobody took what was sent.
    var timedOut = false
    /// The command whose parameter comes next.
    var command: UInt8?
    /// The last write was a command rather than data.
    var lastWasCommand = false
}

/// The keyboard controller. Its port offsets: 0 data, 4 status and command. A20 is a register only: addresses are never
/// masked.
package final class I8042: PortDevice, StatefulDevice {
    private let events: MachineEventSink
    private var state = I8042State()

    /// Makes a controller after its self test.
    package init(_ environment: DeviceEnvironment) { events = environment.events }

    // MARK: Ports

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        if offset == 4 { return UInt32(status) }
        defer {
            state.answer = nil
            state.timedOut = false
        }
        return UInt32(state.answer ?? 0)
    }

    /// Bit 0 output buffer full, 2 system flag, 3 last write was a command, 4 not locked, 6 time-out.
    private var status: UInt8 {
        (state.answer != nil ? 1 : 0) | state.commandByte & 4 | (state.lastWasCommand ? 8 : 0) | 0x10
            | (state.timedOut ? 0x40 : 0)
    }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        state.lastWasCommand = offset == 4
        if offset == 4 { run(value) } else { takeData(value) }
    }

    private func reply(_ value: UInt8) {
        state.answer = value
        state.timedOut = false
    }

    private func run(_ command: UInt8) {
        state.command = nil
        switch command {
        case 0x20: reply(state.commandByte)
        case 0x60, 0xd1, 0xd2, 0xd3, 0xd4: state.command = command
        case 0xa7: state.commandByte |= 0x20
        case 0xa8: state.commandByte &= ~0x20
        case 0xaa: reply(0x55)
        case 0xa9, 0xab: reply(0x01)  // interface tests: the clock line is stuck low
        case 0xad: state.commandByte |= 0x10
        case 0xae: state.commandByte &= ~0x10
        case 0xc0: reply(0x80)  // input port: not locked
        case 0xd0: reply(state.outputPort)
        case 0xdd: state.outputPort &= ~2
        case 0xdf: state.outputPort |= 2
        case 0xf0...0xff where command & 1 == 0: events(.reset)  // pulses output bit 0
        default: break
        }
    }

    private func takeData(_ value: UInt8) {
        let command = state.command
        state.command = nil
        switch command {
        case 0x60: state.commandByte = value & 0x7f
        case 0xd1:
            state.outputPort = value | 1
            if value & 1 == 0 { events(.reset) }
        case 0xd2, 0xd3: reply(value)
        default:
            // For a keyboard or a mouse, and there is none.
            state.answer = 0xfe
            state.timedOut = true
        }
    }

    // MARK: State

    /// The registers.
    package func exportState() -> I8042State { state }

    /// Puts the registers back.
    package func importState(_ state: I8042State) throws(DeviceStateError) { self.state = state }
}

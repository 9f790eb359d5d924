// The 8254 interval timer with its three counters, and the bits of system control port B (0x61) that drive and read
// counter 2. Counter 0's output is ISA interrupt 0.

import VirtualCPU

/// The interval timer. Its port offsets: 0…2 are the counters, 3 the control word, 4 system control port B.
package final class PIT8254: PortDevice, StatefulDevice {
    private let environment: DeviceEnvironment
    private let line: InterruptLine
    private let timer: DeviceTimer
    private var counters = [PITCounter](repeating: PITCounter(), count: 3)
    private var speaker = false

    /// Ticks between two changes of the refresh bit: counter 1 as every PC's firmware programs it.
    private static let refreshTicks: UInt64 = 18

    /// Makes a timer after reset: no counter runs, and all outputs are high.
    package init(_ environment: DeviceEnvironment, line: InterruptLine) {
        self.environment = environment
        self.line = line
        timer = DeviceTimer(environment)
        counters[2].state.gate = false
        // High from the start: programming a mode makes no edge.
        line.preset(true)
        timer.onExpiry { [weak self] in self?.outputRose() }
    }

    private var now: UInt64 { environment.clock.now() }

    // MARK: Counter 0

    private func outputRose() {
        let now = now
        counters[0].settle(now)
        line.raiseEdge()
        schedule(after: now)
    }

    private func schedule(after now: UInt64) { timer.arm(at: counters[0].nextRise(after: now)) }

    /// Counter 0 was programmed: its output's level, and its next edge, both as of one time.
    private func reprogrammed() {
        let now = now
        line.set(counters[0].output(now))
        schedule(after: now)
    }

    // MARK: Ports

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        // Who reads that the output is high has seen its edge.
        timer.catchUp()
        switch offset {
        case 0...2: return UInt32(counters[Int(offset)].read(now))
        case 4: return UInt32(readControlB())
        default: return 0xff  // the control word cannot be read
        }
    }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        let value = UInt8(truncatingIfNeeded: value)
        timer.catchUp()
        switch offset {
        case 0...2:
            counters[Int(offset)].write(value, now)
            if offset == 0 { reprogrammed() }
        case 3: writeControl(value)
        case 4:
            speaker = value & 2 != 0
            counters[2].setGate(value & 1 != 0, now)
        default: break
        }
    }

    private func writeControl(_ word: UInt8) {
        let selected = Int(word >> 6)
        guard selected == 3 else {
            counters[selected].control(word, now)
            if selected == 0, word & 0x30 != 0 { reprogrammed() }
            return
        }
        // Read-back command (8254, figure 10).
        for index in 0..<3 where word & 2 << UInt8(index) != 0 {
            if word & 0x20 == 0 { counters[index].latchCount(now) }
            if word & 0x10 == 0 { counters[index].latchStatus(now) }
        }
    }

    /// Bit 0 gate 2, bit 1 speaker data, bit 4 refresh, bit 5 output 2.
    private func readControlB() -> UInt8 {
        let now = now
        counters[2].settle(now)
        let refresh = PITTime.ticks(now) / Self.refreshTicks & 1 != 0
        return (counters[2].state.gate ? 1 : 0) | (speaker ? 2 : 0) | (refresh ? 1 << 4 : 0)
            | (counters[2].output(now) ? 1 << 5 : 0)
    }

    // MARK: State

    /// The counters and the speaker bit.
    package func exportState() -> PITState {
        var state = PITState()
        state.channels = counters.map(\.state)
        state.speaker = speaker
        return state
    }

    /// Puts the counters back and arms the next edge.
    package func importState(_ state: PITState) throws(DeviceStateError) {
        guard state.channels.count == 3, state.channels.allSatisfy(PITCounter.isValid) else {
            throw DeviceStateError("not the state of an 8254")
        }
        for index in 0..<3 { counters[index].state = state.channels[index] }
        speaker = state.speaker
        schedule(after: now)
    }
}

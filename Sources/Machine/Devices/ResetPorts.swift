// The PC's other reset lines: the reset control register at 0xcf9 (Intel PIIX3, section 2.5.10) and system control port A
// at 0x92, which also has an A20 bit.

/// One register whose bits may reset the machine.
package struct ResetPortState: Codable, Equatable, Sendable {
    /// The register as written.
    var register: UInt8 = 0
}

/// The reset control register, one byte: a rise of bit 2 resets, hard if bit 1 is set.
package final class ResetControl: PortDevice, StatefulDevice {
    private let events: MachineEventSink
    private var state = ResetPortState()

    /// Makes the register after reset.
    package init(_ environment: DeviceEnvironment) { events = environment.events }

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 { UInt32(state.register) }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        let rises = value & ~UInt32(state.register) & 4 != 0
        state.register = UInt8(truncatingIfNeeded: value & 0x0e)
        guard rises else { return }
        // The line is not held: the bit is low again after the reset.
        state.register &= ~4
        events(.reset)
    }

    /// The register.
    package func exportState() -> ResetPortState { state }

    /// Puts the register back.
    package func importState(_ state: ResetPortState) throws(DeviceStateError) { self.state = state }
}

/// System control port A, one byte: a rise of bit 0 resets the CPU, bit 1 is A20 (kept, without effect).
package final class SystemControlA: PortDevice, StatefulDevice {
    private let events: MachineEventSink
    private var state = ResetPortState(register: 2)

    /// Makes the port after reset.
    package init(_ environment: DeviceEnvironment) { events = environment.events }

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 { UInt32(state.register) }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        let rises = value & ~UInt32(state.register) & 1 != 0
        state.register = UInt8(truncatingIfNeeded: value & 2)
        if rises { events(.reset) }
    }

    /// The register.
    package func exportState() -> ResetPortState { state }

    /// Puts the register back.
    package func importState(_ state: ResetPortState) throws(DeviceStateError) { self.state = state }
}

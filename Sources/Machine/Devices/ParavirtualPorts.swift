// Small ports that no PC has, by which guests talk to the machine they run in: the end of the run, panics, debug output;
// and the POST code port, which firmware has always used in this way.

/// The exit port: a write of 1, 2 or 4 bytes ends the run.
package final class ExitPort: PortDevice {
    private let events: MachineEventSink
    private let status: (UInt32) -> UInt8

    /// Makes an exit port; `status` turns a written value into the exit status.
    package init(_ environment: DeviceEnvironment, status: @escaping (UInt32) -> UInt8) {
        events = environment.events
        self.status = status
    }

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 { 0 }

    /// OUT. Only the first port counts.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        if offset == 0 { events(.exit(status: status(value))) }
    }
}

/// pvpanic (QEMU's docs/specs/pvpanic): reads give the events understood, writes report them.
package final class PVPanic: PortDevice {
    private static let panicked: UInt32 = 1
    private static let crashLoaded: UInt32 = 2
    private let events: MachineEventSink

    /// Makes a pvpanic device.
    package init(_ environment: DeviceEnvironment) { events = environment.events }

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 { Self.panicked | Self.crashLoaded }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        if value & Self.panicked != 0 {
            events(.panic)
        } else if value & Self.crashLoaded != 0 {
            events(.crashLoaded)
        }
    }
}

/// The debug console of Bochs and QEMU: bytes written go out; a read of 0xe9 says that it is there.
package final class DebugConsole: PortDevice {
    private let output: (UInt8) -> Void

    /// Makes a debug console; `output` is called with the device lock held.
    package init(output: @escaping (UInt8) -> Void) { self.output = output }

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 { 0xe9 }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) { output(UInt8(truncatingIfNeeded: value)) }
}

/// The last POST code.
package struct PostCodeState: Codable, Equatable, Sendable {
    /// As written.
    var code: UInt8 = 0
}

/// The POST code port: keeps what is written. Drivers write it to let a microsecond pass.
package final class PostCodePort: PortDevice, StatefulDevice {
    private var state = PostCodeState()

    /// Makes the port.
    package init() {}

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 { UInt32(state.code) }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        state.code = UInt8(truncatingIfNeeded: value)
    }

    /// The code.
    package func exportState() -> PostCodeState { state }

    /// Puts the code back.
    package func importState(_ state: PostCodeState) throws(DeviceStateError) { self.state = state }
}

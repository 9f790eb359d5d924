// fw_cfg (QEMU's docs/specs/fw_cfg): a selector and a data port through which firmware and test suites learn what the
// machine is made of. Here it says how many vCPUs and how much memory there are, and that there is no file.

/// What fw_cfg was asked for, and how far it was read.
package struct FirmwareConfigurationState: Codable, Equatable, Sendable {
    var selector: UInt16 = 0
    var offset: UInt32 = 0
}

/// The device. Its port offsets: 0 is the selector (2 bytes), 1 the data (1 byte).
package final class FirmwareConfiguration: PortDevice, StatefulDevice {
    private enum Key {
        static let signature: UInt16 = 0x00
        static let interfaceVersion: UInt16 = 0x01
        static let memorySize: UInt16 = 0x03
        static let processors: UInt16 = 0x05
        static let maximumProcessors: UInt16 = 0x0f
        static let fileDirectory: UInt16 = 0x19
    }

    private let items: [UInt16: [UInt8]]
    private var state = FirmwareConfigurationState()

    /// Describes a machine with `memorySize` bytes of RAM.
    package init(memorySize: UInt64, processors: Int) {
        func littleEndian(_ value: UInt64, bytes: Int) -> [UInt8] {
            (0..<bytes).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
        }
        items = [
            Key.signature: Array("QEMU".utf8),
            Key.interfaceVersion: littleEndian(1, bytes: 4),
            Key.memorySize: littleEndian(memorySize, bytes: 8),
            Key.processors: littleEndian(UInt64(processors), bytes: 2),
            Key.maximumProcessors: littleEndian(UInt64(processors), bytes: 2),
            Key.fileDirectory: [0, 0, 0, 0],
        ]
    }

    /// IN: the next byte of the selected item; 0 behind its end.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        guard offset == 1, size == 1 else { return 0 }
        defer { state.offset &+= 1 }
        guard let item = items[state.selector], state.offset < UInt32(item.count) else { return 0 }
        return UInt32(item[Int(state.offset)])
    }

    /// OUT: selects an item. Data cannot be written.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        guard offset == 0, size == 2 else { return }
        state = FirmwareConfigurationState(selector: UInt16(truncatingIfNeeded: value))
    }

    /// The state.
    package func exportState() -> FirmwareConfigurationState { state }

    /// Takes a state in; all are possible.
    package func importState(_ state: FirmwareConfigurationState) { self.state = state }
}

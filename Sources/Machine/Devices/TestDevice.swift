// The test device (QEMU's pc-testdev): ports and memory by which test suites for virtual CPUs drive interrupt lines by
// hand and see their own accesses come back. It answers where no PC has anything, so that it can stay on every board.

import Foundation
import VirtualCPU

/// What was last written to the test device.
package struct TestDeviceState: Codable, Equatable, Sendable {
    /// The echo register.
    var echo: UInt32 = 0
    /// The echo memory up to its last byte that is not 0.
    var memory = Data()
}

/// The device. Its port offsets: 0…3 the echo register; 4…7 the page flush; 8…11 the echo register once more; from 0x20
/// one port for each interrupt line, on which 0 drives it low and anything else high. Its MMIO range is 64 KiB of memory.
package final class TestDevice: PortDevice, MMIODevice, StatefulDevice {
    /// Port offset of the first interrupt line.
    package static let firstLine: UInt16 = 0x20
    /// Bytes of echo memory.
    package static let memorySize = 0x1_0000

    private let lines: [InterruptLine]
    private var echo: UInt32 = 0
    private var memory = [UInt8](repeating: 0, count: TestDevice.memorySize)

    /// Makes a device that drives `lines`.
    package init(lines: [InterruptLine]) { self.lines = lines }

    // MARK: Ports

    /// IN: the part of the echo register that was addressed.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        switch offset {
        case 0..<4, 8..<12: echo >> (UInt32(offset & 3) * 8)
        default: 0
        }
    }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        switch offset {
        case 0..<4, 8..<12:
            let shift = UInt32(offset & 3) * 8
            let mask = (UInt32.max >> UInt32(32 - size * 8)) << shift
            echo = echo & ~mask | (value << shift) & mask
        case Self.firstLine...:
            let line = Int(offset - Self.firstLine)
            if line < lines.count { lines[line].set(value != 0) }
        default:
            // The page flush makes a hypervisor forget what it keeps of a page. Nothing that an engine keeps can be told
            // from the page itself, so there is nothing for the guest to see.
            break
        }
    }

    // MARK: Memory

    /// Reads echo memory.
    package func readMMIO(_ offset: UInt64, size: Int) -> UInt64 {
        (0..<size).reduce(0) { $0 | UInt64(memory[(Int(offset) + $1) % Self.memorySize]) << UInt64($1 * 8) }
    }

    /// Writes echo memory.
    package func writeMMIO(_ offset: UInt64, size: Int, value: UInt64) {
        for byte in 0..<size {
            memory[(Int(offset) + byte) % Self.memorySize] = UInt8(truncatingIfNeeded: value >> UInt64(byte * 8))
        }
    }

    // MARK: State

    /// The echo register and memory; the lines' levels are the router's.
    package func exportState() -> TestDeviceState {
        let used = (memory.lastIndex { $0 != 0 } ?? -1) + 1
        return TestDeviceState(echo: echo, memory: Data(memory[..<used]))
    }

    /// Puts them back.
    package func importState(_ state: TestDeviceState) throws(DeviceStateError) {
        guard state.memory.count <= Self.memorySize else {
            throw DeviceStateError("a test device has \(Self.memorySize) bytes of memory, not \(state.memory.count)")
        }
        echo = state.echo
        memory = state.memory + [UInt8](repeating: 0, count: Self.memorySize - state.memory.count)
    }
}

extension TestDevice {
    /// Takes the device's places on a bus. The debug console keeps its port; firmware that reaches down to the echo
    /// memory hides it, since memory comes before the bus.
    package func claim(on bus: MachineBus) throws(BusError) {
        let base = PortMap.testDevice.lowerBound
        let console = PortMap.debugConsole.lowerBound
        let bytes = [base...console - 1, console + 1...PortMap.testDevice.upperBound]
        for ports in bytes {
            try bus.ports.claim(ports, name: "test device", offset: ports.lowerBound - base, device: self)
        }
        try bus.ports.claim(PortMap.testDevice, name: "test device", sizes: [.word, .dword], device: self)
        try bus.ports.claim(
            PortMap.testDeviceLines, name: "test device's interrupt lines", offset: Self.firstLine, device: self)
        try bus.mmio.claim(
            base: MMIOMap.testDevice, size: UInt64(Self.memorySize), name: "test device",
            sizes: [.byte, .word, .dword, .qword], device: self)
    }
}

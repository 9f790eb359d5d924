// The PCI host bridge: configuration mechanism 1 (PCI Local Bus 3.0, section 3.2.2.3.2) and bus 0, on which functions
// are placed. The bridge itself is function 0 of device 0.

/// One function on the bus, as configuration cycles see it.
package protocol PCIFunction: AnyObject {
    /// Reads `size` bytes (1, 2 or 4) that lie within a dword, at an offset of 0…255.
    func readConfiguration(_ offset: Int, size: Int) -> UInt32
    /// Writes the low `size` bytes of `value` likewise.
    func writeConfiguration(_ offset: Int, size: Int, value: UInt32)
}

/// 256 bytes of configuration space, of which some bits can be written.
package struct PCIConfigurationSpace: Codable, Equatable, Sendable {
    /// The bytes.
    package private(set) var bytes = [UInt8](repeating: 0, count: 256)
    /// The bits that the guest may change.
    private var writable = [UInt8](repeating: 0, count: 256)

    /// Makes a header of type 0 with the given identity; `classCode` is class, subclass and interface.
    package init(vendor: UInt16, device: UInt16, revision: UInt8, classCode: UInt32) {
        set(UInt32(device) << 16 | UInt32(vendor), at: 0x00)
        set(classCode << 8 | UInt32(revision), at: 0x08)
    }

    /// Sets a dword and which of its bits can be written. `offset` is a multiple of 4 below 256.
    package mutating func set(_ value: UInt32, writable mask: UInt32 = 0, at offset: Int) {
        guard offset >= 0, offset <= 252 else { return }
        for index in 0..<4 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
            writable[offset + index] = UInt8(truncatingIfNeeded: mask >> UInt32(index * 8))
        }
    }

    /// Reads 1, 2 or 4 bytes; beyond the end there are ones.
    package func read(_ offset: Int, size: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<size {
            let byte = bytes.indices.contains(offset + index) ? bytes[offset + index] : 0xff
            value |= UInt32(byte) << UInt32(index * 8)
        }
        return value
    }

    /// Writes 1, 2 or 4 bytes where they can be written.
    package mutating func write(_ offset: Int, size: Int, value: UInt32) {
        for index in 0..<size where bytes.indices.contains(offset + index) {
            let mask = writable[offset + index]
            let byte = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
            bytes[offset + index] = bytes[offset + index] & ~mask | byte & mask
        }
    }

    /// Whether it has all its bytes, and only bits that can be written differ from `other`.
    package func isVariant(of other: PCIConfigurationSpace) -> Bool {
        bytes.count == 256 && writable == other.writable
            && zip(bytes, other.bytes).enumerated().allSatisfy { ($1.0 ^ $1.1) & ~writable[$0] == 0 }
    }
}

/// What the host bridge remembers.
package struct PCIHostState: Codable, Equatable, Sendable {
    /// CONFIG_ADDRESS.
    var address: UInt32 = 0
    /// The bridge's own configuration space.
    var bridge: PCIConfigurationSpace
}

/// The host bridge with its bus. Its port offsets: 0 is CONFIG_ADDRESS (4 bytes only), 4 is CONFIG_DATA.
package final class PCIHost: PortDevice, StatefulDevice {
    private static let enabled: UInt32 = 1 << 31
    private static let writableAddress: UInt32 = 0x80ff_fffc
    /// A host bridge with the identity of Intel's 440FX, which every system knows not to worry about. The command
    /// register keeps I/O, memory and bus-master enables.
    private static let freshBridge: PCIConfigurationSpace = {
        var space = PCIConfigurationSpace(vendor: 0x8086, device: 0x1237, revision: 2, classCode: 0x06_0000)
        space.set(0x0000_0006, writable: 0x0000_0107, at: 0x04)
        return space
    }()

    /// By device << 3 | function.
    private var functions: [Int: any PCIFunction] = [:]
    private var state = PCIHostState(bridge: PCIHost.freshBridge)

    /// Makes a bridge with an otherwise empty bus.
    package init() {}

    /// Places a function on bus 0; false if the slot is taken or is not one.
    package func add(_ function: any PCIFunction, device: Int, function number: Int = 0) -> Bool {
        guard (1..<32).contains(device), (0..<8).contains(number) else { return false }
        let slot = device << 3 | number
        guard functions[slot] == nil else { return false }
        functions[slot] = function
        return true
    }

    // MARK: Ports

    /// IN.
    package func readPort(_ offset: UInt16, size: Int) -> UInt32 {
        guard offset >= 4 else { return state.address }
        guard let (slot, register) = target(offset) else { return .max }
        if slot == 0 { return state.bridge.read(register, size: size) }
        return functions[slot]?.readConfiguration(register, size: size) ?? .max
    }

    /// OUT.
    package func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        guard offset >= 4 else {
            state.address = value & Self.writableAddress
            return
        }
        guard let (slot, register) = target(offset) else { return }
        if slot == 0 {
            state.bridge.write(register, size: size, value: value)
        } else {
            functions[slot]?.writeConfiguration(register, size: size, value: value)
        }
    }

    /// The function and the register of a data access; nil for other buses and while cycles are off.
    private func target(_ offset: UInt16) -> (slot: Int, register: Int)? {
        guard state.address & Self.enabled != 0, state.address >> 16 & 0xff == 0 else { return nil }
        return (Int(state.address >> 8 & 0xff), Int(state.address & 0xfc) + Int(offset & 3))
    }

    // MARK: State

    /// CONFIG_ADDRESS and the bridge's registers; functions have states of their own.
    package func exportState() -> PCIHostState { state }

    /// Puts them back.
    package func importState(_ state: PCIHostState) throws(DeviceStateError) {
        guard state.address & ~Self.writableAddress == 0, state.bridge.isVariant(of: Self.freshBridge) else {
            throw DeviceStateError("not the state of this machine's host bridge")
        }
        self.state = state
    }
}

// Export and import of devices: every device has one value that is its whole state, and the registry moves all of them
// by name. Snapshots store the result; nothing here knows a particular device.
//
// An import drives no interrupt line and reports no event: what the lines' other ends remember is in their own states.

import Foundation

/// A device whose state can be taken out and put back.
package protocol StatefulDevice: AnyObject {
    /// Everything that the device will behave by.
    associatedtype State: Codable & Equatable & Sendable
    /// The state now. Device lock held; changes nothing that the guest can see.
    func exportState() -> State
    /// Replaces the state. Device lock held. Throws when `state` is not one that a device could be in.
    func importState(_ state: State) throws(DeviceStateError)
}

/// Errors of moving device state.
package struct DeviceStateError: Error, Equatable, CustomStringConvertible {
    /// What is wrong, in one line.
    package var description: String

    /// Wraps a one-line message.
    package init(_ description: String) { self.description = description }
}

/// The states of all devices of a machine.
package struct DeviceStates: Codable, Equatable, Sendable {
    /// JSON text by device name.
    package var devices: [String: Data] = [:]

    /// No device.
    package init() {}
}

/// The devices of a machine by name.
package final class DeviceStateRegistry {
    private struct Entry {
        let name: String
        let export: () throws -> Data
        /// Decodes a state; the result puts it into the device.
        let decode: (Data) throws -> () throws(DeviceStateError) -> Void
    }

    private var entries: [Entry] = []

    /// Makes an empty registry.
    package init() {}

    /// The names, in the order of registration.
    package var names: [String] { entries.map(\.name) }

    /// Adds a device under a name of its own.
    package func register<Device: StatefulDevice>(_ name: String, _ device: Device) throws(DeviceStateError) {
        guard !names.contains(name) else { throw DeviceStateError("two devices are named '\(name)'") }
        let entry = Entry(
            name: name,
            export: {
                let encoder = JSONEncoder()
                encoder.outputFormatting = .sortedKeys
                return try encoder.encode(device.exportState())
            },
            decode: { data in
                let state = try JSONDecoder().decode(Device.State.self, from: data)
                return { () throws(DeviceStateError) in try device.importState(state) }
            })
        entries.append(entry)
    }

    /// All states. Device lock held.
    package func exportStates() throws(DeviceStateError) -> DeviceStates {
        var states = DeviceStates()
        for entry in entries {
            do {
                states.devices[entry.name] = try entry.export()
            } catch {
                throw DeviceStateError("the state of \(entry.name) cannot be encoded: \(error)")
            }
        }
        return states
    }

    /// Puts all states back. Device lock held. Devices change only when every state could be decoded.
    package func importStates(_ states: DeviceStates) throws(DeviceStateError) {
        if let stranger = states.devices.keys.sorted().first(where: { !names.contains($0) }) {
            throw DeviceStateError("the machine has no device '\(stranger)'")
        }
        var actions: [() throws(DeviceStateError) -> Void] = []
        for entry in entries {
            guard let data = states.devices[entry.name] else {
                throw DeviceStateError("there is no state for the device '\(entry.name)'")
            }
            do {
                actions.append(try entry.decode(data))
            } catch {
                throw DeviceStateError("the state of \(entry.name) is malformed: \(error)")
            }
        }
        for action in actions { try action() }
    }
}

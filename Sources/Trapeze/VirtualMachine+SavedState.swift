// Whole machines as values: saved while they stand still, and restored into new ones, on the same engine or another.

import Machine

/// The whole state of a machine: CPU, interrupt chips, devices, time and memory.
public typealias SavedState = MachineState

extension VirtualMachine {
    /// The whole state, exact to the instruction.
    ///
    /// - Throws: `ConfigurationError` unless the machine is paused.
    public func saveState() throws(ConfigurationError) -> SavedState {
        let machine = run.withLock { $0.state == .paused ? $0.machine : nil }
        guard let machine else {
            throw ConfigurationError(.invalidValue, "only a paused machine has a state to save")
        }
        do throws(MachineError) {
            return try machine.exportState()
        } catch {
            throw ConfigurationError(.hostLimit, "the state cannot be saved: \(error)")
        }
    }

    /// Makes a machine that goes on from a saved state when it is started.
    ///
    /// - Parameters:
    ///   - configuration: the same definition as the saved machine's; the engine may be another. What it boots is
    ///     loaded only when the guest resets the machine.
    ///   - saved: the state.
    /// - Throws: `ConfigurationError` if the state does not fit the definition.
    public convenience init(
        configuration: VirtualMachineConfiguration, restoring saved: SavedState
    ) throws(ConfigurationError) {
        try self.init(configuration, restoring: saved)
    }
}

// The seam between the public face and the machine below: a configuration in the machine's own terms, and the machine's
// outcomes and errors in ours.

import Foundation
import Machine
import VirtualCPU

extension VirtualMachineConfiguration {
    /// The CMOS clock's date at the start when counted time is to make every run the same: 2026-01-01 00:00 UTC.
    private static let fixedDate = Date(timeIntervalSince1970: 1_767_225_600)

    /// Makes the machine, once for every time that it starts.
    func makeMachine(on engine: any Engine, restoring saved: MachineState?) throws(ConfigurationError) -> Machine {
        guard let bootLoader else { throw ConfigurationError(.invalidValue, "nothing to boot") }
        let date = initialDate ?? (clockSource == .instructions ? Self.fixedDate : Date())
        let (exitPortMode, serialPort) = (exitPortMode, serialPort)
        let definition = MachineConfiguration(
            boot: bootLoader.bootSource, memorySize: memorySize, cpuCount: cpuCount, cpuModel: cpuModel,
            clockSource: clockSource == .host ? .host : .instructions,
            date: UInt64(max(0, date.timeIntervalSince1970) * 1e9), exitStatus: { exitPortMode.status(of: $0) },
            serialOutput: { serialPort?.receive($0) }, holdsSerialInput: holdsSerialInput, trace: trace,
            isParavirtual: paravirtualInterface == .kvm)
        do throws(MachineError) {
            guard let saved else { return try Machine(definition, engine: engine) }
            return try Machine(definition, engine: engine, restoring: saved)
        } catch {
            switch error {
            case .boot(let error): throw ConfigurationError(error)
            case .memory(let failure): throw ConfigurationError(.hostLimit, failure.message)
            case .engine(let error): throw ConfigurationError(.hostLimit, "engine \(engine.name): \(error.description)")
            case .state(let message): throw ConfigurationError(.invalidValue, message)
            }
        }
    }
}

extension VirtualMachine.Outcome {
    init(_ outcome: MachineOutcome) {
        switch outcome {
        case .poweredOff: self = .poweredOff
        case .reset: self = .reset
        case .exited(let status): self = .exited(status: status)
        case .panicked: self = .panicked
        case .tripleFault: self = .tripleFault
        case .stopped: self = .stopped
        case .failed(let reason): self = .failed(reason)
        }
    }
}

// The seam between the public face and the machine: a configuration in the machine's own terms, and its outcome in ours.

import Machine
import VirtualCPU

/// Builds the machine for a validated configuration.
func makeMachine(_ configuration: VirtualMachineConfiguration, engine: any Engine) throws(ConfigurationError) -> Machine
{
    let attachment = configuration.serialPort
    let machine = Machine { attachment?.receive($0) }
    attachment?.connect(
        to: SerialPort {
            machine.send($0)
        } backlog: {
            0
        })
    return machine
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

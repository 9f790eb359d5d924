// Hardware-assisted virtualization through /dev/kvm.

import CKVM
import VirtualCPU

/// Runs guest instructions on the CPU itself, by the kernel's KVM on VMX or SVM.
public struct KVMEngine: Engine {
    /// Makes the engine.
    public init() {}

    /// `kvm`.
    public var name: String { "kvm" }

    /// What the literature calls it.
    public var summary: String { "hardware-assisted virtualization, through /dev/kvm" }

    /// Works where /dev/kvm can be opened and has what is needed.
    public func probe() -> EngineAvailability {
        do throws(EngineError) {
            let device = try KVMDevice()
            return .available(
                EngineCapabilities(
                    hostedChips: .localAPIC, instructionClock: false,
                    maximumVCPUs: min(max(device.capabilities[.maximumVCPUs], 1), 255)))
        } catch {
            return .unavailable(reason: error.description)
        }
    }

    /// Makes a virtual machine in the kernel.
    public func makeVM(_ configuration: EngineConfiguration) throws(EngineError) -> any EngineVM {
        guard configuration.clock.source == .host else {
            throw EngineError("no counted time: KVM does not count guest instructions, as the software engines do")
        }
        return try KVMVM(configuration)
    }

    /// One line for each capability that the engine makes use of: name, what this host's KVM says, and what it is for.
    public static func describeCapabilities() throws(EngineError) -> [(name: String, value: Int, purpose: String)] {
        let device = try KVMDevice()
        return Capability.all.map { ($0.name, device.capabilities[$0], $0.purpose) }
    }
}

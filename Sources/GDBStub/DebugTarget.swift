// What the stub drives: a machine, as little of it as a debugger needs. The stub knows neither which machine nor which
// engine stands behind it.

import Memory
import VirtualCPU

/// A machine to the debugger. All calls come on the stub's thread.
public protocol DebugTarget: AnyObject, Sendable {
    /// The number of vCPUs, 1 or more.
    var vcpuCount: Int { get }
    /// Guest memory.
    var memory: GuestMemory { get }
    /// Attaches: the vCPUs stop, which is reported.
    func attach()
    /// Asks the vCPUs to stop, which is reported.
    func stop()
    /// A stop was reported: time stands still too from now on.
    func stands()
    /// Sets what the vCPUs stop at. Only while they stand, as all that follows.
    func setControl(_ control: DebugControl) throws(EngineError)
    /// Lets the vCPUs go on, each by its action, until a stop is reported.
    func resume(_ actions: [DebugAction], _ control: DebugControl) throws(EngineError)
    /// Lets go of the machine: it runs on as if there had been no debugger.
    func detach() throws(EngineError)
    /// Ends the run.
    func kill()
    /// A vCPU's state.
    func state(of vcpu: Int) throws(EngineError) -> CPUState
    /// Replaces a vCPU's state.
    func setState(_ state: CPUState, of vcpu: Int) throws(EngineError)
}

/// How a run ended, in the protocol's terms.
public enum DebuggedExit: Equatable, Sendable {
    /// With an exit status.
    case exited(UInt8)
    /// By something that a program would have died of.
    case aborted
}

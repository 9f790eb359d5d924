// What a debugger does with a machine: hold its vCPUs, let them go on or step, and look at and change what they see. All
// calls come from one thread, the debugger's; states and memory are its own only while the vCPUs stand, which `report`
// tells.

import Memory
import VirtualCPU

extension Machine {
    /// Attaches a debugger.
    ///
    /// - Parameters:
    ///   - running: whether the vCPUs run on (or start when the machine does). If not, they are held, which is reported.
    ///   - report: told why all vCPUs stand, on a vCPU's thread or the caller's: it may only pass the word on, to someone who
    ///     then calls `debuggerSeesStand()`.
    public func attachDebugger(running: Bool, report: @escaping @Sendable (DebugEvent) -> Void) {
        control.attachDebugger(released: running, report: report)
        kicker.kick()
    }

    /// Asks all vCPUs to stand; reported as any stop.
    public func stopForDebugger() {
        if control.stopForDebugger(.asked) { kicker.kick() }
    }

    /// To be called when a stop was reported: time stands still too.
    public func debuggerSeesStand() { keepTime() }

    /// Sets what the vCPUs stop at. Only while they stand or have not started.
    ///
    /// - Throws: if the engine cannot do what is asked.
    public func setDebugControl(_ control: DebugControl) throws(EngineError) {
        for vcpu in vcpus { try vcpu.setDebugControl(control) }
    }

    /// Lets the vCPUs go on, each by its action and with these breakpoints and watchpoints, until something is reported. Only
    /// while they stand.
    ///
    /// - Throws: if the engine cannot do what is asked; all vCPUs still stand then.
    public func resumeForDebugger(_ actions: [DebugAction], _ control: DebugControl) throws(EngineError) {
        for (vcpu, action) in zip(vcpus, actions) {
            var own = control
            own.singleStep = action == .step
            try vcpu.setDebugControl(own)
        }
        self.control.releaseForDebugger(actions.map { $0 != .hold })
        keepTime()
    }

    /// Lets go of a machine whose vCPUs stand: they go on as if there had been no debugger.
    public func detachDebugger() throws(EngineError) {
        try setDebugControl(DebugControl())
        control.detachDebugger()
        keepTime()
    }

    /// The number of vCPUs.
    public var vcpuCount: Int { vcpus.count }

    /// A vCPU's state. Only while all vCPUs stand.
    public func debugState(of vcpu: Int) throws(EngineError) -> CPUState { try vcpus[vcpu].exportState() }

    /// Replaces a vCPU's state. Only while all vCPUs stand.
    public func setDebugState(_ state: CPUState, of vcpu: Int) throws(EngineError) {
        try vcpus[vcpu].importState(state)
    }

    /// Guest memory, for a debugger to read, and to write through the one way that keeps decoded code true to it.
    public var debugMemory: GuestMemory { memory }
}

// An engine that errs once, at a given time: what lockstep is there to find.

import Memory
import VirtualCPU

/// Another engine with a planted fault.
struct FaultyEngine: Engine {
    enum Fault: Sendable {
        /// A vCPU's state changes when the clock reaches a time.
        case state(at: UInt64, vcpu: Int = 0, @Sendable (inout CPUState) -> Void)
        /// A byte of memory changes.
        case memory(at: UInt64, address: UInt64)
        /// Interrupt messages get lost from a time on.
        case lostInterrupts(from: UInt64)
        /// The vCPU says that it halted.
        case halt(at: UInt64)
    }

    let base: any Engine
    let fault: Fault

    var name: String { "faulty" }
    var summary: String { "an engine that errs" }
    func probe() -> EngineAvailability { base.probe() }
    func makeVM(_ configuration: EngineConfiguration) throws(EngineError) -> any EngineVM {
        FaultyVM(
            base: try base.makeVM(configuration), fault: fault, clock: configuration.clock, memory: configuration.memory
        )
    }
}

private final class FaultyVM: EngineVM {
    private let base: any EngineVM
    private let fault: FaultyEngine.Fault
    private let clock: Clock
    private let memory: GuestMemory

    init(base: any EngineVM, fault: FaultyEngine.Fault, clock: Clock, memory: GuestMemory) {
        self.base = base
        self.fault = fault
        self.clock = clock
        self.memory = memory
    }

    func makeVCPU(id: Int) throws(EngineError) -> any VirtualCPU {
        FaultyVCPU(base: try base.makeVCPU(id: id), fault: fault, clock: clock, memory: memory)
    }

    @discardableResult func signalMSI(address: UInt64, data: UInt32) -> Bool {
        if case .lostInterrupts(let time) = fault, clock.now() >= time { return true }
        return base.signalMSI(address: address, data: data)
    }

    func map(_ region: MemoryRegion) throws(EngineError) { try base.map(region) }
    func unmap(_ region: MemoryRegion) throws(EngineError) { try base.unmap(region) }
    func protect(_ region: MemoryRegion, readOnly: Bool) throws(EngineError) {
        try base.protect(region, readOnly: readOnly)
    }
    func takeDirtyPages(_ region: MemoryRegion) throws(EngineError) -> [Int] { try base.takeDirtyPages(region) }
    func setINTR(_ asserted: Bool) {
        if case .lostInterrupts(let time) = fault, clock.now() >= time { return }
        base.setINTR(asserted)
    }
    func setInterruptLine(_ gsi: Int, level: Bool) { base.setInterruptLine(gsi, level: level) }
    func exportChips() throws(EngineError) -> ChipStates { try base.exportChips() }
    func importChips(_ state: ChipStates) throws(EngineError) { try base.importChips(state) }
}

private final class FaultyVCPU: VirtualCPU {
    private let base: any VirtualCPU
    private let fault: FaultyEngine.Fault
    private let clock: Clock
    private let memory: GuestMemory

    init(base: any VirtualCPU, fault: FaultyEngine.Fault, clock: Clock, memory: GuestMemory) {
        self.base = base
        self.fault = fault
        self.clock = clock
        self.memory = memory
    }

    /// When this vCPU errs.
    private var time: UInt64? {
        switch fault {
        case .state(let time, let vcpu, _): vcpu == id ? time : nil
        case .memory(let time, _), .halt(let time): id == 0 ? time : nil
        case .lostInterrupts: nil
        }
    }

    func run(budget: UInt64?) -> Exit {
        let start = clock.now()
        guard let time, start < time, let budget, time <= start + budget else { return base.run(budget: budget) }
        let exit = base.run(budget: time - start)
        guard exit == .budgetSpent else { return exit }
        do throws(EngineError) {
            switch fault {
            case .state(_, _, let change):
                var state = try base.exportState()
                change(&state)
                try base.importState(state)
            case .memory(_, let address):
                let place = GuestPhysicalAddress(address)
                if let byte = try? memory.readInteger(UInt8.self, at: place) {
                    try? memory.writeInteger(byte ^ 0x10, at: place)
                }
            case .halt: return .halted
            case .lostInterrupts: break
            }
        } catch {
            return .failed(error)
        }
        let left = start + budget - time
        return left == 0 ? .budgetSpent : base.run(budget: left)
    }

    var id: Int { base.id }
    func kick() { base.kick() }
    func waitForEvent(nanoseconds: UInt64?) { base.waitForEvent(nanoseconds: nanoseconds) }
    func exportState() throws(EngineError) -> CPUState { try base.exportState() }
    func importState(_ state: CPUState) throws(EngineError) { try base.importState(state) }
    func counters() -> Counters { base.counters() }
    func setDebugControl(_ control: DebugControl) throws(EngineError) { try base.setDebugControl(control) }
}

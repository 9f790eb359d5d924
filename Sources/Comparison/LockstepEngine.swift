// The pair of engines as the machine sees it: one engine, whose VM and vCPUs are the leader's with the follower behind.

import Memory
import VirtualCPU

/// Two engines as one.
struct LockstepEngine: Engine {
    let lockstep: Lockstep

    var name: String { "\(lockstep.reference.name) with \(lockstep.against.name)" }
    var summary: String { "two engines in lockstep" }

    func probe() -> EngineAvailability {
        var both: [EngineCapabilities] = []
        for engine in [lockstep.reference, lockstep.against] {
            switch engine.probe() {
            case .unavailable(let reason): return .unavailable(reason: "\(engine.name): \(reason)")
            case .available(let capabilities):
                guard capabilities.instructionClock else {
                    return .unavailable(reason: "\(engine.name) does not count instructions")
                }
                guard capabilities.hostedChips == .localAPIC else {
                    return .unavailable(reason: "\(engine.name) hosts more chips than local APICs")
                }
                both.append(capabilities)
            }
        }
        return .available(
            EngineCapabilities(
                hostedChips: .localAPIC, instructionClock: true,
                maximumVCPUs: both.map(\.maximumVCPUs).min() ?? 1, traceEvents: both.first?.traceEvents ?? []))
    }

    func makeVM(_ configuration: EngineConfiguration) throws(EngineError) -> any EngineVM {
        try lockstep.makeVM(configuration)
    }
}

/// The VM of a pair.
final class LockstepVM: EngineVM {
    private let lockstep: Lockstep
    private let leader: any EngineVM
    private let recorder: Recorder

    init(lockstep: Lockstep, leader: any EngineVM, recorder: Recorder) {
        self.lockstep = lockstep
        self.leader = leader
        self.recorder = recorder
    }

    func map(_ region: MemoryRegion) throws(EngineError) { try lockstep.map(region) }
    func unmap(_ region: MemoryRegion) throws(EngineError) { throw Self.fixedMap }
    func protect(_ region: MemoryRegion, readOnly: Bool) throws(EngineError) { throw Self.fixedMap }
    private static let fixedMap = EngineError("lockstep does not follow changes of the memory map")

    func takeDirtyPages(_ region: MemoryRegion) throws(EngineError) -> [Int] {
        throw EngineError("lockstep keeps the dirty log to itself")
    }

    func makeVCPU(id: Int) throws(EngineError) -> any VirtualCPU { try lockstep.makeVCPU(id) }

    func setINTR(_ asserted: Bool) {
        leader.setINTR(asserted)
        recorder.note(.intr(asserted))
    }

    @discardableResult func signalMSI(address: UInt64, data: UInt32) -> Bool {
        let accepted = leader.signalMSI(address: address, data: data)
        recorder.note(.message(address: address, data: data, accepted: accepted))
        return accepted
    }

    func setInterruptLine(_ gsi: Int, level: Bool) {
        leader.setInterruptLine(gsi, level: level)
        recorder.note(.line(gsi: gsi, level: level))
    }

    func exportChips() throws(EngineError) -> ChipStates { try leader.exportChips() }
    func importChips(_ state: ChipStates) throws(EngineError) { try leader.importChips(state) }
}

/// A vCPU of a pair.
final class LockstepVCPU: VirtualCPU {
    let id: Int
    private let lockstep: Lockstep
    private let leader: any VirtualCPU

    /// The longest wait in nanoseconds: kicks do not wake the leader, they are looked for.
    private static let longestWait: UInt64 = 20_000_000

    init(id: Int, lockstep: Lockstep, leader: any VirtualCPU) {
        self.id = id
        self.lockstep = lockstep
        self.leader = leader
    }

    func run(budget: UInt64?) -> Exit { lockstep.run(id, budget: budget) }
    func kick() { lockstep.kick(id) }

    func waitForEvent(nanoseconds: UInt64?) {
        guard !lockstep.isKicked(id) else { return }
        leader.waitForEvent(nanoseconds: min(nanoseconds ?? .max, Self.longestWait))
    }

    func exportState() throws(EngineError) -> CPUState { try leader.exportState() }
    func importState(_ state: CPUState) throws(EngineError) { try lockstep.importState(state, vcpu: id) }
    func counters() -> Counters { leader.counters() }

    func setDebugControl(_ control: DebugControl) throws(EngineError) {
        guard control == DebugControl() else { throw EngineError("lockstep and a debugger exclude each other") }
    }
}

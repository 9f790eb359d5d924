// A software VM whose vCPUs have translators: everything but running is the software CPU's.

import Memory
import VirtualCPU
import X86

/// The engine's part of a VM.
final class TranslatedVM: EngineVM {
    private let vm: SoftwareVM
    private let threshold: UInt32
    private let observation: TranslationObservation

    init(_ vm: SoftwareVM, threshold: UInt32, _ observation: TranslationObservation) {
        self.vm = vm
        self.observation = observation
        self.threshold = threshold
    }

    func map(_ region: MemoryRegion) throws(EngineError) { try vm.map(region) }
    func unmap(_ region: MemoryRegion) throws(EngineError) { try vm.unmap(region) }
    func protect(_ region: MemoryRegion, readOnly: Bool) throws(EngineError) {
        try vm.protect(region, readOnly: readOnly)
    }
    func takeDirtyPages(_ region: MemoryRegion) throws(EngineError) -> [Int] { try vm.takeDirtyPages(region) }
    func makeVCPU(id: Int) throws(EngineError) -> any VirtualCPU {
        try TranslatedCPU(vm.makeSoftwareCPU(id: id), threshold: threshold, observation)
    }
    func setINTR(_ asserted: Bool) { vm.setINTR(asserted) }
    @discardableResult func signalMSI(address: UInt64, data: UInt32) -> Bool {
        vm.signalMSI(address: address, data: data)
    }
    func setInterruptLine(_ gsi: Int, level: Bool) { vm.setInterruptLine(gsi, level: level) }
    func exportChips() throws(EngineError) -> ChipStates { vm.exportChips() }
    func importChips(_ state: ChipStates) throws(EngineError) { vm.importChips(state) }
}

/// A software vCPU that runs translated code.
// Sendable: as `SoftwareCPU`; the translator belongs to the thread that runs the vCPU.
final class TranslatedCPU: BlockExecution, @unchecked Sendable {
    private let cpu: SoftwareCPU
    private let translator: Translator
    private var isDebugged = false

    init(_ cpu: SoftwareCPU, threshold: UInt32, _ observation: TranslationObservation) throws(EngineError) {
        self.cpu = cpu
        translator = try Translator(cpu, threshold: threshold, observation)
    }

    var id: Int { cpu.id }
    var nextBlockLength: Int { cpu.nextBlockLength }

    /// Where instructions are traced one by one, or watched by a debugger, the interpreter runs them.
    func run(budget: UInt64?) -> Exit {
        isDebugged || cpu.tracesInstructions ? cpu.run(budget: budget) : translator.run(budget: budget)
    }

    func setDebugControl(_ control: DebugControl) throws(EngineError) {
        try cpu.setDebugControl(control)
        isDebugged = control != DebugControl()
    }

    func kick() { cpu.kick() }
    func waitForEvent(nanoseconds: UInt64?) { cpu.waitForEvent(nanoseconds: nanoseconds) }
    func exportState() throws(EngineError) -> CPUState { try cpu.exportState() }
    func importState(_ state: CPUState) throws(EngineError) { try cpu.importState(state) }
    func counters() -> Counters {
        var counters = cpu.counters()
        if translator.hasRunUncounted { counters.instructions = nil }
        let statistics = translator.statistics
        counters.lookups = statistics.lookups
        counters.blocksTranslated = statistics.blocksTranslated
        counters.blocksInterpreted = statistics.blocksInterpreted
        counters.generatedCodeEntries = statistics.entries
        counters.linksMade = statistics.linksMade
        counters.linksCut = statistics.linksCut
        let times = translator.times
        guard times.isOn else { return counters }
        let tick = times.tick
        func nanoseconds(_ ticks: UInt64) -> UInt64 { UInt64(Double(ticks) * tick) }
        counters.lookupNanoseconds = nanoseconds(times.lookup)
        counters.decodeNanoseconds = nanoseconds(times.decode)
        counters.lowerNanoseconds = nanoseconds(times.lower)
        counters.encodeNanoseconds = nanoseconds(times.encode)
        counters.linkNanoseconds = nanoseconds(times.link)
        counters.executeNanoseconds = nanoseconds(times.execute)
        counters.interpretNanoseconds = nanoseconds(times.interpret)
        counters.eventNanoseconds = nanoseconds(times.events)
        return counters
    }
}

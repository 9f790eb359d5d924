// One software vCPU: owner of the hot state, its TLB and its local APIC.

import CPrimitives
import LocalAPIC
import VirtualCPU

final class SoftwareCPU: @unchecked Sendable, VirtualCPU {
    let id: Int
    unowned let vm: SoftwareVM
    let state: UnsafeMutablePointer<tz_cpu>
    private(set) var localAPIC: LocalAPIC

    init(id: Int, vm: SoftwareVM) { fatalError() }
    func run(budget: UInt64?) -> Exit { .halted }
    func kick() {}
    func waitForEvent(nanoseconds: UInt64?) {}
    func exportState() throws(EngineError) -> CPUState { CPUState() }
    func importState(_ state: CPUState) throws(EngineError) {}
    func counters() -> Counters { Counters() }
    func memoryMapChanged() {}
    /// The page at a guest-physical address holds decoded code and was (or is about to be) written: forget that code.
    func codeWritten(_ physicalAddress: UInt64) {}
    /// Guest instructions retired so far, exact inside a handler: for clocks that count instructions.
    var retired: UInt64 { 0 }
    /// The time-stamp counter now, offset and adjust applied.
    func timeStampCounter() -> UInt64 { 0 }
}

// A local APIC on a clock that the test moves by hand, with everything it tells its CPU recorded.

import Foundation
import LocalAPIC
import Synchronization
import VirtualCPU

/// Register offsets, as the SDM lists them.
enum Offset {
    static let id: UInt32 = 0x20
    static let taskPriority: UInt32 = 0x80
    static let processorPriority: UInt32 = 0xa0
    static let endOfInterrupt: UInt32 = 0xb0
    static let logicalDestination: UInt32 = 0xd0
    static let destinationFormat: UInt32 = 0xe0
    static let spurious: UInt32 = 0xf0
    static let inService: UInt32 = 0x100
    static let triggerMode: UInt32 = 0x180
    static let interruptRequest: UInt32 = 0x200
    static let errorStatus: UInt32 = 0x280
    static let commandLow: UInt32 = 0x300
    static let commandHigh: UInt32 = 0x310
    static let lvtTimer: UInt32 = 0x320
    static let lvtLINT0: UInt32 = 0x350
    static let lvtError: UInt32 = 0x370
    static let initialCount: UInt32 = 0x380
    static let currentCount: UInt32 = 0x390
    static let divide: UInt32 = 0x3e0
}

final class Fixture {
    let clock = Clock(source: .instructions)
    let apic: LocalAPIC
    private let log = Log()

    final class Log: Sendable {
        let attentions = Atomic<Int>(0)
        let endOfInterrupts = Mutex<[UInt8]>([])
    }

    init(id: UInt32 = 0, enabled: Bool = true) {
        let log = log
        apic = LocalAPIC(
            id: id, clock: clock, attention: { log.attentions.add(1, ordering: .relaxed) },
            endOfInterrupt: { vector in log.endOfInterrupts.withLock { $0.append(vector) } })
        if enabled { apic.writeRegister(offset: Offset.spurious, value: 0x1ff) }
    }

    var attentions: Int { log.attentions.load(ordering: .relaxed) }
    var endOfInterrupts: [UInt8] { log.endOfInterrupts.withLock { $0 } }

    /// Takes what is pending as a CPU would; the vector, or nil.
    func take() -> UInt8? {
        guard case .fixed(let vector) = apic.pendingInterrupt() else { return nil }
        apic.acknowledge(vector)
        return vector
    }

    func endOfInterrupt() { apic.writeRegister(offset: Offset.endOfInterrupt, value: 0) }

    /// Enters x2APIC mode.
    func enterX2APIC() -> Bool { apic.setBaseMSR(apic.baseMSR | 1 << 10) }
}

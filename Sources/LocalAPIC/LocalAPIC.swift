// The local APIC of one vCPU (SDM volume 3, chapter 11), shared by the software engines.

import Synchronization
import VirtualCPU

/// A local APIC. Interrupts are posted from any thread; everything else belongs to the vCPU's thread.
public final class LocalAPIC: @unchecked Sendable {
    private let clock: Clock
    private let attention: @Sendable () -> Void

    /// Makes a local APIC after RESET. `attention` is called, on any thread, when something was posted that the vCPU must
    /// look at (it sets a flag and wakes the vCPU's thread); `endOfInterrupt` on the vCPU's thread for an EOI of a
    /// level-triggered vector.
    public init(
        id: UInt32, clock: Clock, attention: @escaping @Sendable () -> Void,
        endOfInterrupt: @escaping @Sendable (UInt8) -> Void
    ) {
        self.clock = clock
        self.attention = attention
    }

    /// Level of the LINT0 pin (the PIC pair's INTR). Any thread.
    public func setLINT0(_ asserted: Bool) {}
    /// Takes a message (MSI, I/O APIC) if it is addressed to this APIC. Any thread.
    public func accept(msiAddress: UInt64, data: UInt32) -> Bool { false }
}

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

    /// Reads a register of the memory-mapped page.
    public func readRegister(offset: UInt32) -> UInt32 { 0 }
    /// Writes a register of the memory-mapped page.
    public func writeRegister(offset: UInt32, value: UInt32) {}
    /// Reads an x2APIC register (MSR 800H…83FH); nil is #GP.
    public func readMSR(_ msr: UInt32) -> UInt64? { nil }
    /// Writes an x2APIC register; false is #GP.
    public func writeMSR(_ msr: UInt32, _ value: UInt64) -> Bool { false }
    /// IA32_APIC_BASE.
    public var baseMSR: UInt64 { 0xfee0_0900 }
    /// Writes IA32_APIC_BASE; false is #GP.
    public func setBaseMSR(_ value: UInt64) -> Bool { false }
    /// The task priority register.
    public var taskPriority: UInt8 {
        get { 0 }
        set {}
    }
    /// IA32_TSC_DEADLINE.
    public var tscDeadline: UInt64 {
        get { 0 }
        set {}
    }
    /// Guest-physical address of the register page; nil when disabled or in x2APIC mode.
    public var mmioBase: UInt64? { 0xfee0_0000 }

    /// Level of the LINT0 pin (the PIC pair's INTR). Any thread.
    public func setLINT0(_ asserted: Bool) {}
    /// Takes a message (MSI, I/O APIC) if it is addressed to this APIC. Any thread.
    public func accept(msiAddress: UInt64, data: UInt32) -> Bool { false }
}

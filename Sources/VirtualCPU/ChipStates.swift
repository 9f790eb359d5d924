// Engine-neutral state of the interrupt chips and the interval timer. Whoever hosts a chip (the machine, or KVM in the
// kernel) exports and imports these values.

/// State of a local APIC (SDM volume 3, chapter 11).
public struct LocalAPICState: Equatable, Codable, Sendable {
    /// The xAPIC ID register's ID, or the 32-bit x2APIC ID.
    public var id: UInt32
    /// IA32_APIC_BASE: base, enable 11, x2APIC 10, BSP 8.
    public var base: UInt64
    /// The 4-KiB register page in xAPIC layout, as 32-bit registers at 16-byte steps: index = offset / 16, 64 registers.
    public var registers: [UInt32]
    /// The timer's next expiry in nanoseconds of the VM's clock; nil if it isn't armed.
    public var timerDeadline: UInt64?
    /// IA32_TSC_DEADLINE.
    public var tscDeadline: UInt64 = 0
    /// Level of the LINT0 pin, to which the PIC pair's INTR is wired.
    public var lint0 = false
    /// Errors detected since ESR was last written, as ESR's low 8 bits.
    public var pendingErrors: UInt8 = 0
    /// An NMI message that the CPU has not taken yet.
    public var pendingNMI = false
    /// Another NMI came before that one could be taken.
    public var pendingSecondNMI = false
    /// An INIT that the CPU has not taken yet.
    public var pendingINIT = false
    /// The vector of a startup IPI that the CPU has not taken yet.
    public var pendingSIPI: UInt8?
    /// An ExtINT message whose interrupt the PIC pair has not handed over yet.
    public var pendingExtINT = false

    /// The state after RESET.
    public init(id: UInt32) {
        self.id = id
        base = 0xfee0_0000 | 1 << 11 | (id == 0 ? 1 << 8 : 0)
        registers = [UInt32](repeating: 0, count: 64)
        registers[0x02] = id << 24
        registers[0x03] = 0x0005_0014
        registers[0x0e] = 0xffff_ffff
        registers[0x0f] = 0xff
        for lvt in 0x32...0x37 { registers[lvt] = 1 << 16 }
        registers[0x2f] = 1 << 16
    }
}

/// State of the I/O APIC (82093AA).
public struct IOAPICState: Equatable, Codable, Sendable {
    /// The ID register's 4-bit ID.
    public var id: UInt8 = 0
    /// IOREGSEL.
    public var select: UInt8 = 0
    /// The 24 redirection entries.
    public var redirection: [UInt64] = Array(repeating: 1 << 16, count: 24)
    /// Levels of the input pins, one bit each.
    public var lines: UInt32 = 0
    /// The state after reset.
    public init() {}
}

/// State of one 8259A.
public struct PICState: Equatable, Codable, Sendable {
    /// Interrupt request, in-service and mask registers.
    public var irr: UInt8 = 0
    /// In-service register.
    public var isr: UInt8 = 0
    /// Interrupt mask register.
    public var imr: UInt8 = 0
    /// Levels of the input pins.
    public var lines: UInt8 = 0
    /// Edge/level control register (ports 0x4d0, 0x4d1).
    public var elcr: UInt8 = 0
    /// ICW2: the vector of input 0.
    public var vectorBase: UInt8 = 0
    /// Which of ICW1…ICW4 comes next; 0 when initialised.
    public var initStep: UInt8 = 0
    /// ICW1 as written.
    public var icw1: UInt8 = 0
    /// ICW4 as written.
    public var icw4: UInt8 = 0
    /// The input with the lowest priority (rotation).
    public var lowestPriority: UInt8 = 7
    /// OCW3 read selection: ISR rather than IRR.
    public var readISR = false
    /// OCW3 poll mode.
    public var poll = false
    /// OCW3 special mask mode.
    public var specialMask = false
    /// Rotate in automatic EOI mode.
    public var rotateOnAutoEOI = false
    /// The state after reset.
    public init() {}
}

/// State of one counter of the 8254.
public struct PITChannelState: Equatable, Codable, Sendable {
    /// The reload value; 0 stands for 65,536.
    public var reload: UInt32 = 0
    /// Mode 0…5.
    public var mode: UInt8 = 3
    /// Counts in BCD.
    public var bcd = false
    /// Access: 1 low byte, 2 high byte, 3 low then high.
    public var access: UInt8 = 3
    /// Level of the gate input.
    public var gate = true
    /// Clock time at which the count was loaded, nanoseconds.
    public var loadTime: UInt64 = 0
    /// Half-written count (access 3).
    public var writeLow: UInt8?
    /// Next read gives the high byte.
    public var readHigh = false
    /// A latched count not yet read.
    public var latchedCount: UInt16?
    /// A latched status not yet read.
    public var latchedStatus: UInt8?
    /// A count was written since the control word.
    public var loaded = false
    /// Ticks that had passed when the gate stopped the count; nil while it runs.
    public var pausedAt: UInt64?
    /// Modes 1 and 5: the gate has started the count.
    public var triggered = false
    /// Modes 2 and 3: the reload value that takes over when the current period ends.
    public var nextReload: UInt32?
    /// Clock time at which `nextReload` takes over, nanoseconds.
    public var nextLoadTime: UInt64 = 0
    /// The state after reset.
    public init() {}
}

/// State of the 8254 with the port 0x61 bits that belong to it.
public struct PITState: Equatable, Codable, Sendable {
    /// The three counters.
    public var channels: [PITChannelState] = Array(repeating: PITChannelState(), count: 3)
    /// Speaker data enable (port 0x61, bit 1).
    public var speaker = false
    /// The state after reset.
    public init() {}
}

/// The chips outside the vCPUs that an engine may host; nil where it does not.
public struct ChipStates: Equatable, Codable, Sendable {
    /// Primary and secondary 8259A.
    public var pics: [PICState]?
    /// The I/O APIC.
    public var ioAPIC: IOAPICState?
    /// The 8254.
    public var pit: PITState?
    /// No chip.
    public init() {}
}

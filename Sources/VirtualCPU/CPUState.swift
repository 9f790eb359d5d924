// The architectural state of a vCPU as one engine-neutral value: what engines import and export between instructions,
// what snapshots store and what lockstep compares.

/// A segment register with its hidden part.
public struct SegmentState: Equatable, Codable, Sendable {
    /// The visible selector.
    public var selector: UInt16
    /// Linear base address.
    public var base: UInt64
    /// Limit in bytes, expanded by G.
    public var limit: UInt32
    /// Access rights in the VMX layout (SDM volume 3, table 25-2): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14,
    /// G 15, unusable 16.
    public var attributes: UInt32

    /// Makes a segment register's state.
    public init(selector: UInt16 = 0, base: UInt64 = 0, limit: UInt32 = 0xffff, attributes: UInt32 = 0x93) {
        self.selector = selector
        self.base = base
        self.limit = limit
        self.attributes = attributes
    }
}

/// GDTR or IDTR.
public struct TableState: Equatable, Codable, Sendable {
    /// Linear base address.
    public var base: UInt64
    /// Limit in bytes.
    public var limit: UInt16

    /// Makes a table register's state.
    public init(base: UInt64 = 0, limit: UInt16 = 0xffff) {
        self.base = base
        self.limit = limit
    }
}

/// What a CPU is doing between instructions (SDM volume 3, section 25.4.2).
public enum ActivityState: String, Equatable, Codable, Sendable {
    /// Executing.
    case active
    /// After HLT.
    case halted
    /// After a triple fault.
    case shutdown
    /// An application processor before its SIPI.
    case waitForSIPI
}

/// The whole architectural state of one vCPU. The initial value is that after RESET (SDM volume 3, table 10-1).
public struct CPUState: Equatable, Codable, Sendable {
    /// RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8…R15.
    public var gpr: [UInt64] = {
        var registers = [UInt64](repeating: 0, count: 16)
        registers[2] = 0x600
        return registers
    }()
    /// Offset of the next instruction in CS.
    public var rip: UInt64 = 0xfff0
    /// All of RFLAGS.
    public var rflags: UInt64 = 2
    /// ES, CS, SS, DS, FS, GS, LDTR, TR.
    public var segments: [SegmentState] = [
        SegmentState(), SegmentState(selector: 0xf000, base: 0xffff_0000, attributes: 0x9b), SegmentState(),
        SegmentState(),
        SegmentState(), SegmentState(), SegmentState(attributes: 0x82), SegmentState(attributes: 0x8b),
    ]
    /// GDTR.
    public var gdtr = TableState()
    /// IDTR.
    public var idtr = TableState()
    /// Control registers; CR8 is the local APIC's TPR.
    public var cr0: UInt64 = 0x6000_0010
    /// Page-fault linear address.
    public var cr2: UInt64 = 0
    /// Page-table base.
    public var cr3: UInt64 = 0
    /// Extensions.
    public var cr4: UInt64 = 0
    /// The page-directory-pointer-table entries that PAE paging keeps loaded.
    public var pdptes: [UInt64] = [0, 0, 0, 0]
    /// DR0…DR3.
    public var debugAddresses: [UInt64] = [0, 0, 0, 0]
    /// DR6.
    public var dr6: UInt64 = 0xffff_0ff0
    /// DR7.
    public var dr7: UInt64 = 0x400
    /// XCR0.
    public var xcr0: UInt64 = 1
    /// PKRU, the protection-key rights of user-mode addresses.
    public var pkru: UInt32 = 0
    /// Model-specific registers by number; the time-stamp counter is `tsc`.
    public var msrs: [UInt32: UInt64] = [:]
    /// The time-stamp counter at the moment of export.
    public var tsc: UInt64 = 0
    /// x87, SSE and AVX state in the standard (non-compacted) XSAVE layout (SDM volume 1, section 13.4), 832 bytes.
    public var xsave: [UInt8] = CPUState.initialXSAVE
    /// The selectors beside the x87 instruction and data pointers (FCS and FDS, SDM volume 1, section 8.1.8), for which the
    /// 64-bit form of the layout has no room.
    public var x87CodeSelector: UInt16 = 0
    /// See `x87CodeSelector`.
    public var x87DataSelector: UInt16 = 0
    /// Interruptibility: blocking by STI, by MOV SS, and of NMIs.
    public var shadow = InterruptShadow()
    /// An exception that was raised but is not delivered yet.
    public var pendingException: PendingException?
    /// The vector of an external interrupt that was acknowledged (it is in service) but is not delivered yet.
    public var acknowledgedInterrupt: UInt8?
    /// A debug exception (#DB) that is to be delivered as a trap before the next instruction.
    public var pendingDebugTrap: Bool = false
    /// An NMI that waits.
    public var nmiPending: Bool = false
    /// Executing, halted, …
    public var activity: ActivityState = .active
    /// The local APIC.
    public var localAPIC: LocalAPICState

    /// The state after RESET of the vCPU with the given local APIC ID; only the bootstrap processor starts active.
    public init(apicID: UInt32 = 0) {
        localAPIC = LocalAPICState(id: apicID)
        if apicID != 0 { activity = .waitForSIPI }
    }

    /// Standard XSAVE image after RESET: FCW 0x40, FTW 0x5555 (abridged 0xFF), MXCSR 0x1F80 (SDM volume 3, table 10-1).
    /// That is not the initial configuration of the x87 state, whose FCW is 0x37F, so XSTATE_BV has its bit.
    public static let initialXSAVE: [UInt8] = {
        var image = [UInt8](repeating: 0, count: 832)
        image[0] = 0x40
        image[4] = 0xff
        image[24] = 0x80
        image[25] = 0x1f
        image[512] = 1
        return image
    }()
}

/// Blocking of interrupts (SDM volume 3, table 25-3).
public struct InterruptShadow: Equatable, Codable, Sendable {
    /// After STI.
    public var sti = false
    /// After MOV SS or POP SS.
    public var movSS = false
    /// NMIs, until IRET.
    public var nmi = false
    /// No blocking.
    public init() {}
}

/// An exception that waits for delivery.
public struct PendingException: Equatable, Codable, Sendable {
    /// Vector, 0…31.
    public var vector: UInt8
    /// The error code if the vector pushes one.
    public var errorCode: UInt32?
    /// Makes a pending exception.
    public init(vector: UInt8, errorCode: UInt32?) {
        self.vector = vector
        self.errorCode = errorCode
    }
}

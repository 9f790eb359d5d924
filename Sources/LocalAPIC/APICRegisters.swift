// The local APIC's register page: names of the registers by their index (offset / 16), and the storage that holds them.
// It knows the layout (SDM volume 3, table 11-1) and no behaviour.

/// Indices of registers in the page.
enum APICRegister {
    static let id = 0x02
    static let version = 0x03
    static let taskPriority = 0x08
    static let arbitrationPriority = 0x09
    static let processorPriority = 0x0a
    static let endOfInterrupt = 0x0b
    static let logicalDestination = 0x0d
    static let destinationFormat = 0x0e
    static let spurious = 0x0f
    static let inService = 0x10
    static let triggerMode = 0x18
    static let interruptRequest = 0x20
    static let errorStatus = 0x28
    static let commandLow = 0x30
    static let commandHigh = 0x31
    static let lvtTimer = 0x32
    static let lvtThermal = 0x33
    static let lvtPerformance = 0x34
    static let lvtLINT0 = 0x35
    static let lvtLINT1 = 0x36
    static let lvtError = 0x37
    static let initialCount = 0x38
    static let currentCount = 0x39
    static let divide = 0x3e
    /// x2APIC only.
    static let selfIPI = 0x3f
}

/// Fields of local vector table entries (SDM volume 3, section 11.5.1).
enum LVT {
    static let masked: UInt32 = 1 << 16
    static let levelTriggered: UInt32 = 1 << 15
    static let remoteIRR: UInt32 = 1 << 14
    /// Read-only bits: delivery status and remote IRR.
    static let readOnly: UInt32 = 1 << 12 | remoteIRR

    /// The bits of the entry at `index` that software may write; nil if there is no such entry.
    static func writable(_ index: Int) -> UInt32? {
        switch index {
        case APICRegister.lvtTimer: 0x0007_00ff
        case APICRegister.lvtThermal, APICRegister.lvtPerformance: 0x0001_07ff
        case APICRegister.lvtLINT0, APICRegister.lvtLINT1: 0x0001_a7ff
        case APICRegister.lvtError: 0x0001_00ff
        default: nil
        }
    }
}

/// Errors that the error status register reports (SDM volume 3, section 11.5.3).
enum APICError {
    static let sendIllegalVector: UInt8 = 1 << 5
    static let receivedIllegalVector: UInt8 = 1 << 6
    static let illegalRegister: UInt8 = 1 << 7
}

/// The 64 registers.
// SAFETY: allocated by `LocalAPIC`, freed by its deinit; only the vCPU's thread touches them.
struct RegisterPage {
    static let count = 64
    let base: UnsafeMutablePointer<UInt32>

    /// The register with the given index, 0…63.
    @inline(__always) subscript(index: Int) -> UInt32 {
        get { base[index & (Self.count - 1)] }
        nonmutating set { base[index & (Self.count - 1)] = newValue }
    }

    /// Whether `vector` is set in the 256-bit register group that starts at `group`.
    @inline(__always) func contains(_ vector: UInt8, in group: Int) -> Bool {
        self[group + Int(vector >> 5)] & 1 << UInt32(vector & 31) != 0
    }

    @inline(__always) func insert(_ vector: UInt8, in group: Int) {
        self[group + Int(vector >> 5)] |= 1 << UInt32(vector & 31)
    }

    @inline(__always) func remove(_ vector: UInt8, from group: Int) {
        self[group + Int(vector >> 5)] &= ~(1 << UInt32(vector & 31))
    }

    /// The highest vector of a group; 0 when it is empty (vectors below 16 are never in one).
    func highest(in group: Int) -> UInt8 {
        var word = 7
        while word >= 0 {
            let bits = self[group + word]
            if bits != 0 { return UInt8(word * 32 + 31 - bits.leadingZeroBitCount) }
            word -= 1
        }
        return 0
    }
}

// Numbers of model-specific registers, and storage for those that a software CPU keeps without acting on them.

/// MSR numbers (SDM volume 4; AMD APM volume 2, appendix A).
enum MSR {
    static let p5MachineCheckAddress: UInt32 = 0x0
    static let p5MachineCheckType: UInt32 = 0x1
    static let timeStampCounter: UInt32 = 0x10
    static let platformID: UInt32 = 0x17
    static let apicBase: UInt32 = 0x1b
    static let featureControl: UInt32 = 0x3a
    static let tscAdjust: UInt32 = 0x3b
    static let specCtrl: UInt32 = 0x48
    static let predCmd: UInt32 = 0x49
    static let biosUpdateTrigger: UInt32 = 0x79
    static let biosSignature: UInt32 = 0x8b
    static let mtrrCapability: UInt32 = 0xfe
    static let archCapabilities: UInt32 = 0x10a
    static let sysenterCS: UInt32 = 0x174
    static let sysenterESP: UInt32 = 0x175
    static let sysenterEIP: UInt32 = 0x176
    static let machineCheckCapability: UInt32 = 0x179
    static let machineCheckStatus: UInt32 = 0x17a
    static let miscEnable: UInt32 = 0x1a0
    static let debugctl: UInt32 = 0x1d9
    static let mtrrVariable: ClosedRange<UInt32> = 0x200...0x20f
    static let mtrrFixed: [UInt32] = [0x250, 0x258, 0x259] + Array(0x268...0x26f)
    static let pat: UInt32 = 0x277
    static let pkrs: UInt32 = 0x6e1
    static let mtrrDefaultType: UInt32 = 0x2ff
    static let tscDeadline: UInt32 = 0x6e0
    static let x2APIC: ClosedRange<UInt32> = 0x800...0x8ff
    static let xss: UInt32 = 0xda0
    static let efer: UInt32 = 0xc000_0080
    static let star: UInt32 = 0xc000_0081
    static let lstar: UInt32 = 0xc000_0082
    static let cstar: UInt32 = 0xc000_0083
    static let sfmask: UInt32 = 0xc000_0084
    static let fsBase: UInt32 = 0xc000_0100
    static let gsBase: UInt32 = 0xc000_0101
    static let kernelGSBase: UInt32 = 0xc000_0102
    static let tscAux: UInt32 = 0xc000_0103
    /// PerfEvtSel0…3 and PerfCtr0…3, which every AMD CPU has.
    static let performanceCounters: ClosedRange<UInt32> = 0xc001_0000...0xc001_0007
    static let syscfg: UInt32 = 0xc001_0010
    static let hwcr: UInt32 = 0xc001_0015
    static let topMemory: UInt32 = 0xc001_001a
    static let topMemory2: UInt32 = 0xc001_001d
    static let northbridge: UInt32 = 0xc001_001f
    static let interruptPending: UInt32 = 0xc001_0055
    static let patchLoader: UInt32 = 0xc001_0020
    static let vmCR: UInt32 = 0xc001_0114
    static let loadStoreConfiguration: UInt32 = 0xc001_1020
    static let instructionCacheConfiguration: UInt32 = 0xc001_1021
    static let dataCacheConfiguration: UInt32 = 0xc001_1022
    static let decodeConfiguration: UInt32 = 0xc001_1029
    static let busUnitConfiguration2: UInt32 = 0xc001_102a
}

/// Registers that are stored and have no effect on a software CPU: memory types, and AMD's configuration registers. Those of
/// KVM's interface are kept here, too.
struct StoredRegisters {
    private var values: [UInt32: UInt64] = {
        var values: [UInt32: UInt64] = [MSR.mtrrDefaultType: 0, MSR.machineCheckStatus: 0]
        for number in MSR.mtrrVariable { values[number] = 0 }
        for number in MSR.mtrrFixed { values[number] = 0 }
        for number in KVMRegister.all { values[number] = 0 }
        for number in [
            MSR.syscfg, MSR.topMemory, MSR.topMemory2, MSR.northbridge, MSR.interruptPending,
            MSR.loadStoreConfiguration,
            MSR.instructionCacheConfiguration, MSR.dataCacheConfiguration, MSR.busUnitConfiguration2,
        ] {
            values[number] = 0
        }
        // TscFreqSel: the time-stamp counter counts at the P0 frequency.
        values[MSR.hwcr] = 1 << 24
        // LFENCE serialises.
        values[MSR.decodeConfiguration] = 2
        return values
    }()

    /// Every register with its value, in order of numbers.
    var all: [(UInt32, UInt64)] { values.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }

    /// A register's value; nil if it isn't stored here. Writing to others does nothing.
    subscript(number: UInt32) -> UInt64? {
        get { values[number] }
        set { if values[number] != nil, let newValue { values[number] = newValue } }
    }
}

// One traced event and its line of text. Engines make records, and a sink takes them; neither knows the other.

/// Takes traced events. Called on vCPU threads, in the middle of instructions.
public protocol TraceSink: AnyObject, Sendable {
    /// What is to be traced. Engines ask before they put a record together.
    var events: TraceKinds { get }
    /// Takes one event.
    func record(_ record: TraceRecord)
}

/// How a CPU executes, as far as it matters for reading an address.
public enum TraceMode: String, Sendable {
    /// Real-address mode.
    case real
    /// Virtual-8086 mode.
    case virtual8086 = "v86"
    /// Protected mode, 16-bit code.
    case protected16 = "prot16"
    /// Protected mode, 32-bit code.
    case protected32 = "prot32"
    /// Compatibility mode, 16-bit code.
    case compatibility16 = "comp16"
    /// Compatibility mode, 32-bit code.
    case compatibility32 = "comp32"
    /// 64-bit mode.
    case long
}

/// An event, and where the vCPU was.
public struct TraceRecord: Sendable {
    /// The local APIC ID.
    public var vcpu: Int
    /// Instructions that this vCPU had retired before.
    public var instructions: UInt64
    /// CS.
    public var cs: UInt16
    /// The offset in CS of the instruction that the event belongs to; between two instructions, of the next one.
    public var rip: UInt64
    /// The mode in which it executes.
    public var mode: TraceMode
    /// Its privilege level.
    public var cpl: UInt8
    /// What happened.
    public var event: TraceEvent

    /// Makes a record.
    public init(
        vcpu: Int, instructions: UInt64, cs: UInt16, rip: UInt64, mode: TraceMode, cpl: UInt8, event: TraceEvent
    ) {
        self.vcpu = vcpu
        self.instructions = instructions
        self.cs = cs
        self.rip = rip
        self.mode = mode
        self.cpl = cpl
        self.event = event
    }
}

/// What is traced.
public enum TraceEvent: Sendable {
    /// An exception on its way to its handler; CR2 counts for page faults.
    case exception(vector: UInt8, errorCode: UInt32?, cr2: UInt64)
    /// A triple fault (SDM volume 3, section 7.15).
    case shutdown
    /// An external interrupt.
    case interrupt(vector: UInt8)
    /// A non-maskable interrupt.
    case nmi
    /// INT n, INT3 or INTO.
    case softwareInterrupt(vector: UInt8)
    /// An INIT.
    case initialise
    /// A startup IPI.
    case startup(vector: UInt8)
    /// A control register changed hands: MOV CR, CLTS, LMSW, XSETBV.
    case controlRegister(name: StaticString, old: UInt64, new: UInt64)
    /// RDMSR; nil where it raises #GP.
    case readMSR(number: UInt32, value: UInt64?)
    /// WRMSR, and whether it was accepted.
    case writeMSR(number: UInt32, value: UInt64, accepted: Bool)
    /// A port access.
    case port(write: Bool, port: UInt16, size: Int, value: UInt64)
    /// An access to a guest-physical address without memory.
    case mmio(write: Bool, address: UInt64, size: Int, value: UInt64)
    /// An instruction has retired: its bytes, and the registers that it changed.
    case instruction(bytes: [UInt8], changes: [(name: StaticString, value: UInt64)])
}

extension TraceRecord {
    /// Appends the event as one line of text, ended by a newline.
    public func append(to text: inout TraceText) {
        text.decimal(instructions, width: 12)
        text.text(" cpu")
        text.decimal(UInt64(vcpu))
        text.text(" ")
        text.hex(UInt64(cs), digits: 4)
        text.text(":")
        text.hex(rip, digits: mode == .long ? 16 : rip >> 16 == 0 ? 4 : 8)
        text.text(" ")
        text.text(mode.rawValue)
        text.text("/")
        text.decimal(UInt64(cpl))
        text.text(" ")
        event.append(to: &text)
        text.text("\n")
    }
}

extension TraceEvent {
    fileprivate func append(to text: inout TraceText) {
        switch self {
        case .exception(let vector, let errorCode, let cr2):
            text.text("exception ")
            text.text(Self.exceptionName(vector))
            if let errorCode { text.value(" error=", UInt64(errorCode)) }
            if vector == 14 { text.value(" cr2=", cr2) }
        case .shutdown: text.text("exception triple fault: shutdown")
        case .interrupt(let vector): text.value("interrupt ", UInt64(vector))
        case .nmi: text.text("interrupt NMI")
        case .softwareInterrupt(let vector): text.value("interrupt INT ", UInt64(vector))
        case .initialise: text.text("interrupt INIT")
        case .startup(let vector): text.value("interrupt SIPI ", UInt64(vector))
        case .controlRegister(let name, let old, let new):
            text.text("cr ")
            text.text(name)
            text.value(" ", old)
            text.value(" -> ", new)
        case .readMSR(let number, let value):
            text.value("msr read ", UInt64(number))
            if let value { text.value(" = ", value) } else { text.text(": #GP") }
        case .writeMSR(let number, let value, let accepted):
            text.value("msr write ", UInt64(number))
            text.value(" = ", value)
            if !accepted { text.text(": #GP") }
        case .port(let write, let port, let size, let value):
            text.value(write ? "port out " : "port in ", UInt64(port))
            text.size(size)
            text.value(" = ", value)
        case .mmio(let write, let address, let size, let value):
            text.value(write ? "mmio write " : "mmio read ", address)
            text.size(size)
            text.value(" = ", value)
        case .instruction(let bytes, let changes):
            text.text("instruction")
            for byte in bytes {
                text.text(" ")
                text.hex(UInt64(byte), digits: 2)
            }
            for change in changes {
                text.text(" ")
                text.text(change.name)
                text.value("=", change.value)
            }
        }
    }

    private static let exceptionNames = [
        "#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "#9", "#TS", "#NP", "#SS", "#GP", "#PF", "#15",
        "#MF", "#AC", "#MC", "#XM", "#VE", "#CP",
    ]

    /// The mnemonic of an exception (SDM volume 3, table 6-1).
    private static func exceptionName(_ vector: UInt8) -> String {
        Int(vector) < exceptionNames.count ? exceptionNames[Int(vector)] : "#\(vector)"
    }
}

/// Text under construction: bytes, since lines are made by the million.
public struct TraceText: Sendable {
    /// The text in UTF-8.
    public var bytes: [UInt8] = []

    /// No text.
    public init() {}

    mutating func text(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    mutating func text(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func value(_ label: StaticString, _ value: UInt64) {
        text(label)
        text("0x")
        hex(value, digits: 1)
    }

    mutating func size(_ size: Int) {
        text(".")
        decimal(UInt64(size))
    }

    /// Hexadecimal with at least so many digits.
    mutating func hex(_ value: UInt64, digits: Int) {
        let needed = max((64 - value.leadingZeroBitCount + 3) / 4, digits)
        for digit in stride(from: needed - 1, through: 0, by: -1) {
            let nibble = UInt8(truncatingIfNeeded: value >> UInt64(4 * digit) & 15)
            bytes.append(nibble < 10 ? 0x30 + nibble : 0x57 + nibble)
        }
    }

    /// Decimal, padded on the left with spaces.
    mutating func decimal(_ value: UInt64, width: Int = 1) {
        var digits: [UInt8] = []
        var rest = value
        repeat {
            digits.append(0x30 + UInt8(rest % 10))
            rest /= 10
        } while rest != 0
        for _ in 0..<max(0, width - digits.count) { bytes.append(0x20) }
        bytes.append(contentsOf: digits.reversed())
    }
}

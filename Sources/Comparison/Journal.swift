// What the leader was given from outside, and when: enough to have another engine go the same way without devices.
//
// In counted time a machine is a function of this. Answers of the bus come back in the order of the questions; what
// devices do on their own (interrupts, writes to memory) happens either inside a question, and belongs to it, or between
// two slices, at a time.

/// Something that a device does to the vCPUs or to memory.
enum Delivery {
    /// The PIC pair's INTR line changes.
    case intr(Bool)
    /// A message-signalled interrupt, and whether a local APIC accepted it.
    case message(address: UInt64, data: UInt32, accepted: Bool)
    /// A line of chips that the engine hosts.
    case line(gsi: Int, level: Bool)
    /// A write to memory.
    case write(address: UInt64, bytes: [UInt8])
}

/// What a vCPU asks the machine.
enum Question: Equatable {
    case readPort(UInt16, size: Int)
    case writePort(UInt16, size: Int, value: UInt32)
    case readMMIO(UInt64, size: Int)
    case writeMMIO(UInt64, size: Int, value: UInt64)
    case acknowledge
    case endOfInterrupt(vector: UInt8)
}

/// A question with its answer (0 where there is none), and what happened meanwhile.
struct Exchange {
    var question: Question
    var answer: UInt64 = 0
    var deliveries: [Delivery] = []
}

/// One run of one vCPU.
struct Slice {
    /// Why it ended, as far as all engines agree about it.
    enum End: Equatable {
        /// After so many instructions; the vCPU may go on.
        case count
        case halted
        case shutdown
        case waitingForStartup
    }

    var vcpu: Int
    /// What happened since the slice before, with the times.
    var before: [(time: UInt64, delivery: Delivery)]
    /// The clock at its beginning.
    var start: UInt64
    var instructions: UInt64
    var end: End
    /// The number of exchanges in the journal when it ended.
    var exchanges: Int
}

/// Everything since the last checkpoint.
struct Journal {
    var slices: [Slice] = []
    var exchanges: [Exchange] = []
    /// Since the last slice ended.
    var between: [(time: UInt64, delivery: Delivery)] = []
    /// Instructions in all slices.
    var instructions: UInt64 = 0
    /// Bytes that devices wrote.
    var writtenBytes = 0

    /// Whether it is time to start over.
    var isLong: Bool { exchanges.count > 1 << 18 || slices.count > 1 << 18 || writtenBytes > 64 << 20 }
}

extension Question: CustomStringConvertible {
    var description: String {
        func hex(_ value: some BinaryInteger) -> String { "0x" + String(value, radix: 16) }
        return switch self {
        case .readPort(let port, let size): "IN of \(size) from port \(hex(port))"
        case .writePort(let port, let size, let value): "OUT of \(size) to port \(hex(port)), value \(hex(value))"
        case .readMMIO(let address, let size): "read of \(size) at device address \(hex(address))"
        case .writeMMIO(let address, let size, let value):
            "write of \(size) at device address \(hex(address)), value \(hex(value))"
        case .acknowledge: "interrupt acknowledge"
        case .endOfInterrupt(let vector): "end of interrupt, vector \(hex(vector))"
        }
    }
}

// Resource descriptors, the contents of `_CRS` (ACPI 6.5, section 6.4).

/// What a device uses or a bridge passes on.
package enum Resource {
    /// Consecutive ports, decoded with 16 bits: the first port and their number.
    case ports(UInt16, count: UInt8)
    /// An edge-triggered ISA interrupt, 0 to 15.
    case irq(Int)
    /// The PCI buses behind a host bridge.
    case busNumbers(ClosedRange<UInt16>)
    /// Ports that a host bridge passes on.
    case portWindow(ClosedRange<UInt16>)
    /// Memory that a host bridge passes on, not cacheable and writable.
    case memoryWindow(ClosedRange<UInt32>)

    private enum Tag {
        static let irqNoFlags: UInt8 = 0x22
        static let ioPort: UInt8 = 0x47
        static let end: UInt8 = 0x79
        static let dwordAddressSpace: UInt8 = 0x87
        static let wordAddressSpace: UInt8 = 0x88
    }

    private enum Space {
        static let memory: UInt8 = 0
        static let io: UInt8 = 1
        static let busNumber: UInt8 = 2
        /// Minimum and maximum are fixed; decoded positively; produced for the devices behind.
        static let fixedWindow: UInt8 = 1 << 3 | 1 << 2
        /// I/O: the entire range, ISA and not.
        static let entireRange: UInt8 = 3
        /// Memory: read and write.
        static let readWrite: UInt8 = 1
    }

    /// The descriptors one after another, with their end tag (its checksum of 0 means that there is none).
    package static func template(_ resources: [Resource]) -> [UInt8] {
        resources.flatMap(\.descriptor) + [Tag.end, 0]
    }

    private var descriptor: [UInt8] {
        var writer = ByteWriter()
        switch self {
        case .ports(let first, let count):
            writer.append([Tag.ioPort, 1])
            writer.append(first)
            writer.append(first)
            writer.append([1, count])
        case .irq(let number):
            writer.append(Tag.irqNoFlags)
            writer.append(UInt16(1) << UInt16(number))
        case .busNumbers(let range):
            Self.window(&writer, Tag.wordAddressSpace, Space.busNumber, flags: 0, range)
        case .portWindow(let range):
            Self.window(&writer, Tag.wordAddressSpace, Space.io, flags: Space.entireRange, range)
        case .memoryWindow(let range):
            Self.window(&writer, Tag.dwordAddressSpace, Space.memory, flags: Space.readWrite, range)
        }
        return writer.bytes
    }

    /// An address space descriptor: granularity, minimum, maximum, translation and length as words of the range's size.
    /// A range of everything would have a length of 0; there is none.
    private static func window<T: FixedWidthInteger>(
        _ writer: inout ByteWriter, _ tag: UInt8, _ space: UInt8, flags: UInt8, _ range: ClosedRange<T>
    ) {
        writer.append(tag)
        writer.append(UInt16(3 + 5 * MemoryLayout<T>.size))
        writer.append([space, Space.fixedWindow, flags])
        writer.append(T(0))
        writer.append(range.lowerBound)
        writer.append(range.upperBound)
        writer.append(T(0))
        writer.append(range.upperBound &- range.lowerBound &+ 1)
    }
}

// The map of guest-physical memory that every boot protocol hands to its kernel: one list, encoded by each protocol in
// its own way. The types are those of ACPI 6.5, table 15.4, which INT 15h E820, PVH and Multiboot share.

import Memory

/// What a range of guest-physical memory is for.
public enum MemoryRangeType: UInt32, Sendable, Hashable {
    /// RAM that the operating system may use.
    case usable = 1
    /// Not for the operating system.
    case reserved = 2
    /// ACPI tables; usable once they have been read.
    case acpiTables = 3
}

/// A range of guest-physical memory with its use.
public struct MemoryRange: Sendable, Hashable {
    /// The addresses.
    public var addresses: Range<UInt64>
    /// The use.
    public var type: MemoryRangeType
}

/// Where things are in a PC's guest-physical space (below 1 MiB as the IBM PC/AT technical reference has it).
public enum PCMemory {
    /// Conventional memory ends here with the extended BIOS data area.
    public static let ebda: Range<UInt64> = 0x9_fc00..<0xa_0000
    /// The BIOS data area.
    public static let biosData: Range<UInt64> = 0x400..<0x500
    /// ACPI tables that the operating system may reclaim.
    public static let acpiTables: Range<UInt64> = 0xe_0000..<0xf_0000
    /// The area that operating systems scan for the RSDP and the MP floating pointer.
    public static let bios: Range<UInt64> = 0xf_0000..<0x10_0000
    /// Extended memory begins.
    public static let extended: UInt64 = 0x10_0000
    /// Registers of the I/O APIC.
    public static let ioAPIC: Range<UInt64> = 0xfec0_0000..<0xfec0_1000
    /// Registers of the local APICs.
    public static let localAPIC: Range<UInt64> = 0xfee0_0000..<0xfee0_1000
    /// The end of the 32-bit space, and of firmware.
    public static let fourGiB: UInt64 = 1 << 32
}

/// The memory map of a machine with `size` bytes of RAM, in ascending order and without overlaps.
public struct MemoryMap: Sendable, Hashable {
    /// The ranges.
    public let ranges: [MemoryRange]

    /// The map for RAM laid out as `GuestMemory` does; `size` is a multiple of the page size and 1 MiB at least.
    public init(size: UInt64) {
        let low = min(size, GuestMemory.holeStart)
        var ranges = [
            MemoryRange(addresses: 0..<PCMemory.ebda.lowerBound, type: .usable),
            MemoryRange(addresses: PCMemory.ebda, type: .reserved),
            MemoryRange(addresses: PCMemory.acpiTables, type: .acpiTables),
            MemoryRange(addresses: PCMemory.bios, type: .reserved),
        ]
        if low > PCMemory.extended {
            ranges.append(MemoryRange(addresses: PCMemory.extended..<low, type: .usable))
        }
        ranges.append(MemoryRange(addresses: PCMemory.ioAPIC, type: .reserved))
        ranges.append(MemoryRange(addresses: PCMemory.localAPIC, type: .reserved))
        if size > low {
            ranges.append(
                MemoryRange(addresses: GuestMemory.highStart..<GuestMemory.highStart + (size - low), type: .usable))
        }
        self.ranges = ranges
    }

    /// The usable ranges.
    public var usable: [Range<UInt64>] { ranges.filter { $0.type == .usable }.map(\.addresses) }
}

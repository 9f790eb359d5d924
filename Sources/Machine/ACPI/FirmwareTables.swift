// The firmware tables as a whole: which there are, and where each lies. Made anew for every boot; a firmware image makes
// its own instead.

/// ACPI and MP tables with their guest-physical addresses.
package struct FirmwareTables {
    /// A table in its place.
    package struct Placed {
        package let name: String
        package let address: UInt64
        package let bytes: [UInt8]
    }

    /// All tables; they don't overlap.
    package let placed: [Placed]
    /// Address of the RSDP: in the BIOS area on a 16-byte boundary, where operating systems look for it.
    package let rsdp: UInt64

    /// The most vCPUs that can be listed: their names in the DSDT have three hexadecimal digits, and their descriptions
    /// share the area of the tables.
    package static let maximumProcessors = 1024

    /// Makes the tables of a machine with so many vCPUs, whose local APIC IDs count from 0.
    package init(processors: Int) throws(BootError) {
        guard processors <= Self.maximumProcessors else {
            throw .tooManyProcessors(count: processors, limit: Self.maximumProcessors)
        }
        var tables: [Placed] = []
        // What an operating system may reclaim goes to one area, what it must leave alone or scans for to the other.
        var nextTable = PCMemory.acpiTables.lowerBound
        var nextFixed = PCMemory.bios.lowerBound
        func place(_ name: String, _ bytes: [UInt8], at next: inout UInt64) -> UInt64 {
            let address = next
            tables.append(Placed(name: name, address: address, bytes: bytes))
            // The FACS wants 64 bytes; the others are content with less.
            next = (address + UInt64(bytes.count) + 63) & ~63
            return address
        }

        let facs = place("FACS", ByteWriter.facs(), at: &nextFixed)
        let block = AML.definitionBlock(processors: processors).flatMap(\.bytes)
        let dsdt = place("DSDT", ByteWriter.acpiTable("DSDT", revision: 2, block), at: &nextTable)
        let fadt = place("FACP", ByteWriter.fadt(facs: facs, dsdt: dsdt), at: &nextTable)
        let madt = place("APIC", ByteWriter.madt(processors: processors), at: &nextTable)
        let rsdt = place("RSDT", ByteWriter.rsdt([fadt, madt]), at: &nextTable)
        let xsdt = place("XSDT", ByteWriter.xsdt([fadt, madt]), at: &nextTable)
        rsdp = place("RSDP", ByteWriter.rsdp(rsdt: rsdt, xsdt: xsdt), at: &nextFixed)
        let configuration = place("PCMP", ByteWriter.mpConfiguration(processors: processors), at: &nextFixed)
        _ = place("_MP_", ByteWriter.mpFloatingPointer(table: configuration), at: &nextFixed)

        guard nextTable <= PCMemory.acpiTables.upperBound, nextFixed <= PCMemory.bios.upperBound else {
            throw .tooManyProcessors(count: processors, limit: Self.maximumProcessors)
        }
        placed = tables
    }
}

// What all ACPI system description tables have in common (ACPI 6.5, section 5.2.6), and the tables that only point to
// others.

/// Names of Trapeze's in the tables.
package enum ACPIIdentity {
    package static let oem = "TRAPEZ"
    package static let table = "TRAPEZE"
    package static let creator = "TRPZ"
    package static let revision: UInt32 = 1
}

extension ByteWriter {
    /// A table with its header and checksum around `body`.
    package static func acpiTable(_ signature: String, revision: UInt8, _ body: [UInt8]) -> [UInt8] {
        var table = ByteWriter()
        table.append(text: signature, width: 4)
        table.append(UInt32(ACPIHeader.size + body.count))
        table.append(revision)
        table.append(UInt8(0))
        table.append(text: ACPIIdentity.oem, width: 6)
        table.append(text: ACPIIdentity.table, width: 8)
        table.append(ACPIIdentity.revision)
        table.append(text: ACPIIdentity.creator, width: 4)
        table.append(ACPIIdentity.revision)
        table.append(body)
        table.setChecksum(at: ACPIHeader.checksum)
        return table.bytes
    }

    /// The RSDP, revision 2 (section 5.2.5.3): 36 bytes, of which the first 20 have a checksum of their own.
    package static func rsdp(rsdt: UInt64, xsdt: UInt64) -> [UInt8] {
        var first = ByteWriter()
        first.append(text: "RSD PTR ", width: 8)
        first.append(UInt8(0))
        first.append(text: ACPIIdentity.oem, width: 6)
        first.append(UInt8(2))
        first.append(UInt32(truncatingIfNeeded: rsdt))
        first.setChecksum(at: 8)
        var whole = first
        whole.append(UInt32(36))
        whole.append(xsdt)
        whole.append(UInt32(0))  // extended checksum and reserved
        whole.setChecksum(at: 32)
        return whole.bytes
    }

    /// The root table of ACPI 1.0, with 32-bit pointers (section 5.2.7).
    package static func rsdt(_ tables: [UInt64]) -> [UInt8] {
        var body = ByteWriter()
        for address in tables { body.append(UInt32(truncatingIfNeeded: address)) }
        return acpiTable("RSDT", revision: 1, body.bytes)
    }

    /// The root table (section 5.2.8).
    package static func xsdt(_ tables: [UInt64]) -> [UInt8] {
        var body = ByteWriter()
        for address in tables { body.append(address) }
        return acpiTable("XSDT", revision: 1, body.bytes)
    }
}

/// Offsets in the header of every table.
package enum ACPIHeader {
    package static let checksum = 9
    package static let size = 36
}

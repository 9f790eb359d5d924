// The header by which a kernel says that it speaks Multiboot 1, and how (Multiboot Specification 0.6.96, section 3.1).

/// A Multiboot header, checked.
package struct MultibootHeader {
    /// The addresses of the form that needs no ELF ("a.out kludge"), section 3.1.3; validated against each other.
    package struct Addresses {
        /// Offset in the file of the first byte that is loaded.
        package let fileOffset: UInt64
        /// Where it is loaded.
        package let load: UInt64
        /// Where loading ends; nil for the end of the file.
        package let loadEnd: UInt64?
        /// Where zeroed memory ends that the kernel takes beyond what is loaded; nil for none.
        package let bssEnd: UInt64?
        /// The entry point.
        package let entry: UInt64
    }

    private enum Flag {
        static let video: UInt32 = 1 << 2
        static let addresses: UInt32 = 1 << 16
        /// Bits 0 to 15 are requirements: a loader that does not know one must not load the kernel. Modules are always
        /// on page boundaries (bit 0) and the memory map is always given (bit 1).
        static let required: UInt32 = 0xffff
        static let understood: UInt32 = 1 << 0 | 1 << 1
    }

    private static let magic: UInt32 = 0x1bad_b002

    /// How to load the kernel; nil if it is to be loaded as an ELF file.
    package let addresses: Addresses?

    /// Looks for a header on a 4-byte boundary of the first 8 KiB of a file; nil if there is none.
    package init?(searching start: ByteReader, file: String) throws(BootError) {
        var found: (offset: Int, flags: UInt32)?
        for offset in stride(from: 0, to: start.bytes.count, by: 4) where found == nil {
            guard start.integer(UInt32.self, at: offset) == Self.magic,
                let flags: UInt32 = start.integer(at: offset + 4),
                let checksum: UInt32 = start.integer(at: offset + 8), Self.magic &+ flags &+ checksum == 0
            else { continue }
            found = (offset, flags)
        }
        guard let (offset, flags) = found else { return nil }

        guard flags & Flag.video == 0 else {
            throw .unsupported(
                file: file, reason: "its Multiboot header asks for a video mode, and there is no display")
        }
        let unknown = flags & Flag.required & ~Flag.understood
        guard unknown == 0 else {
            throw .unsupported(
                file: file, reason: "its Multiboot header has unknown requirements (\(UInt64(unknown).hex))")
        }
        addresses = flags & Flag.addresses == 0 ? nil : try Addresses(start, header: offset, file: file)
    }
}

extension MultibootHeader.Addresses {
    fileprivate init(_ start: ByteReader, header: Int, file: String) throws(BootError) {
        func field(_ offset: Int) throws(BootError) -> UInt64 {
            guard let value = start.integer(UInt32.self, at: header + offset) else {
                throw .truncated(file: file, reason: "the Multiboot header ends at byte \(start.bytes.count)")
            }
            return UInt64(value)
        }
        let headerAddress = try field(12)
        load = try field(16)
        let loadEndField = try field(20)
        let bssEndField = try field(24)
        entry = try field(28)
        loadEnd = loadEndField == 0 ? nil : loadEndField
        bssEnd = bssEndField == 0 ? nil : bssEndField

        func inconsistent(_ what: String) -> BootError {
            .unsupported(file: file, reason: "inconsistent Multiboot header: \(what)")
        }
        guard load <= headerAddress, headerAddress - load <= UInt64(header) else {
            throw inconsistent("load_addr \(load.hex) does not go with header_addr \(headerAddress.hex)")
        }
        fileOffset = UInt64(header) - (headerAddress - load)
        if let loadEnd, loadEnd <= headerAddress {
            throw inconsistent("load_end_addr \(loadEnd.hex) is not behind header_addr \(headerAddress.hex)")
        }
        if let loadEnd, let bssEnd, bssEnd < loadEnd {
            throw inconsistent("bss_end_addr \(bssEnd.hex) is before load_end_addr \(loadEnd.hex)")
        }
    }
}

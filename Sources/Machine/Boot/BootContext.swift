// What every boot protocol works with: guest memory, who has which part of it, and the few ways to put things there.

import Memory

/// One boot in preparation.
package struct BootContext {
    /// The guest's memory, freshly made: what no loader writes is zero.
    package let memory: GuestMemory
    /// Which parts of it are taken.
    package var layout: BootLayout
    /// Guest-physical address of the RSDP.
    package let rsdp: UInt64

    /// Where the small structures that a kernel is handed go: above what real-mode trampolines of small kernels use.
    private static let handoverStart: UInt64 = 0x1_0000

    /// Begins a boot: writes the BIOS data area and the firmware tables.
    package init(memory: GuestMemory, processors: Int) throws(BootError) {
        guard memory.size >= PCMemory.extended else { throw .memoryTooSmall(size: memory.size) }
        self.memory = memory
        layout = BootLayout(map: MemoryMap(size: memory.size))
        let tables = try FirmwareTables(processors: processors)
        rsdp = tables.rsdp
        for table in tables.placed { try write(table.bytes, at: table.address) }
        try write(Self.biosDataArea, at: PCMemory.biosData.lowerBound)
    }

    /// Writes bytes at an address that was claimed or is reserved for them.
    package func write(_ bytes: [UInt8], at address: UInt64) throws(BootError) {
        do throws(GuestMemoryError) {
            try memory.write(bytes, at: GuestPhysicalAddress(address))
        } catch {
            throw .memory(error)
        }
    }

    /// Finds room below 4 GiB for a structure that the kernel is handed: in conventional memory if possible.
    package mutating func allocateHandover(
        _ count: Int, alignment: UInt64, file: String
    ) throws(BootError) -> UInt64 {
        for window in [Self.handoverStart..<PCMemory.extended, PCMemory.extended..<PCMemory.fourGiB] {
            if let address = layout.allocate(UInt64(count), alignment: alignment, within: window, .upward) {
                return address
            }
        }
        throw .doesNotFit(file: file, reason: "no room is left for its boot parameters", memory: memory.size)
    }

    /// Finds room for a structure and writes it.
    package mutating func place(
        _ bytes: [UInt8], alignment: UInt64 = 16, file: String
    ) throws(BootError) -> UInt64 {
        let address = try allocateHandover(bytes.count, alignment: alignment, file: file)
        try write(bytes, at: address)
        return address
    }

    /// Loads an initrd or a module on a page boundary within the first of `windows` that has room.
    package mutating func load(
        module: BootImage, within windows: [Range<UInt64>], _ direction: BootLayout.Direction
    ) throws(BootError) -> Range<UInt64> {
        let image = try OpenImage(module)
        for window in windows {
            guard let start = layout.allocate(image.size, alignment: pageSize, within: window, direction) else {
                continue
            }
            // Nothing else may share the module's last page: the kernel frees it page by page.
            let end = start + image.size
            layout.exclude(end..<(end.roundedUp(to: pageSize) ?? end))
            try image.load(from: 0, count: image.size, into: memory, at: start)
            return start..<end
        }
        throw .moduleDoesNotFit(file: image.name, size: image.size, memory: memory.size)
    }

    /// What a BIOS leaves for its successors: COM1's port, the segment of the extended BIOS data area, and the size of
    /// conventional memory in KiB.
    private static var biosDataArea: [UInt8] {
        var area = ByteWriter(count: Int(PCMemory.biosData.upperBound - PCMemory.biosData.lowerBound))
        area.put(PlatformResources.com1Port, at: 0x00)
        area.put(UInt16(PCMemory.ebda.lowerBound >> 4), at: 0x0e)
        area.put(UInt16(PCMemory.ebda.lowerBound >> 10), at: 0x13)
        return area.bytes
    }
}

/// The command line as bytes without the NUL that ends it.
package func checkedCommandLine(_ text: String, limit: Int) throws(BootError) -> [UInt8] {
    let bytes = Array(text.utf8)
    guard !bytes.contains(0) else { throw .commandLineHasNUL }
    guard bytes.count <= limit else { throw .commandLineTooLong(count: bytes.count, limit: limit) }
    return bytes
}

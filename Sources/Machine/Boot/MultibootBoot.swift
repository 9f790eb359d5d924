// Starts a Multiboot 1 kernel (Multiboot Specification 0.6.96, sections 3.2 and 3.3): loaded by its header's addresses or
// as ELF, modules behind it, and an information structure with the memory map.

import Memory
import VirtualCPU

/// The Multiboot information structure (section 3.3).
private enum MultibootInfo {
    static let flags = 0
    static let memLower = 4
    static let memUpper = 8
    static let cmdline = 16
    static let modsCount = 20
    static let modsAddr = 24
    static let mmapLength = 44
    static let mmapAddr = 48
    static let bootLoaderName = 64
    static let size = 116

    /// Which fields are valid: memory sizes, command line, modules, memory map, boot loader name.
    static let validFields: UInt32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9
    static let bootLoaderMagic: UInt64 = 0x2bad_b002
    /// The specification has no limit; this is one.
    static let commandLineLimit = 4095
}

extension BootContext {
    /// Loads a Multiboot kernel with its modules, and returns the state for its entry.
    package mutating func loadMultiboot(
        _ image: borrowing OpenImage, _ header: MultibootHeader, _ kernel: Kernel
    ) throws(BootError) -> CPUState {
        // As other boot loaders have it, and as programs expect of their arguments, the kernel's own name comes first.
        let text = kernel.commandLine.isEmpty ? image.name : image.name + " " + kernel.commandLine
        let commandLine = try checkedCommandLine(text, limit: MultibootInfo.commandLineLimit)
        let entry: UInt64
        let end: UInt64
        if let addresses = header.addresses {
            (entry, end) = try load(addresses, from: image)
        } else {
            (entry, end) = try loadELF(image)
        }

        var modules = ByteWriter()
        for module in kernel.modules {
            let windows = [max(end, PCMemory.extended)..<PCMemory.fourGiB, PCMemory.extended..<PCMemory.fourGiB]
            let range = try load(module: module.image, within: windows, .upward)
            let text = try checkedCommandLine(module.text ?? module.image.name, limit: MultibootInfo.commandLineLimit)
            modules.append(UInt32(truncatingIfNeeded: range.lowerBound))
            modules.append(UInt32(truncatingIfNeeded: range.upperBound))
            modules.append(UInt32(truncatingIfNeeded: try place(text + [0], file: image.name)))
            modules.append(UInt32(0))  // reserved
        }
        let map = memoryMap

        // All of it lies below 4 GiB: that is where `place` looks.
        func address(_ bytes: [UInt8]) throws(BootError) -> UInt32 {
            UInt32(truncatingIfNeeded: try place(bytes, file: image.name))
        }
        var info = ByteWriter(count: MultibootInfo.size)
        info.put(MultibootInfo.validFields, at: MultibootInfo.flags)
        info.put(UInt32(PCMemory.ebda.lowerBound >> 10), at: MultibootInfo.memLower)
        info.put(
            UInt32((min(memory.size, GuestMemory.holeStart) - PCMemory.extended) >> 10), at: MultibootInfo.memUpper)
        info.put(try address(commandLine + [0]), at: MultibootInfo.cmdline)
        info.put(UInt32(kernel.modules.count), at: MultibootInfo.modsCount)
        info.put(try address(modules.bytes), at: MultibootInfo.modsAddr)
        info.put(UInt32(map.count), at: MultibootInfo.mmapLength)
        info.put(try address(map), at: MultibootInfo.mmapAddr)
        info.put(try address(Array("Trapeze\0".utf8)), at: MultibootInfo.bootLoaderName)
        let infoAddress = try place(info.bytes, file: image.name)

        var state = try CPUState.protected32(entry: entry, .multiboot, in: &self, file: image.name)
        state.gpr[CPUState.Register.rax] = MultibootInfo.bootLoaderMagic
        state.gpr[CPUState.Register.rbx] = infoAddress
        return state
    }

    /// Loads by the header's addresses. The result is the entry and the end of the kernel's memory.
    private mutating func load(
        _ addresses: MultibootHeader.Addresses, from image: borrowing OpenImage
    ) throws(BootError) -> (entry: UInt64, end: UInt64) {
        let available = image.size - addresses.fileOffset
        let size = addresses.loadEnd.map { $0 - addresses.load } ?? available
        guard size <= available else {
            throw .truncated(
                file: image.name, reason: "the Multiboot header loads \(size) bytes, and the file has \(available)")
        }
        let loadEnd = addresses.load.range(count: size)?.upperBound
        guard let loadEnd, layout.claim(addresses.load..<max(loadEnd, addresses.bssEnd ?? 0)) else {
            throw .doesNotFit(
                file: image.name, reason: "no free RAM for \(size) bytes at \(addresses.load.hex)", memory: memory.size)
        }
        let end = max(loadEnd, addresses.bssEnd ?? 0)
        guard addresses.entry >= addresses.load, addresses.entry < end else {
            throw .unsupported(
                file: image.name, reason: "its entry \(addresses.entry.hex) is outside of what it loads")
        }
        try image.load(from: addresses.fileOffset, count: size, into: memory, at: addresses.load)
        return (addresses.entry, end)
    }

    /// Loads as ELF, 32-bit or 64-bit; either is entered in 32-bit mode.
    private mutating func loadELF(_ image: borrowing OpenImage) throws(BootError) -> (entry: UInt64, end: UInt64) {
        let start = ByteReader(try image.prefix(64))
        guard ELFImage.hasMagic(start) else {
            throw .unsupported(
                file: image.name, reason: "its Multiboot header has no load addresses, and it is no ELF file")
        }
        let elf = try ELFImage(start, of: image)
        try loadSegments(of: elf, from: image)
        let entry = elf.physicalEntry
        guard entry < PCMemory.fourGiB, elf.loads(entry) else {
            throw .unsupported(file: image.name, reason: "its entry \(entry.hex) is outside of what it loads")
        }
        let low = elf.segments.map(\.physical.upperBound).filter { $0 <= PCMemory.fourGiB }
        return (entry, low.max() ?? 0)
    }

    /// The memory map as Multiboot has it: each entry is led by the size of the rest of it.
    private var memoryMap: [UInt8] {
        var map = ByteWriter()
        for range in layout.map.ranges {
            map.append(UInt32(20))
            map.append(range.addresses.lowerBound)
            map.append(range.addresses.upperBound - range.addresses.lowerBound)
            map.append(range.type.rawValue)
        }
        return map.bytes
    }
}

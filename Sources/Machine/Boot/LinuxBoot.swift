// Starts a bzImage by the 64-bit boot protocol, or by the 32-bit one if it has no 64-bit entry (The Linux/x86 Boot
// Protocol, "64-bit Boot Protocol", "32-bit Boot Protocol"): the kernel where it wants to be, the initrd as high as it may,
// and the zero page that tells it of both.

import Memory
import VirtualCPU

/// The zero page beside its copy of the setup header (The Linux/x86 Boot Protocol, "Zero Page").
private enum ZeroPage {
    static let acpiRSDP = 0x070
    static let extRamdiskImage = 0x0c0
    static let extRamdiskSize = 0x0c4
    static let extCmdLinePtr = 0x0c8
    static let e820Entries = 0x1e8
    static let e820Table = 0x2d0
    static let size = 4096

    static let undefinedLoader: UInt8 = 0xff
    static let loadedHigh: UInt8 = 1 << 0
    static let videoModeNormal: UInt16 = 0xffff
    static let setupRNGSeed: UInt32 = 9
}

extension BootContext {
    /// Loads a bzImage with its initrd, and returns the state for its entry.
    package mutating func loadLinux(
        _ image: borrowing OpenImage, _ header: LinuxSetupHeader, _ kernel: Kernel, randomSeed: [UInt8]?
    ) throws(BootError) -> CPUState {
        let commandLine = try checkedCommandLine(kernel.commandLine, limit: header.cmdlineSize)
        let initrd = try kernel.initrd()
        let load = try claimKernel(header, file: image.name)
        try image.load(from: header.kernelOffset, count: header.kernelSize, into: memory, at: load)

        var page = ByteWriter(count: ZeroPage.size)
        page.put(header.bytes, at: LinuxSetupHeader.Field.setupSects)
        page.put(ZeroPage.undefinedLoader, at: LinuxSetupHeader.Field.typeOfLoader)
        page.put(ZeroPage.loadedHigh, at: LinuxSetupHeader.Field.loadflags)
        page.put(ZeroPage.videoModeNormal, at: LinuxSetupHeader.Field.vidMode)
        page.put(UInt32(truncatingIfNeeded: load), at: LinuxSetupHeader.Field.code32Start)
        page.put(rsdp, at: ZeroPage.acpiRSDP)

        let zeroPage = try allocateHandover(ZeroPage.size, alignment: pageSize, file: image.name)
        let line = try place(commandLine + [0], file: image.name)
        page.put(UInt32(truncatingIfNeeded: line), at: LinuxSetupHeader.Field.cmdLinePtr)
        page.put(UInt32(truncatingIfNeeded: line >> 32), at: ZeroPage.extCmdLinePtr)
        page.put(try placeSetupData(randomSeed, file: image.name), at: LinuxSetupHeader.Field.setupData)
        if let initrd {
            let range = try self.load(module: initrd.image, within: header.initrdWindows, .downward)
            let size = range.upperBound - range.lowerBound
            page.put(UInt32(truncatingIfNeeded: range.lowerBound), at: LinuxSetupHeader.Field.ramdiskImage)
            page.put(UInt32(truncatingIfNeeded: range.lowerBound >> 32), at: ZeroPage.extRamdiskImage)
            page.put(UInt32(truncatingIfNeeded: size), at: LinuxSetupHeader.Field.ramdiskSize)
            page.put(UInt32(truncatingIfNeeded: size >> 32), at: ZeroPage.extRamdiskSize)
        } else {
            page.put(UInt64(0), at: LinuxSetupHeader.Field.ramdiskImage)
        }
        page.put(UInt8(layout.map.ranges.count), at: ZeroPage.e820Entries)
        page.put(layout.map.e820[...], at: ZeroPage.e820Table)
        try write(page.bytes, at: zeroPage)

        let entry = load + header.entryOffset
        var state =
            header.is64Bit
            ? try CPUState.long64(entry: entry, in: &self, file: image.name)
            : try CPUState.protected32(entry: entry, in: &self, file: image.name)
        state.gpr[CPUState.Register.rsi] = zeroPage
        return state
    }

    /// The kernel's load address, with all the memory claimed that it takes before it knows of any other. It expands
    /// itself at the preferred address or, if it can be relocated, higher, but never lower.
    private mutating func claimKernel(_ header: LinuxSetupHeader, file: String) throws(BootError) -> UInt64 {
        if let range = header.prefAddress.range(count: header.initSize), range.upperBound <= PCMemory.fourGiB,
            layout.claim(range)
        {
            return header.prefAddress
        }
        let lowest = max(header.prefAddress, PCMemory.extended)
        if let alignment = header.relocationAlignment, lowest < PCMemory.fourGiB,
            let start = layout.allocate(
                header.initSize, alignment: max(alignment, pageSize), within: lowest..<PCMemory.fourGiB, .upward)
        {
            return start
        }
        let needed = "it takes \(header.initSize.hex) bytes from \(header.prefAddress.hex)"
        throw .doesNotFit(file: file, reason: needed, memory: memory.size)
    }

    /// A list of one `setup_data` with the seed. The kernel itself reserves the memory of the list, which lies in usable
    /// memory, until it has read it.
    private mutating func placeSetupData(_ seed: [UInt8]?, file: String) throws(BootError) -> UInt64 {
        guard let seed, !seed.isEmpty else { return 0 }
        var data = ByteWriter()
        data.append(UInt64(0))  // next
        data.append(ZeroPage.setupRNGSeed)
        data.append(UInt32(seed.count))
        data.append(seed)
        return try place(data.bytes, file: file)
    }
}

extension LinuxSetupHeader {
    /// Where the initrd may be, the best place first.
    fileprivate var initrdWindows: [Range<UInt64>] {
        let below = PCMemory.extended..<max(initrdAddrMax + 1, PCMemory.extended)
        guard xloadflags.contains(.canBeLoadedAbove4G) else { return [below] }
        return [below, PCMemory.extended..<UInt64.max]
    }
}

extension MemoryMap {
    /// As `boot_e820_entry` structures: address, size, type.
    fileprivate var e820: [UInt8] {
        var table = ByteWriter()
        for range in ranges {
            table.append(range.addresses.lowerBound)
            table.append(range.addresses.upperBound - range.addresses.lowerBound)
            table.append(range.type.rawValue)
        }
        return table.bytes
    }
}

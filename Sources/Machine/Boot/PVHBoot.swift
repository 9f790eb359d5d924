// Starts an ELF kernel through its PVH entry (Xen's "x86/HVM direct boot ABI", docs/misc/pvh.pandoc): a start-info
// structure in memory, and a jump to a physical address in flat 32-bit protected mode.

import Memory
import VirtualCPU

/// `hvm_start_info` and what it points to (xen/include/public/arch-x86/hvm/start_info.h).
private enum StartInfo {
    static let magic: UInt32 = 0x336e_c578
    /// The version that has the memory map.
    static let version: UInt32 = 1
    /// XEN_ELFNOTE_PHYS32_ENTRY.
    static let entryNote: UInt32 = 18
    static let noteOwner = "Xen"
    /// What Linux keeps of a command line, its NUL apart: COMMAND_LINE_SIZE is 2048 on x86, and the rest would be lost
    /// without a word. The protocol itself has no limit.
    static let commandLineLimit = 2047
}

extension ELFImage {
    /// The physical address of the PVH entry, or nil if the file has none.
    package func pvhEntry(of image: borrowing OpenImage) throws(BootError) -> UInt64? {
        guard let note = try note(owner: StartInfo.noteOwner, type: StartInfo.entryNote, of: image) else { return nil }
        let value = ByteReader(note)
        let entry = note.count < 8 ? value.integer(UInt32.self, at: 0).map(UInt64.init) : value.integer(at: 0)
        guard let entry, entry < PCMemory.fourGiB, loads(entry) else {
            throw .unsupported(file: image.name, reason: "its PVH entry is outside of what it loads")
        }
        return entry
    }
}

extension BootContext {
    /// Loads a PVH kernel with its initrd, and returns the state for its entry.
    package mutating func loadPVH(
        _ image: borrowing OpenImage, _ elf: ELFImage, entry: UInt64, _ kernel: Kernel
    ) throws(BootError) -> CPUState {
        let commandLine = try checkedCommandLine(kernel.commandLine, limit: StartInfo.commandLineLimit)
        let initrd = try kernel.initrd()
        try loadSegments(of: elf, from: image)

        var moduleList: UInt64 = 0
        if let initrd {
            var modules = ByteWriter()
            let range = try load(module: initrd.image, within: [PCMemory.extended..<PCMemory.fourGiB], .downward)
            modules.append(range.lowerBound)
            modules.append(range.upperBound - range.lowerBound)
            modules.append(UInt64(0))  // cmdline_paddr
            modules.append(UInt64(0))  // reserved
            moduleList = try place(modules.bytes, file: image.name)
        }
        var map = ByteWriter()
        for range in layout.map.ranges {
            map.append(range.addresses.lowerBound)
            map.append(range.addresses.upperBound - range.addresses.lowerBound)
            map.append(range.type.rawValue)
            map.append(UInt32(0))  // reserved
        }

        var info = ByteWriter()
        info.append(StartInfo.magic)
        info.append(StartInfo.version)
        info.append(UInt32(0))  // flags
        info.append(UInt32(initrd == nil ? 0 : 1))
        info.append(moduleList)
        info.append(try place(commandLine + [0], file: image.name))
        info.append(rsdp)
        info.append(try place(map.bytes, file: image.name))
        info.append(UInt32(layout.map.ranges.count))
        info.append(UInt32(0))  // reserved
        let startInfo = try place(info.bytes, file: image.name)

        var state = try CPUState.protected32(entry: entry, in: &self, file: image.name)
        state.gpr[CPUState.Register.rbx] = startInfo
        return state
    }
}

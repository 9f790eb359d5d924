// Kernels made up in memory, byte by byte, for the tests of the boot protocols, and short ways to look into guest memory.

import Machine
import Memory
import VirtualCPU

/// A bzImage with a valid setup header; fields can be overwritten.
func makeBzImage(
    payload: Int = 0x4000, initSize: UInt32 = 0x80_0000, prefAddress: UInt64 = 0x100_0000,
    commandLineSize: UInt32 = 2047,
    edit: (inout ByteWriter) -> Void = { _ in }
) -> [UInt8] {
    typealias Field = LinuxSetupHeader.Field
    let setupSectors = 2
    var file = ByteWriter(count: (1 + setupSectors) * 512)
    file.put(UInt8(setupSectors), at: Field.setupSects)
    file.put(UInt32(payload / 16), at: Field.syssize)
    file.put(UInt16(0xaa55), at: Field.bootFlag)
    file.put(UInt8(0x6a), at: Field.headerLength)
    file.put(Array("HdrS".utf8)[...], at: Field.magic)
    file.put(UInt16(0x20f), at: Field.version)
    file.put(UInt8(1), at: Field.loadflags)
    file.put(UInt32(0x7fff_ffff), at: Field.initrdAddrMax)
    file.put(UInt32(0x20_0000), at: Field.kernelAlignment)
    file.put(UInt8(1), at: Field.relocatableKernel)
    file.put(UInt16(0x3f), at: Field.xloadflags)
    file.put(commandLineSize, at: Field.cmdlineSize)
    file.put(prefAddress, at: Field.prefAddress)
    file.put(initSize, at: Field.initSize)
    edit(&file)
    file.append((0..<payload).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) })
    return file.bytes
}

/// A program header for `makeELF`.
struct Segment {
    var type: UInt32 = 1
    var offset: UInt64?
    var virtual: UInt64?
    var physical: UInt64
    var contents: [UInt8]
    var fileSize: UInt64?
    var memorySize: UInt64?
}

/// An ELF executable with the given segments; those without an offset have their contents appended to the headers.
func makeELF(wide: Bool = true, entry: UInt64, _ segments: [Segment]) -> [UInt8] {
    let headerSize = wide ? 64 : 52
    let entrySize = wide ? 56 : 32
    var header = ByteWriter(count: headerSize)
    header.put(Array("\u{7f}ELF".utf8)[...], at: 0)
    header.put([wide ? 2 : 1, 1, 1], at: 4)
    header.put(UInt16(2), at: 16)
    header.put(UInt16(wide ? 62 : 3), at: 18)
    header.put(UInt32(1), at: 20)
    func word(_ value: UInt64, _ index: Int, in writer: inout ByteWriter, from base: Int) {
        if wide {
            writer.put(value, at: base + 8 * index)
        } else {
            writer.put(UInt32(truncatingIfNeeded: value), at: base + 4 * index)
        }
    }
    word(entry, 0, in: &header, from: 24)
    word(UInt64(headerSize), 1, in: &header, from: 24)
    header.put(UInt16(entrySize), at: wide ? 54 : 42)
    header.put(UInt16(segments.count), at: wide ? 56 : 44)

    var table = ByteWriter(count: entrySize * segments.count)
    var contents: [UInt8] = []
    for (index, segment) in segments.enumerated() {
        let base = index * entrySize
        table.put(segment.type, at: base)
        word(segment.offset ?? UInt64(headerSize + table.count + contents.count), 1, in: &table, from: base)
        word(segment.virtual ?? segment.physical, 2, in: &table, from: base)
        word(segment.physical, 3, in: &table, from: base)
        word(segment.fileSize ?? UInt64(segment.contents.count), 4, in: &table, from: base)
        word(segment.memorySize ?? segment.fileSize ?? UInt64(segment.contents.count), 5, in: &table, from: base)
        word(4, wide ? 6 : 7, in: &table, from: base)
        if segment.offset == nil { contents += segment.contents }
    }
    return header.bytes + table.bytes + contents
}

/// An ELF note with Xen as its owner.
func makeXenNote(type: UInt32, _ contents: [UInt8]) -> [UInt8] {
    var note = ByteWriter()
    note.append(UInt32(4))
    note.append(UInt32(contents.count))
    note.append(type)
    note.append(Array("Xen\0".utf8))
    note.append(contents)
    note.pad(to: (note.count + 3) & ~3)
    return note.bytes
}

/// A PVH kernel of one segment at 16 MiB, entered 0x50 bytes into it.
func makePVHKernel(wide: Bool = true, memorySize: UInt64 = 0x10_0000) -> [UInt8] {
    let entry: UInt64 = 0x100_0050
    let value = ByteWriter.bytes(of: UInt32(entry))
    return makeELF(
        wide: wide, entry: 0x100_0000,
        [
            Segment(
                type: 4, physical: 0, contents: makeXenNote(type: 6, [1, 2, 3, 4, 5, 6]) + makeXenNote(type: 18, value)),
            Segment(
                virtual: wide ? 0xffff_ffff_8100_0000 : nil, physical: 0x100_0000,
                contents: [UInt8](repeating: 0x90, count: 0x1000), memorySize: memorySize),
        ])
}

/// A Multiboot header at the file's start, with addresses if given: header, load, load end, bss end, entry.
func makeMultibootHeader(flags: UInt32, _ addresses: [UInt32] = []) -> [UInt8] {
    var header = ByteWriter()
    header.append(UInt32(0x1bad_b002))
    header.append(flags)
    header.append(0 &- UInt32(0x1bad_b002) &- flags)
    for address in addresses { header.append(address) }
    return header.bytes
}

/// A Multiboot kernel in the address-override form, loaded at 1 MiB and entered at its 32nd byte.
func makeMultibootKernel() -> [UInt8] {
    let header = makeMultibootHeader(flags: 0x1_0003, [0x10_0000, 0x10_0000, 0x10_1000, 0x10_5000, 0x10_0020])
    return header + [UInt8](repeating: 0xf4, count: 0x1000 - header.count)
}

extension ByteWriter {
    /// The bytes of one integer.
    static func bytes<T: FixedWidthInteger>(of value: T) -> [UInt8] {
        var writer = ByteWriter()
        writer.append(value)
        return writer.bytes
    }
}

/// Guest memory after a boot, with the state of the CPU that enters it.
struct Booted {
    let memory: GuestMemory
    let cpu: CPUState

    /// Boots `source` in a machine with `size` bytes of memory.
    init(_ source: BootSource, size: UInt64 = 64 << 20, processors: Int = 1, randomSeed: [UInt8]? = nil) throws {
        memory = try GuestMemory(size: size)
        cpu = try source.load(into: memory, processors: processors, randomSeed: randomSeed)
    }

    func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        try memory.read(at: GuestPhysicalAddress(address), count: count)
    }

    func integer<T: FixedWidthInteger>(_ address: UInt64, _ type: T.Type = T.self) throws -> T {
        try memory.readInteger(type, at: GuestPhysicalAddress(address))
    }

    func string(_ address: UInt64) throws -> String {
        let bytes = try bytes(address, 4096).prefix { $0 != 0 }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The error of booting `source`, or nil if it boots.
func bootError(_ source: BootSource, size: UInt64 = 64 << 20, processors: Int = 1) throws -> BootError? {
    let memory = try GuestMemory(size: size)
    do throws(BootError) {
        _ = try source.load(into: memory, processors: processors)
        return nil
    } catch {
        return error
    }
}

extension BootSource {
    /// A kernel at hand, named `kernel`.
    static func kernel(
        bytes: [UInt8], modules: [BootModule] = [], commandLine: String = ""
    ) -> BootSource {
        .kernel(.bytes(bytes, name: "kernel"), modules: modules, commandLine: commandLine)
    }
}

// The part of ELF (System V ABI, chapters 4 and 5) that loading a kernel at physical addresses takes: program headers and
// notes of 32- and 64-bit x86 files. Section headers and symbols are nobody's business here.

import Memory

/// An ELF kernel: its headers, checked against the file.
package struct ELFImage {
    /// A PT_LOAD or PT_NOTE program header.
    package struct Segment {
        package let offset: UInt64
        package let virtualAddress: UInt64
        package let physicalAddress: UInt64
        package let fileSize: UInt64
        package let memorySize: UInt64
        package let alignment: UInt64

        /// Where it is loaded; validated not to wrap.
        package var physical: Range<UInt64> { physicalAddress..<physicalAddress + memorySize }
    }

    private enum Constant {
        static let magic = "\u{7f}ELF"
        static let class32: UInt8 = 1
        static let class64: UInt8 = 2
        static let littleEndian: UInt8 = 1
        static let executable: UInt16 = 2
        static let sharedObject: UInt16 = 3
        static let machine386: UInt16 = 3
        static let machineX86_64: UInt16 = 62
        static let load: UInt32 = 1
        static let note: UInt32 = 4
        /// Kernels have a handful; more than this is damage, and not worth the time.
        static let maximumHeaders = 1024
        static let maximumNotes: UInt64 = 1 << 20
    }

    /// What is to be loaded, in the file's order; none is empty.
    package let segments: [Segment]
    /// The entry point as the file gives it: a virtual address.
    package let entry: UInt64

    private let notes: [Segment]

    /// Whether a file begins as ELF files do.
    package static func hasMagic(_ start: ByteReader) -> Bool { start.has(Constant.magic, at: 0) }

    /// Reads the headers; `start` is the file's beginning.
    package init(_ start: ByteReader, of image: borrowing OpenImage) throws(BootError) {
        let file = image.name
        func truncated(_ what: String) -> BootError {
            .truncated(file: file, reason: "\(what) beyond the end of the file at byte \(image.size)")
        }
        func field<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type = T.self) throws(BootError) -> T {
            guard let value = start.integer(type, at: offset) else { throw truncated("the ELF header goes") }
            return value
        }

        let elfClass = try field(4, UInt8.self)
        guard elfClass == Constant.class32 || elfClass == Constant.class64 else {
            throw .unsupported(file: file, reason: "ELF class \(elfClass)")
        }
        let wide = elfClass == Constant.class64
        guard try field(5, UInt8.self) == Constant.littleEndian,
            [Constant.machine386, Constant.machineX86_64].contains(try field(18, UInt16.self)),
            [Constant.executable, Constant.sharedObject].contains(try field(16, UInt16.self))
        else {
            throw .unsupported(file: file, reason: "an ELF file, but not an executable for x86")
        }
        let headerOffset = wide ? try field(32, UInt64.self) : UInt64(try field(28, UInt32.self))
        let headerSize = Int(try field(wide ? 54 : 42, UInt16.self))
        let headerCount = Int(try field(wide ? 56 : 44, UInt16.self))
        guard headerSize == (wide ? 56 : 32), headerCount <= Constant.maximumHeaders else {
            throw .unsupported(
                file: file, reason: "\(headerCount) ELF program headers of \(headerSize) bytes each")
        }
        entry = wide ? try field(24) : UInt64(try field(24, UInt32.self))

        let table = ByteReader(try image.prefix(headerCount * headerSize, at: headerOffset))
        var load: [Segment] = []
        var notes: [Segment] = []
        for index in 0..<headerCount {
            guard let (type, segment) = Self.programHeader(in: table, at: index * headerSize, wide: wide) else {
                throw truncated("ELF program header \(index) goes")
            }
            guard type == Constant.load || type == Constant.note else { continue }
            guard let end = segment.offset.range(count: segment.fileSize)?.upperBound, end <= image.size else {
                throw truncated("ELF segment \(index) goes")
            }
            if type == Constant.note {
                notes.append(segment)
            } else if segment.memorySize > 0 {
                guard segment.physicalAddress.range(count: segment.memorySize) != nil,
                    segment.fileSize <= segment.memorySize
                else {
                    throw .unsupported(file: file, reason: "ELF segment \(index) has impossible sizes")
                }
                load.append(segment)
            }
        }
        segments = load
        self.notes = notes
    }

    private static func programHeader(in table: ByteReader, at base: Int, wide: Bool) -> (UInt32, Segment)? {
        func word(_ index: Int) -> UInt64? {
            wide
                ? table.integer(UInt64.self, at: base + 8 * index)
                : table.integer(UInt32.self, at: base + 4 * index).map(UInt64.init)
        }
        // p_flags is the second word in 64-bit files (together with p_type it fills the first eight bytes) and the
        // seventh in 32-bit ones, so the addresses and sizes stand at the same indices.
        guard let type = table.integer(UInt32.self, at: base), let offset = word(1), let virtual = word(2),
            let physical = word(3), let fileSize = word(4), let memorySize = word(5), let alignment = word(wide ? 6 : 7)
        else { return nil }
        return (
            type,
            Segment(
                offset: offset, virtualAddress: virtual, physicalAddress: physical, fileSize: fileSize,
                memorySize: memorySize, alignment: alignment)
        )
    }

    /// The bytes of the first note of that owner and type, or nil; `image` is the file that the headers were read from.
    package func note(owner: String, type: UInt32, of image: borrowing OpenImage) throws(BootError) -> [UInt8]? {
        for segment in notes {
            guard segment.fileSize <= Constant.maximumNotes else {
                throw .unsupported(file: image.name, reason: "\(segment.fileSize) bytes of ELF notes")
            }
            let bytes = ByteReader(try image.prefix(Int(segment.fileSize), at: segment.offset))
            let alignment = segment.alignment == 8 ? 8 : 4
            func aligned(_ offset: Int) -> Int { (offset + alignment - 1) & -alignment }
            var at = 0
            while let nameSize = bytes.integer(UInt32.self, at: at), let size = bytes.integer(UInt32.self, at: at + 4),
                let noteType = bytes.integer(UInt32.self, at: at + 8)
            {
                let name = at + 12
                let contents = aligned(name + Int(nameSize))
                let end = contents + Int(size)
                guard end <= bytes.bytes.count else { break }
                if noteType == type, Int(nameSize) == owner.utf8.count + 1, bytes.has(owner + "\0", at: name) {
                    return Array(bytes.bytes[contents..<end])
                }
                at = aligned(end)
            }
        }
        return nil
    }

    /// Whether some segment is loaded over a physical address.
    package func loads(_ address: UInt64) -> Bool { segments.contains { $0.physical.contains(address) } }

    /// The physical address of the entry point: translated by the segment that holds it virtually, or as it stands.
    package var physicalEntry: UInt64 {
        for segment in segments where entry &- segment.virtualAddress < segment.memorySize {
            return segment.physicalAddress + (entry - segment.virtualAddress)
        }
        return entry
    }
}

extension BootContext {
    /// Loads every segment at its physical address. What a segment has beyond its bytes in the file stays zero.
    package mutating func loadSegments(
        of elf: ELFImage, from image: borrowing OpenImage
    ) throws(BootError) {
        guard !elf.segments.isEmpty else {
            throw .unsupported(file: image.name, reason: "ELF without loadable segments")
        }
        for segment in elf.segments {
            guard layout.claim(segment.physical) else {
                let range = segment.physical
                throw .doesNotFit(
                    file: image.name,
                    reason: "no free RAM at \(range.lowerBound.hex) to \(range.upperBound.hex) for an ELF segment",
                    memory: memory.size)
            }
            try image.load(from: segment.offset, count: segment.fileSize, into: memory, at: segment.physicalAddress)
        }
    }
}

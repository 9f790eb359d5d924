// The setup header of a bzImage, read and checked (The Linux/x86 Boot Protocol, "The Real-Mode Kernel Header"). After
// this, every number a loader uses is known to be consistent with the file.

/// What a bzImage says of itself.
package struct LinuxSetupHeader {
    /// Offsets in the file, and in the zero page, where the header is copied to the same place.
    package enum Field {
        package static let setupSects = 0x1f1
        package static let syssize = 0x1f4
        package static let vidMode = 0x1fa
        package static let bootFlag = 0x1fe
        package static let headerLength = 0x201
        package static let magic = 0x202
        package static let version = 0x206
        package static let typeOfLoader = 0x210
        package static let loadflags = 0x211
        package static let code32Start = 0x214
        package static let ramdiskImage = 0x218
        package static let ramdiskSize = 0x21c
        package static let cmdLinePtr = 0x228
        package static let initrdAddrMax = 0x22c
        package static let kernelAlignment = 0x230
        package static let relocatableKernel = 0x234
        package static let xloadflags = 0x236
        package static let cmdlineSize = 0x238
        package static let setupData = 0x250
        package static let prefAddress = 0x258
        package static let initSize = 0x260
        /// Where the last field ends that is needed here.
        package static let end = 0x264
        /// Where the zero page goes on with other things.
        package static let zeroPageLimit = 0x290
    }

    /// `xloadflags`.
    package struct XLoadFlags: OptionSet {
        package let rawValue: UInt16
        package init(rawValue: UInt16) { self.rawValue = rawValue }
        /// XLF_KERNEL_64: a 64-bit entry at 0x200 into the kernel.
        package static let kernel64 = XLoadFlags(rawValue: 1 << 0)
        /// XLF_CAN_BE_LOADED_ABOVE_4G: the kernel, its parameters and the initrd may be above 4 GiB.
        package static let canBeLoadedAbove4G = XLoadFlags(rawValue: 1 << 1)
    }

    /// The header's bytes, from `Field.setupSects` to its end.
    package let bytes: ArraySlice<UInt8>
    /// Where the protected-mode kernel begins in the file.
    package let kernelOffset: UInt64
    /// Size of the protected-mode kernel in the file.
    package let kernelSize: UInt64
    /// Memory that the kernel needs from its load address on, before it has read the memory map.
    package let initSize: UInt64
    /// The address that the kernel runs at without relocation.
    package let prefAddress: UInt64
    /// Alignment of other addresses, if the kernel can be relocated; a power of two.
    package let relocationAlignment: UInt64?
    /// The highest address that the initrd's last byte may have.
    package let initrdAddrMax: UInt64
    /// The longest command line, without the NUL that ends it.
    package let cmdlineSize: Int
    /// What the kernel can do.
    package let xloadflags: XLoadFlags

    /// Whether the kernel is entered in 64-bit mode: by its 64-bit entry if it has one, else by the 32-bit entry, in
    /// protected mode without paging.
    package var is64Bit: Bool { xloadflags.contains(.kernel64) }
    /// From the kernel's load address to its entry.
    package let entryOffset: UInt64

    /// Reads the header from the first bytes of a file; nil if this is no bzImage.
    package init?(_ start: ByteReader, of image: borrowing OpenImage) throws(BootError) {
        let file = image.name
        guard start.has("HdrS", at: Field.magic), start.integer(UInt16.self, at: Field.bootFlag) == 0xaa55 else {
            return nil
        }
        func field<T: FixedWidthInteger>(_ offset: Int, _ type: T.Type = T.self) throws(BootError) -> T {
            guard let value = start.integer(type, at: offset) else {
                throw .truncated(file: file, reason: "the setup header ends at byte \(start.bytes.count)")
            }
            return value
        }

        let version = try field(Field.version, UInt16.self)
        guard version >= 0x20c else {
            throw .unsupported(
                file: file, reason: "boot protocol \(version >> 8).\(version & 0xff); 2.12 or later is needed")
        }
        let end = Field.magic + Int(try field(Field.headerLength, UInt8.self))
        guard end >= Field.end else {
            throw .unsupported(file: file, reason: "its setup header ends at byte \(end), before that of protocol 2.12")
        }
        _ = try field(min(end, Field.zeroPageLimit) - 1, UInt8.self)
        bytes = start.bytes[Field.setupSects..<min(end, Field.zeroPageLimit)]

        xloadflags = XLoadFlags(rawValue: try field(Field.xloadflags))
        entryOffset = xloadflags.contains(.kernel64) ? 0x200 : 0
        let sectors = UInt64(try field(Field.setupSects, UInt8.self))
        kernelOffset = (1 + (sectors == 0 ? 4 : sectors)) * 512
        // The header counts paragraphs of 16 bytes, and not every linker fills the last one.
        let declared = UInt64(try field(Field.syssize, UInt32.self)) * 16
        guard image.size + 15 >= kernelOffset + declared else {
            throw .truncated(
                file: file, reason: "the file has \(image.size) bytes of \(kernelOffset + declared)")
        }
        guard declared > entryOffset, image.size > kernelOffset + entryOffset else {
            throw .unsupported(file: file, reason: "its setup header leaves no room for the kernel's entry")
        }
        kernelSize = image.size - kernelOffset

        initSize = max(UInt64(try field(Field.initSize, UInt32.self)), kernelSize)
        prefAddress = try field(Field.prefAddress)
        let alignment = UInt64(try field(Field.kernelAlignment, UInt32.self))
        if try field(Field.relocatableKernel, UInt8.self) != 0 {
            guard alignment.nonzeroBitCount == 1 else {
                throw .unsupported(file: file, reason: "its alignment \(alignment.hex) is not a power of two")
            }
            relocationAlignment = alignment
        } else {
            relocationAlignment = nil
        }
        initrdAddrMax = UInt64(try field(Field.initrdAddrMax, UInt32.self))
        cmdlineSize = Int(try field(Field.cmdlineSize, UInt32.self))
    }
}

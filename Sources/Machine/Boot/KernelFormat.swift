// Which boot protocol a kernel's file speaks, told from its bytes alone.

/// A kernel format with what its loader needs, headers already validated.
package enum KernelFormat {
    /// Linux's boot image.
    case bzImage(LinuxSetupHeader)
    /// An ELF file with the physical address of its PVH entry.
    case pvh(ELFImage, entry: UInt64)
    /// A Multiboot 1 kernel.
    case multiboot(MultibootHeader)

    /// Multiboot headers lie within this many bytes of the file's start; every other header does too.
    private static let headerArea = 8192

    /// Recognises a kernel. An ELF file that offers PVH and Multiboot is taken for PVH.
    package init(of image: borrowing OpenImage) throws(BootError) {
        let start = ByteReader(try image.prefix(Self.headerArea))
        if let header = try LinuxSetupHeader(start, of: image) {
            self = .bzImage(header)
            return
        }
        if ELFImage.hasMagic(start) {
            let elf = try ELFImage(start, of: image)
            if let entry = try elf.pvhEntry(of: image) {
                self = .pvh(elf, entry: entry)
                return
            }
        }
        guard let multiboot = try MultibootHeader(searching: start, file: image.name) else {
            throw .notAKernel(
                file: image.name,
                reason: ELFImage.hasMagic(start) ? "an ELF file without a PVH note or a Multiboot header" : nil)
        }
        self = .multiboot(multiboot)
    }
}

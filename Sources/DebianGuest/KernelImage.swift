// Finds the kernel proper, an ELF file, within a bzImage.
//
// A bzImage is the real-mode setup code, then a small 32/64-bit decompressor that carries the kernel as a compressed
// payload. The setup header tells where (The Linux/x86 Boot Protocol, fields payload_offset and payload_length, version
// 2.08 and later). The payload's last four bytes are its expanded size, which the kernel's build appends.
// Debian 12's 6.1 is compressed with LZ4 (expanded here), 6.12 with zstd (expanded by a tool of the host, see
// `HostDecompressor`).

/// The compressed kernel inside a bzImage.
package struct KernelImage: Equatable {
    package enum Compression: String {
        case lz4Legacy = "LZ4"
        case zstandard = "zstd"
        case gzip
        case xz
    }

    package let compression: Compression
    /// Where the compressed data lies in the file, the size word excluded.
    package let payload: Range<Int>
    /// The size that the payload expands to, in bytes.
    package let expandedSize: Int

    /// More than any kernel expands to; a size beyond it is a damaged file and not worth the memory.
    private static let expandedLimit = 1 << 30

    /// Reads the setup header of a bzImage; `path` is for messages only.
    package init(_ file: [UInt8], path: String) throws(DebianGuestError) {
        func number(_ offset: Int, _ count: Int) -> Int {
            (0..<count).reduce(0) { $0 | Int(file[offset + $1]) << (8 * $1) }
        }
        guard file.count >= 0x250, file[0x202..<0x206].elementsEqual(Array("HdrS".utf8)) else {
            throw .badKernelImage(path: path, detail: "not a bzImage: it has no setup header")
        }
        let version = number(0x206, 2)
        guard version >= 0x208 else {
            throw .badKernelImage(
                path: path, detail: "boot protocol \(version >> 8).\(version & 0xFF) does not say where the kernel is")
        }
        let setupSectors = file[0x1F1] == 0 ? 4 : Int(file[0x1F1])
        let start = (setupSectors + 1) * 512 + number(0x248, 4)
        let length = number(0x24C, 4)
        guard length >= 12, start <= file.count, length <= file.count - start else {
            throw .badKernelImage(
                path: path, detail: "cut short: the compressed kernel leads beyond the end of the file")
        }
        payload = start..<(start + length - 4)
        expandedSize = number(start + length - 4, 4)
        guard expandedSize > 0, expandedSize <= Self.expandedLimit else {
            throw .badKernelImage(path: path, detail: "damaged: the kernel's size is given as \(expandedSize) bytes")
        }
        switch (file[start], file[start + 1], file[start + 2], file[start + 3]) {
        case (0x02, 0x21, 0x4C, 0x18): compression = .lz4Legacy
        case (0x28, 0xB5, 0x2F, 0xFD): compression = .zstandard
        case (0x1F, 0x8B, _, _): compression = .gzip
        case (0xFD, 0x37, 0x7A, 0x58): compression = .xz
        default: throw .badKernelImage(path: path, detail: "the kernel in it is compressed in an unknown format")
        }
    }

    /// The `vmlinux` in a bzImage: an ELF file that boots through PVH.
    package static func vmlinux(
        of file: [UInt8], path: String, decompressor: HostDecompressor
    ) throws(DebianGuestError) -> [UInt8] {
        let image = try KernelImage(file, path: path)
        let kernel: [UInt8]
        switch image.compression {
        case .lz4Legacy:
            do throws(LZ4Legacy.Failure) {
                kernel = try LZ4Legacy.decompress(file[image.payload], limit: image.expandedSize)
            } catch {
                throw .decompressionFailed(path: path, detail: "the LZ4 data is damaged (\(error))")
            }
        case .zstandard:
            kernel = try decompressor.expand(file[image.payload], .zstandard, name: path, limit: image.expandedSize)
        case .gzip:
            kernel = try decompressor.expand(file[image.payload], .gzip, name: path, limit: image.expandedSize)
        case .xz:
            kernel = try decompressor.expand(file[image.payload], .xz, name: path, limit: image.expandedSize)
        }
        guard kernel.count == image.expandedSize else {
            throw .decompressionFailed(
                path: path, detail: "\(kernel.count) bytes came out where \(image.expandedSize) are announced")
        }
        guard kernel.starts(with: [0x7F, 0x45, 0x4C, 0x46]) else {
            throw .badKernelImage(path: path, detail: "the kernel in it is not an ELF file")
        }
        return kernel
    }
}

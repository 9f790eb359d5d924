// All code of Debian's libc, libcrypto and kernel through the decoder and through Zydis and Capstone.

import DebianGuest
import Disassemblers
import Foundation
import Testing
import X86

/// The executable segments of an ELF file of 64 bits.
private func executableSegments(_ file: [UInt8]) -> [Range<Int>] {
    func number(_ offset: Int, _ size: Int) -> Int {
        guard offset + size <= file.count else { return 0 }
        return (0..<size).reduce(0) { $0 | Int(file[offset + $1]) << (8 * $1) }
    }
    guard file.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2]) else { return [] }
    let table = number(0x20, 8)
    return (0..<number(0x38, 2)).compactMap { index in
        let header = table + index * number(0x36, 2)
        guard number(header, 4) == 1, number(header + 4, 4) & 1 != 0 else { return nil }
        let offset = number(header + 8, 8)
        let end = offset + number(header + 32, 8)
        return end <= file.count ? offset..<end : nil
    }
}

extension RandomBytesTests {
    private func check(_ file: [UInt8], _ name: String, _ other: Other) {
        var tally = Tally()
        for segment in executableSegments(file) {
            file.withUnsafeBufferPointer { bytes in
                var position = segment.lowerBound
                while position < segment.upperBound {
                    let end = min(position + 24, segment.upperBound)
                    position += other.check(UnsafeBufferPointer(rebasing: bytes[position..<end]), .code64, &tally)
                }
            }
        }
        tally.report("\(other), \(name)")
        #expect(tally.unexplained.isEmpty, "\(tally.unexplained.joined(separator: "\n"))")
        #expect(tally.agreed > 10000)
    }

    @Test(
        arguments: Other.allCases, ["/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"])
    func agreesOnLibraries(other: Other, path: String) throws {
        if let reason = other.missing {
            print("skipped: \(reason)")
            return
        }
        guard let data = FileManager.default.contents(atPath: path) else {
            print("skipped: there is no \(path)")
            return
        }
        check([UInt8](data), path, other)
    }

    /// TRAPEZE_KERNELS is a folder of bzImages.
    @Test(arguments: Other.allCases) func agreesOnKernels(other: Other) throws {
        if let reason = other.missing {
            print("skipped: \(reason)")
            return
        }
        guard let folder = ProcessInfo.processInfo.environment["TRAPEZE_KERNELS"] else {
            print("skipped: TRAPEZE_KERNELS names no folder of Debian kernels (vmlinuz-…)")
            return
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("vmlinuz") }
        #expect(!names.isEmpty, "no vmlinuz-… in \(folder)")
        for name in names {
            let path = folder + "/" + name
            let file = [UInt8](FileManager.default.contents(atPath: path) ?? Data())
            let decompressor = HostDecompressor(searchPath: "/usr/bin:/bin", folder: NSTemporaryDirectory())
            check(try KernelImage.vmlinux(of: file, path: path, decompressor: decompressor), name, other)
        }
    }
}

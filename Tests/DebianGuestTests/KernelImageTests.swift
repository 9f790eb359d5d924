// Kernels within bzImages: the header, the LZ4 decoder, and files cut short or altered anywhere.

import DebianGuest
import Glibc
import TestSupport
import Testing

@Suite struct KernelImageTests {
    /// A file with a bzImage's header whose payload is `payload`, the size word included.
    private func bzImage(_ payload: [UInt8], version: UInt16 = 0x20F) -> [UInt8] {
        var file = [UInt8](repeating: 0, count: 1024)
        file[0x1F1] = 1
        file.replaceSubrange(0x202..<0x206, with: Array("HdrS".utf8))
        file[0x206] = UInt8(truncatingIfNeeded: version)
        file[0x207] = UInt8(version >> 8)
        file[0x248] = 16
        for index in 0..<4 { file[0x24C + index] = UInt8(truncatingIfNeeded: payload.count >> (8 * index)) }
        return file + [UInt8](repeating: 0x90, count: 16) + payload
    }

    private func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }

    /// "\u{7f}ELF", then a match of 8 bytes at distance 4, then the literals "xyz".
    private let block: [UInt8] = [0x44, 0x7F, 0x45, 0x4C, 0x46, 4, 0, 0x30, 0x78, 0x79, 0x7A]
    private let expanded = Array("\u{7f}ELF\u{7f}ELF\u{7f}ELFxyz".utf8)

    private var container: [UInt8] { [0x02, 0x21, 0x4C, 0x18] + word(block.count) + block }
    private let decompressor = HostDecompressor(searchPath: "", folder: "/tmp")

    @Test func takesTheKernelOut() throws {
        let file = bzImage(container + word(expanded.count))
        #expect(try KernelImage.vmlinux(of: file, path: "k", decompressor: decompressor) == expanded)
    }

    @Test func refusesEveryTruncation() {
        let file = bzImage(container + word(expanded.count))
        for count in 0..<file.count {
            #expect(throws: DebianGuestError.self) {
                try KernelImage.vmlinux(of: Array(file.prefix(count)), path: "k", decompressor: decompressor)
            }
        }
    }

    @Test func refusesWhatIsNoKernel() {
        func failure(_ file: [UInt8]) -> String {
            do throws(DebianGuestError) {
                _ = try KernelImage.vmlinux(of: file, path: "k", decompressor: decompressor)
                return ""
            } catch {
                return "\(error)"
            }
        }
        #expect(failure([]) == "k: not a bzImage: it has no setup header")
        #expect(failure(bzImage(container + word(15), version: 0x207)).contains("boot protocol 2.7"))
        #expect(failure(bzImage([1, 2, 3, 4] + word(0) + word(15))).contains("unknown format"))
        #expect(failure(bzImage(container + word(-1))).contains("damaged: the kernel's size"))
        #expect(failure(bzImage(container + word(16))).contains("15 bytes came out where 16 are announced"))
        #expect(failure(bzImage(container + word(14))).contains("tooLong"))
        let text: [UInt8] = [0x02, 0x21, 0x4C, 0x18] + word(5) + [0x40, 1, 2, 3, 4]
        #expect(failure(bzImage(text + word(4))).contains("not an ELF file"))
    }

    @Test func alteredDataIsRefusedOrExpandedWithinBounds() {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SplitMix64(seed: seed)
        for _ in 0..<5000 {
            var data = container
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                data[Int.random(in: 0..<data.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            let result = try? LZ4Legacy.decompress(data[...], limit: 64)
            #expect((result?.count ?? 0) <= 64, "seed \(seed)")
        }
    }

    @Test(.enabled(if: hostTool("lz4") != nil, "lz4 is not installed"))
    func agreesWithLZ4() throws {
        let lz4 = try #require(hostTool("lz4"))
        let folder = try TemporaryFolder()
        // More than one block of 8 MiB, with matches near and far and lengths of all sizes.
        var generator = SplitMix64(seed: 1)
        var data: [UInt8] = []
        while data.count < 9 << 20 {
            let run = Int.random(in: 1...600, using: &generator)
            if Bool.random(using: &generator) && data.count > 70_000 {
                let start = data.count - Int.random(in: 1...65_535, using: &generator)
                data.append(contentsOf: Array(data[start..<min(start + run, data.count)]))
            } else {
                data.append(contentsOf: (0..<run).map { _ in UInt8.random(in: 0...255, using: &generator) })
            }
        }
        try HostFiles.write(data, to: folder("data"))
        let packed = try run(lz4, ["-l", "-9", "-c", folder("data")])
        #expect(packed.succeeds)
        #expect(try LZ4Legacy.decompress(packed.output[...], limit: data.count) == data)
    }

    @Test(
        .enabled(if: hostTool("zstd") != nil && hostTool("xz") != nil, "zstd or xz is not installed"),
        arguments: [HostDecompressor.Format.zstandard, .xz], [true, false])
    func hostToolsExpand(_ format: HostDecompressor.Format, withApt: Bool) throws {
        let folder = try TemporaryFolder()
        try folder.write("data", String(repeating: "kernel ", count: 1000))
        let packed = try run(try #require(hostTool(format.tool.name)), ["-c", folder("data")])
        #expect(packed.succeeds)
        let decompressor = HostDecompressor(
            searchPath: "/usr/bin:/bin", folder: folder.path,
            aptHelper: withApt ? "/usr/lib/apt/apt-helper" : "/nonexistent")
        #expect(try decompressor.expand(packed.output[...], format, name: "k", limit: 7000).count == 7000)
        #expect(throws: DebianGuestError.decompressionFailed(path: "k", detail: "more than 6999 bytes come out")) {
            try decompressor.expand(packed.output[...], format, name: "k", limit: 6999)
        }
        // apt-helper hands over what it could expand and says nothing; that the size is right is checked by callers.
        if !withApt {
            #expect(throws: DebianGuestError.self) {
                try decompressor.expand(packed.output.dropLast(6), format, name: "k", limit: 7000)
            }
        }
        let bare = HostDecompressor(searchPath: "", folder: folder.path, aptHelper: "/nonexistent")
        #expect(throws: DebianGuestError.toolMissing(tool: format.tool.name, package: format.tool.package)) {
            try bare.expand(packed.output[...], format, name: "k", limit: 7000)
        }
    }
}

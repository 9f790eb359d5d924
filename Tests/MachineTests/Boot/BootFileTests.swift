// Files that users name: what is no regular file, cannot be read, is empty or larger than memory gets a message that says
// so, at once.

import Foundation
import Machine
import Memory
import Testing
import VirtualCPU

@Suite final class BootFileTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "boot-files-\(UUID())")

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: folder) }

    private func path(_ name: String) -> String { folder.appending(path: name).path }

    private func file(_ name: String, _ contents: [UInt8]) throws -> BootImage {
        try Data(contents).write(to: folder.appending(path: name))
        return .file(path(name))
    }

    @Test func readsKernelAndInitrdFromFiles() throws {
        let kernel = makeBzImage()
        let initrd = (0..<10_000).map { UInt8(truncatingIfNeeded: $0) }
        let source = BootSource.kernel(
            try file("kernel", kernel), modules: [BootModule(try file("initrd", initrd))], commandLine: "quiet")
        let booted = try Booted(source)
        #expect(try booted.bytes(0x100_0000, 0x4000) == Array(kernel[1536...]))
        let start = UInt64(try booted.integer(booted.cpu.gpr[6] + 0x218, UInt32.self))
        #expect(try booted.bytes(start, initrd.count) == initrd)
    }

    @Test func namesFileAndReason() throws {
        let kernel = try file("kernel", makeBzImage())
        let missing = path("missing")
        #expect(
            try bootError(.kernel(.file(missing)))?.description
                == "\(missing): cannot be read: No such file or directory")
        #expect(
            try bootError(.kernel(kernel, modules: [BootModule(.file(missing))]))
                == .unreadable(file: missing, errno: ENOENT))
        #expect(
            try bootError(.kernel(.file(folder.path)))?.description == "\(folder.path): is a folder, not a regular file"
        )
        #expect(try bootError(.kernel(try file("empty", []))) == .empty(file: path("empty")))
        #expect(
            try bootError(.kernel(kernel, modules: [BootModule(try file("empty", []))])) == .empty(file: path("empty")))
        #expect(try bootError(.kernel(.file("/dev/zero")))?.description == "/dev/zero: is a device, not a regular file")
        #expect(
            try bootError(.kernel(try file("text", Array("hello\n".utf8))))?.description
                == "\(path("text")): not a kernel that Trapeze knows (bzImage, PVH ELF, Multiboot)")
    }

    @Test(.timeLimit(.minutes(5))) func doesNotWaitForThePipesOtherEnd() throws {
        #expect(mkfifo(path("pipe"), 0o600) == 0)
        #expect(
            try bootError(.kernel(.file(path("pipe"))))?.description == "\(path("pipe")): is a pipe, not a regular file"
        )
    }

    @Test(.enabled(if: geteuid() != 0, "root may read every file")) func reportsMissingPermission() throws {
        let image = try file("secret", [1])
        #expect(chmod(path("secret"), 0) == 0)
        #expect(try bootError(.kernel(image)) == .unreadable(file: path("secret"), errno: EACCES))
    }

    /// Sparse files of a terabyte: refused by their size, without a byte of them read.
    @Test func refusesHugeFilesUnread() throws {
        let kernel = try file("kernel", makeBzImage())
        let size: UInt64 = 1 << 40
        for (name, contents) in [("initrd", [0]), ("bzImage", makeBzImage())] as [(String, [UInt8])] {
            _ = try file(name, contents)
            #expect(truncate(path(name), off_t(size)) == 0)
        }
        #expect(
            try bootError(.kernel(kernel, modules: [BootModule(.file(path("initrd")))]))
                == .moduleDoesNotFit(file: path("initrd"), size: size, memory: 64 << 20))
        guard case .doesNotFit? = try bootError(.kernel(.file(path("bzImage")))) else {
            Issue.record("a kernel of a terabyte")
            return
        }
        #expect(
            try bootError(.firmware(.file(path("initrd"))))
                == .tooLarge(
                    file: path("initrd"), size: size, limit: 16 << 20))
    }
}

// The archive writer against the format's definition and against cpio itself.

import DebianGuest
import Glibc
import Testing

@Suite struct CPIOArchiveTests {
    private func sample() throws -> CPIOArchive {
        var archive = CPIOArchive()
        archive.addFolder("folder", permissions: 0o750)
        for size in 0..<6 {
            try archive.addFile(
                "folder/" + String(repeating: "n", count: size + 1), permissions: 0o644,
                [UInt8](repeating: UInt8(ascii: "a") + UInt8(size), count: size))
        }
        archive.addSymbolicLink("link", to: "folder/nn")
        archive.addCharacterDevice("console", permissions: 0o600, major: 5, minor: 1)
        return archive
    }

    @Test func oneFileByteForByte() throws {
        var archive = CPIOArchive()
        try archive.addFile("ab", permissions: 0o755, [1, 2, 3, 4, 5])
        let header =
            "070701" + "00000001" + "000081ED" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005"
            + "00000000" + "00000000" + "00000000" + "00000000" + "00000003" + "00000000"
        let trailer =
            "070701" + "00000000" + "00000000" + "00000000" + "00000000" + "00000001" + "00000000" + "00000000"
            + "00000000" + "00000000" + "00000000" + "00000000" + "0000000B" + "00000000"
        // 110 + 3 bytes, padded to 116; 5 bytes, padded to 8; 110 + 11 bytes; zeros to 512
        var expected = Array(header.utf8) + Array("ab\0\0\0\0".utf8) + [1, 2, 3, 4, 5, 0, 0, 0]
        expected += Array(trailer.utf8) + Array("TRAILER!!!\0".utf8)
        expected += [UInt8](repeating: 0, count: 512 - expected.count)
        #expect(archive.finished() == expected)
    }

    @Test func sameCallsSameBytes() throws {
        #expect(try sample().finished() == sample().finished())
    }

    @Test(.enabled(if: hostTool("cpio") != nil, "cpio is not installed"))
    func cpioReadsItBack() throws {
        let cpio = try #require(hostTool("cpio"))
        let folder = try TemporaryFolder()
        try HostFiles.write(try sample().finished(), to: folder("archive"))
        let listing = try run(cpio, ["-tv", "--quiet", "-F", folder("archive")])
        #expect(listing.succeeds)
        let lines = text(listing.output).split(separator: "\n")
        #expect(lines.count == 9)
        #expect(lines.first?.hasPrefix("drwxr-x---") == true)
        #expect(lines.last?.hasPrefix("crw-------") == true)
        #expect(lines.last?.contains("5,   1") == true)
        // Device nodes need root.
        let unpacked = try run(cpio, ["-id", "--quiet", "-F", folder("archive"), "folder*", "link"], in: folder.path)
        #expect(unpacked.succeeds, "\(text(unpacked.errors))")
        #expect(text(try run("/bin/cat", [folder("folder/nnnnnn")]).output) == "fffff")
        #expect(text(try run("/bin/cat", [folder("link")]).output) == "b")
    }

    @Test(.enabled(if: hostTool("cpio") != nil, "cpio is not installed"))
    func packsATree() throws {
        let cpio = try #require(hostTool("cpio"))
        let folder = try TemporaryFolder()
        try run(
            "/bin/sh",
            [
                "-c",
                "mkdir -p t/z t/a; echo 1 >t/a/1; chmod 4755 t/a/1; ln -s ../a t/z/l; mkfifo t/p; : >t/z/$(printf '\\377')",
            ],
            in: folder.path)
        var archive = CPIOArchive()
        try archive.addTree(folder("t"))
        try HostFiles.write(archive.finished(), to: folder("archive"))
        let names = try run(cpio, ["-t", "--quiet", "-F", folder("archive")]).output
        #expect(names == Array("a\na/1\np\nz\nz/l\nz/".utf8) + [0xFF] + Array("\n".utf8))
        try run("/bin/mkdir", [folder("out")])
        let unpacked = try run(cpio, ["-id", "--quiet", "-F", folder("archive")], in: folder("out"))
        #expect(unpacked.succeeds, "\(text(unpacked.errors))")
        let compared = try run("/usr/bin/diff", ["-r", "--no-dereference", folder("t/z"), folder("out/z")])
        #expect(compared.succeeds, "\(text(compared.output))")
        #expect(
            text(try run("/bin/sh", ["-c", "stat -c %a-%F a/1; stat -c %F p"], in: folder("out")).output)
                == "4755-regular file\nfifo\n")
    }

    @Test func laterArchivesAreAppendedAligned() throws {
        var first = CPIOArchive()
        try first.addFile("f", [1])
        let bytes = first.finished()
        var second = CPIOArchive(appendingTo: bytes + [0, 0])
        try second.addFile("f", [2])
        let all = second.finished()
        #expect(all.starts(with: bytes))
        #expect(all[(bytes.count + 4)...].starts(with: Array("070701".utf8)))
        #expect(all.count.isMultiple(of: 512))
    }

    @Test func missingTree() {
        var archive = CPIOArchive()
        #expect(throws: DebianGuestError.fileFailed(path: "/nonexistent", operation: "read", code: ENOENT)) {
            try archive.addTree("/nonexistent")
        }
    }
}

// The AML encoder: byte for byte where the specification fixes the bytes, and through ACPICA's compiler as a whole.

import Foundation
import Machine
import Testing

@Suite struct AMLTests {
    @Test func encodesIntegersInTheirShortestForm() {
        #expect(AML.integer(0).bytes == [0x00])
        #expect(AML.integer(1).bytes == [0x01])
        #expect(AML.integer(0xff).bytes == [0x0a, 0xff])
        #expect(AML.integer(0x100).bytes == [0x0b, 0x00, 0x01])
        #expect(AML.integer(0x1_0000).bytes == [0x0c, 0, 0, 1, 0])
        #expect(AML.integer(.max).bytes == [0x0e] + [UInt8](repeating: 0xff, count: 8))
    }

    @Test func encodesNames() {
        #expect(AML.name("_S5_", .integer(0)).bytes == [0x08] + Array("_S5_".utf8) + [0])
        #expect(AML.name("\\_SB.PCI0", .integer(1)).bytes == [0x08, 0x5c, 0x2e] + Array("_SB_PCI0".utf8) + [1])
        #expect(AML.name("A.B.C", .integer(1)).bytes == [0x08, 0x2f, 3] + Array("A___B___C___".utf8) + [1])
        #expect(AML.eisaID("PNP0A03").bytes == [0x0c, 0x41, 0xd0, 0x0a, 0x03])
        #expect(AML.string("ACPI0007").bytes == [0x0d] + Array("ACPI0007".utf8) + [0])
    }

    /// PkgLength counts itself: its own size changes at 63 and 4095 bytes of contents.
    @Test(arguments: [
        (62 - 4, [0x3f]), (63 - 4, [0x41, 0x04]), (4093 - 4, [0x4f, 0xff]), (4094 - 4, [0x81, 0x00, 0x01]),
    ])
    func encodesPackageLengths(count: Int, length: [UInt8]) {
        let scope = AML.scope("_SB_", [AML](repeating: .integer(0), count: count)).bytes
        #expect(Array(scope[1..<1 + length.count]) == length)
        #expect(scope.count == 1 + length.count + 4 + count)
    }

    @Test func encodesResources() {
        #expect(
            Resource.template([.ports(0x3f8, count: 8), .irq(4)])
                == [0x47, 1, 0xf8, 3, 0xf8, 3, 1, 8, 0x22, 0x10, 0, 0x79, 0])
        #expect(
            Resource.template([.portWindow(0xd00...0xffff)])
                == [0x88, 13, 0, 1, 0x0c, 3, 0, 0, 0x00, 0x0d, 0xff, 0xff, 0, 0, 0x00, 0xf3, 0x79, 0])
    }

    private static let compiler = ["/usr/bin/iasl", "/usr/local/bin/iasl"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    /// Every table disassembles, and the disassembly compiles without an error or a warning to what was built.
    @Test(.enabled(if: compiler != nil, "iasl is not installed"), arguments: [1, 300])
    func tablesSurviveDisassemblyAndCompilation(processors: Int) throws {
        let compiler = try #require(Self.compiler)
        let folder = FileManager.default.temporaryDirectory.appending(path: "acpi-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for table in try FirmwareTables(processors: processors).placed
        where ["DSDT", "FACP", "APIC", "XSDT", "RSDT", "FACS"].contains(table.name) {
            let binary = folder.appending(path: "\(table.name).aml")
            let source = folder.appending(path: "\(table.name).dsl")
            try Data(table.bytes).write(to: binary)
            let (disassembled, first) = try run(compiler, ["-d", binary.path])
            #expect(disassembled == 0 && !first.contains("Warning") && !first.contains("Error"), "\(first)")
            try FileManager.default.removeItem(at: binary)
            let (compiled, second) = try run(compiler, ["-oa", "-we", source.path])
            #expect(compiled == 0 && !second.contains("Error  "), "\(second)")
            if table.name == "DSDT" {
                // Beyond the header: the compiler signs as its own creator, which also changes the checksum.
                #expect(Array(try Data(contentsOf: binary).dropFirst(36)) == Array(table.bytes[36...]))
            }
        }
    }

    private func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}

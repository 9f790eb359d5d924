// The tables, as a guest finds them in memory, through ACPICA's compiler: each must disassemble, and the result compile
// again without an error or a warning, to the same bytes. Skips, saying so, where there is no `iasl` (Debian's
// acpica-tools).

import Foundation
import Machine
import Testing

@Suite struct IASLTests {
    private static let iasl: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        .map { "\($0)/iasl" }.first { FileManager.default.isExecutableFile(atPath: $0) }

    /// Runs iasl in a folder; its status and all it prints.
    private func run(_ iasl: String, _ arguments: [String], in folder: URL) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: iasl)
        process.arguments = arguments
        process.currentDirectoryURL = folder
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, output)
    }

    /// The tables that the RSDP in a booted machine's memory leads to, by signature.
    private func tables(processors: Int) throws -> [String: [UInt8]] {
        let booted = try Booted(.flat(RawBootTests.code), size: 1 << 20, processors: processors)
        var found: [String: [UInt8]] = [:]
        func take(_ address: UInt64) throws -> [UInt8] {
            let bytes = try booted.bytes(address, Int(booted.integer(address + 4, UInt32.self)))
            found[String(decoding: bytes[..<4], as: UTF8.self)] = bytes
            return bytes
        }
        let rsdp = try #require(
            try stride(from: UInt64(0xe0000), to: 0x10_0000, by: 16).first {
                try booted.bytes($0, 8) == Array("RSD PTR ".utf8)
            })
        let xsdt = ByteReader(try take(booted.integer(rsdp + 24)))
        _ = try take(UInt64(booted.integer(rsdp + 16, UInt32.self)))
        for offset in stride(from: 36, to: xsdt.bytes.count, by: 8) {
            let table = ByteReader(try take(try #require(xsdt.integer(UInt64.self, at: offset))))
            guard table.bytes.starts(with: Array("FACP".utf8)) else { continue }
            _ = try take(try #require(table.integer(UInt64.self, at: 140)))
            _ = try take(UInt64(try #require(table.integer(UInt32.self, at: 36))))
        }
        return found
    }

    @Test(arguments: [1, 4, 255, 1024]) func tablesCompileAgain(processors: Int) throws {
        guard let iasl = Self.iasl else {
            print("skipped: no iasl in PATH (Debian package acpica-tools)")
            return
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("trapeze-iasl-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let tables = try tables(processors: processors)
        #expect(Set(tables.keys) == ["XSDT", "RSDT", "FACP", "FACS", "APIC", "DSDT"])
        for (name, bytes) in tables {
            try Data(bytes).write(to: folder.appendingPathComponent("\(name).dat"))
            let disassembly = try run(iasl, ["-d", "\(name).dat"], in: folder)
            #expect(disassembly.status == 0, "\(name): \(disassembly.output)")
            #expect(
                !disassembly.output.contains("Warning") && !disassembly.output.contains("Error"),
                "\(disassembly.output)")
            let compilation = try run(iasl, ["-oa", "-p", "\(name)-again", "\(name).dsl"], in: folder)
            #expect(compilation.status == 0, "\(name): \(compilation.output)")
            // A definition block's compilation ends with counts, a data table's with nothing to complain of.
            let clean = compilation.output.contains("0 Errors, 0 Warnings")
            #expect(clean || name != "DSDT" && !compilation.output.contains("Error"), "\(name): \(compilation.output)")
            let again = [UInt8](try Data(contentsOf: folder.appendingPathComponent("\(name)-again.aml")))
            // The compiler writes its own name and version into the header (offsets 28 to 35), and with them the checksum.
            func withoutHeader(_ table: [UInt8]) -> [UInt8] { name == "FACS" ? table : Array(table.dropFirst(36)) }
            let same = withoutHeader(again) == withoutHeader(bytes)
            #expect(same, "\(name) is not the same when compiled again")
        }
    }
}

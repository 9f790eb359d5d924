// `--trace`: what lines a small guest gives, and what becomes of a file that can't be written.

import Foundation
import Testing

@Suite struct TraceTests {
    /// A flat binary at 0x7C00 that does one of each in real mode.
    private static let code: [UInt8] = [
        0xc7, 0x06, 0x84, 0x00, 0x25, 0x7c,  // 7c00 mov word [0x84], 0x7c25: INT 21h
        0xc7, 0x06, 0x18, 0x00, 0x27, 0x7c,  // 7c06 mov word [0x18], 0x7c27: #UD
        0xb0, 0x42,  // 7c0c mov al, 0x42
        0xe6, 0x80,  // 7c0e out 0x80, al
        0x66, 0xb9, 0x1b, 0, 0, 0,  // 7c10 mov ecx, IA32_APIC_BASE
        0x0f, 0x32,  // 7c16 rdmsr
        0x0f, 0x20, 0xc0,  // 7c18 mov eax, cr0
        0x0c, 0x02,  // 7c1b or al, 2
        0x0f, 0x22, 0xc0,  // 7c1d mov cr0, eax
        0xcd, 0x21,  // 7c20 int 0x21
        0x90, 0x90, 0x90,  // 7c22
        0x0f, 0x0b,  // 7c25 ud2
        0xb0, 0x07,  // 7c27 mov al, 7
        0xe6, 0xf4,  // 7c29 out 0xf4, al
    ]

    private func trace(_ kinds: String, clock: String = "instructions") throws -> [String] {
        try withTemporaryFolder { folder in
            let (binary, file) = (folder + "/guest", folder + "/trace")
            try Data(Self.code).write(to: URL(fileURLWithPath: binary))
            let result = try run(
                "run", "--flat", binary, "--engine", "interpret", "--clock", clock, "--trace", "\(kinds)=\(file)")
            #expect(result.status == 7, "\(result.errors)")
            #expect(result.errors.isEmpty)
            return try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n").map {
                $0.trimmingCharacters(in: .whitespaces)
            }
        }
    }

    @Test func everyKindHasItsLine() throws {
        #expect(
            try trace("all") == [
                "3 cpu0 0000:7c0e real/0 port out 0x80.1 = 0x42",
                "5 cpu0 0000:7c16 real/0 msr read 0x1b = 0xfee00900",
                "8 cpu0 0000:7c1d real/0 cr CR0 0x60000010 -> 0x60000012",
                "9 cpu0 0000:7c20 real/0 interrupt INT 0x21",
                "10 cpu0 0000:7c25 real/0 exception #UD",
                "11 cpu0 0000:7c29 real/0 port out 0xf4.1 = 0x7",
            ])
    }

    @Test func onlyWhatIsAskedFor() throws {
        #expect(
            try trace("msr,exceptions") == [
                "5 cpu0 0000:7c16 real/0 msr read 0x1b = 0xfee00900", "10 cpu0 0000:7c25 real/0 exception #UD",
            ])
    }

    @Test func instructionsWithBytesAndChanges() throws {
        let lines = try trace("instructions,port")
        #expect(lines.count == 12 + 2)
        #expect(
            lines[2...5] == [
                "2 cpu0 0000:7c0c real/0 instruction b0 42 rax=0x42",
                "3 cpu0 0000:7c0e real/0 port out 0x80.1 = 0x42",
                "3 cpu0 0000:7c0e real/0 instruction e6 80",
                "4 cpu0 0000:7c10 real/0 instruction 66 b9 1b 00 00 00 rcx=0x1b",
            ])
        #expect(!lines.contains { $0.hasSuffix("0f 0b") }, "UD2 does not retire")
    }

    @Test func modesAndAddresses() throws {
        try withTemporaryFolder { folder in
            let file = folder + "/trace"
            #expect(try run("run", "tour", "--clock", "instructions", "--trace", "all=" + file).status == 0)
            let text = try String(contentsOfFile: file, encoding: .utf8)
            #expect(text.contains(#/long\/0 exception #PF error=0x2 cr2=0x4000002008\n/#))
            #expect(text.contains(#/long\/3 exception #GP error=0x0\n/#))
            #expect(text.contains(#/real\/0 cr CR0 0x60000010 -> 0x60000011\n/#))
            #expect(text.contains(#/mmio write 0xfee000[0-9a-f]+\.4 = /#))
            #expect(text.contains(#/interrupt 0x[0-9a-f]+\n/#))
            #expect(text.hasSuffix("port out 0x604.2 = 0x3400\n"), "the last event is not lost")
        }
    }

    @Test func tracingChangesNothing() throws {
        try withTemporaryFolder { folder in
            let (plain, traced) = (folder + "/plain", folder + "/traced")
            let arguments = ["run", "strings", "--engine", "interpret", "--clock", "instructions", "--stats"]
            let reference = try run(arguments + [plain])
            let result = try run(arguments + [traced, "--trace", "all,instructions=" + folder + "/trace"])
            #expect(result.output == reference.output)
            func counters(_ path: String) throws -> NSDictionary {
                let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
                let statistics = try #require(object as? [String: Any])
                var counters = try #require(statistics["counters"] as? [String: Any])
                // Each instruction is looked up on its own.
                counters["blocksDecoded"] = nil
                return counters as NSDictionary
            }
            #expect(try counters(plain) == counters(traced))
        }
    }

    // MARK: Mistakes

    @Test func fullDisk() throws {
        let result = try run("run", "tour", "--engine", "interpret", "--trace", "instructions=/dev/full")
        #expect(result.status == 125)
        #expect(result.errors.contains("trapeze: trace /dev/full: no space left on device"))
        #expect(result.output.contains("power off"), "the run goes on")
    }

    @Test(arguments: [
        ("port=/nonexistent/file", "trace /nonexistent/file: no such file or directory"),
        ("ports", "unknown kind 'ports' (did you mean 'port'?)"), ("port=", "after = comes a file's name"),
        ("", "unknown kind ''"),
    ])
    func badValue(value: String, message: String) throws {
        let result = try run("run", "tour", "--engine", "interpret", "--trace", value)
        #expect(result.status == 125)
        #expect(result.errorLines.count == 1)
        #expect(result.errors.contains(message), "\(result.errors)")
    }
}

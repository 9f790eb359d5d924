// Registers and memory as GDB sees them, in every mode.

import Foundation
import Memory
import Testing
import VirtualCPU

@Suite struct RegisterTests {
    private static let efer: UInt32 = 0xc000_0080

    /// A state in 64-bit mode with page tables at 0x1000 that map linear 0 … 4 MiB to itself, and 0x4000_0000 to 0x5000.
    private static func long(_ memory: GuestMemory) throws -> CPUState {
        for (address, entry) in [
            (0x1000, 0x2007), (0x2000, 0x3007), (0x2008, 0x4005), (0x3000, 0x87), (0x4000, 0x6007), (0x6000, 0x5001),
        ] as [(UInt64, UInt64)] {
            try memory.writeInteger(entry, at: GuestPhysicalAddress(address))
        }
        var state = CPUState()
        (state.cr0, state.cr3, state.cr4) = (0x8000_0011, 0x1000, 0x620)
        state.msrs[efer] = 0x500
        state.segments[1] = SegmentState(selector: 8, base: 0, limit: .max, attributes: 0xa09b)
        (state.rip, state.gpr[0], state.gpr[8]) = (0xffff_ffff_8000_1234, 0x1122_3344_5566_7788, 8)
        return state
    }

    /// The registers of a description in the order of `g`: names and sizes in bytes.
    private func layout(_ debugger: FakeDebugger) throws -> [(name: String, bytes: Int)] {
        var text = ""
        while true {
            let part = try debugger.ask("qXfer:features:read:target.xml:\(String(text.utf8.count, radix: 16)),300")
            text += part.dropFirst()
            if part.hasPrefix("l") { break }
        }
        let document = try XMLCheck(text)
        return document.registers
    }

    @Test func descriptionsFitTheirRegisters() throws {
        for architecture in ["i386:x86-64", "i386", "i8086"] {
            let debugger = try FakeDebugger.attached()
            #expect(debugger.send("qRcmd," + hex("architecture \(architecture)")).last == "OK")
            let registers = try layout(debugger)
            #expect(Set(registers.map(\.name)).count == registers.count)
            #expect(registers.map(\.name).contains(architecture == "i386:x86-64" ? "r15" : "eip"))
            #expect(try debugger.ask("g").count == 2 * registers.reduce(0) { $0 + $1.bytes })
            for (number, register) in registers.enumerated() {
                #expect(
                    try debugger.ask("p" + String(number, radix: 16)).count == 2 * register.bytes, "\(register.name)")
            }
            #expect(try debugger.ask("p" + String(registers.count, radix: 16)) == "E01")
        }
    }

    /// What `g` gives, `G` takes and nothing changes; each register that can be written keeps what `P` wrote.
    @Test func writingBackChangesNothing() throws {
        let debugger = try FakeDebugger.attached()
        let state = try Self.long(debugger.machine.memory)
        debugger.machine.contents.withLock { $0.states[0] = state }
        let registers = try layout(debugger)
        let all = try debugger.ask("g")
        #expect(try debugger.ask("G" + all) == "OK")
        #expect(debugger.machine.contents.withLock { $0.states[0] } == state)
        #expect(try debugger.ask("G" + all.dropLast(2)) == "E01")
        let special: [String: String] = [
            "eflags": "d7080000", "fctrl": "7f020000", "fop": "23010000", "cr3": "0070000000000000",
            "cr8": "0500000000000000", "mxcsr": "a01f0000", "ftag": "f5ff0000",
        ]
        for (number, register) in registers.enumerated() {
            let name = register.name
            guard
                name.wholeMatch(of: /r..?|eflags|st.|fctrl|ftag|fop|fioff|xmm.*|ymm.*|mxcsr|cr[238]|.s_base|k_gs_base/)
                    != nil,
                !["cs_base", "ss_base", "ds_base", "es_base"].contains(name)
            else { continue }
            let value = special[name] ?? (0..<register.bytes).map { $0 < register.bytes / 2 ? "45" : "00" }.joined()
            #expect(try debugger.ask("P\(String(number, radix: 16))=\(value)") == "OK", "\(name)")
            // Tags follow from the registers' contents; the state keeps only which are empty.
            if name != "ftag" { #expect(try debugger.ask("p" + String(number, radix: 16)) == value, "\(name)") }
        }
    }

    @Test func theGuestsModeIsItsOwn() throws {
        let debugger = try FakeDebugger.attached()
        let state = try Self.long(debugger.machine.memory)
        debugger.machine.contents.withLock { $0.states[0] = state }
        let registers = try layout(debugger)
        func write(_ name: String, _ value: UInt64) throws -> String {
            let number = try #require(registers.firstIndex { $0.name == name })
            let bytes = (0..<registers[number].bytes).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
            let digits = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            return try debugger.ask("P\(String(number, radix: 16))=\(digits)")
        }
        #expect(try write("cr0", 0x11).hasPrefix("E.bits 0x80000000 of cr0"))
        #expect(try write("cr0", 0x8000_0019) == "OK")
        #expect(try write("efer", 0).hasPrefix("E.bits 0x500 of efer"))
        #expect(try write("cr4", 0x600).hasPrefix("E.bits 0x20 of cr4"))
        #expect(try write("cs", 0x10).hasPrefix("E."))
        #expect(try write("cs_base", 0x10).hasPrefix("E."))
        #expect(try write("cr8", 16) == "E.cr8 is 0 to 15")
        #expect(try write("rip", 1 << 63) == "E.the address is not canonical")
        #expect(try write("gs_base", 1 << 63) == "E.the address is not canonical")
        var expected = state
        expected.cr0 = 0x8000_0019
        #expect(debugger.machine.contents.withLock { $0.states[0] } == expected)
    }

    /// The program counter is a linear address; the upper halves of registers are out of sight and stay.
    @Test func realMode() throws {
        var state = CPUState()
        state.gpr[0] = 0xdead_beef_0000_0001
        let debugger = try FakeDebugger.attached([state])
        #expect(try debugger.ask("p10") == "f0ffffff00000000")
        #expect(try debugger.ask("p0") == "0100000000000000")
        #expect(try debugger.ask("P0=0200000000000000") == "OK")
        #expect(try debugger.ask("P10=e0ffffff00000000") == "OK")
        // A selector brings its base along.
        #expect(try debugger.ask("P14=34120000") == "OK")
        state.gpr[0] = 0xdead_beef_0000_0002
        state.rip = 0xffe0
        (state.segments[3].selector, state.segments[3].base) = (0x1234, 0x12340)
        #expect(debugger.machine.contents.withLock { $0.states[0] } == state)
    }

    /// The tag word of two bits for each register is made of the area's one bit and the contents.
    @Test func x87Tags() throws {
        var state = CPUState()
        state.xsave = [UInt8](repeating: 0, count: 832)
        state.xsave[512] = 1
        state.xsave[3] = 6 << 3  // TOP 6: ST(0) is R6, ST(1) R7, ST(2) R0
        state.xsave[4] = 0b1100_0001
        state.xsave.replaceSubrange(32..<42, with: [0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f])  // 1.0
        state.xsave.replaceSubrange(64..<74, with: [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0x7f])  // NaN
        let debugger = try FakeDebugger.attached([state])
        let number = try #require(try layout(debugger).firstIndex { $0.name == "ftag" })
        // R6 valid 0, R7 zero 1, R0 special 2, the others empty 3.
        #expect(try debugger.ask("p" + String(number, radix: 16)) == "fe4f0000")
    }

    // MARK: Memory

    @Test func memoryByLinearAddress() throws {
        let debugger = try FakeDebugger.attached()
        let memory = debugger.machine.memory
        let state = try Self.long(memory)
        debugger.machine.contents.withLock { $0.states[0] = state }
        try memory.write(Array("#$}*abc".utf8), at: GuestPhysicalAddress(0x5000))
        #expect(try debugger.ask("m40000000,7") == hex("#$}*abc"))
        #expect(try debugger.ask("x40000000,7") == "b}\u{3}}\u{4}}]}\u{a}abc")
        // Read-only pages and the supervisor's are open to a debugger.
        #expect(debugger.send(Array("X40000001,4:a}".utf8) + [0x5d] + Array("yz".utf8)) == ["OK"])
        #expect(try debugger.ask("M40000000,1:41") == "OK")
        #expect(try memory.read(at: GuestPhysicalAddress(0x5000), count: 6) == Array("Aa}yzb".utf8))
        // At the end of what is mapped there is less, beyond it nothing.
        #expect(try debugger.ask("m40000ffe,8") == "0000")
        #expect(try debugger.ask("m40001000,8") == "E14")
        #expect(try debugger.ask("M40000fff,2:4142") == "E14")
        #expect(try memory.read(at: GuestPhysicalAddress(0x5fff), count: 1) == [0])
        #expect(try debugger.ask("m8000000000000000,1") == "E14")
        // Mapped, but no memory: no device is touched.
        #expect(try debugger.ask("m1fffff,2") == "E14")
        #expect(try debugger.ask("m40000000,0") == "")
        #expect(try debugger.ask("mxyz,1") == "E01")
        #expect(try debugger.ask("M40000000,2:41") == "E01")
    }

    @Test func memoryWithoutPaging() throws {
        let debugger = try FakeDebugger.attached()
        try debugger.machine.memory.write([1, 2, 3], at: GuestPhysicalAddress(0x7c00))
        #expect(try debugger.ask("m7c00,3") == "010203")
        // Linear addresses have 32 bits.
        #expect(try debugger.ask("mffffffff00007c00,3") == "010203")
    }

    @Test func monitorCommands() throws {
        let debugger = try FakeDebugger.attached()
        func monitor(_ command: String) -> String {
            let answers = debugger.send("qRcmd," + hex(command))
            #expect(answers.last == "OK")
            return answers.dropLast().map { unhex($0.dropFirst()) }.joined()
        }
        #expect(monitor("translate 0x7c00").contains("paging is off"))
        #expect(monitor("vcpus") == "* vCPU 0: real-address mode, ring 0, running, at fffffff0\n")
        debugger.machine.contents.withLock { contents in
            do { contents.states[0] = try Self.long(debugger.machine.memory) } catch { Issue.record(error) }
        }
        let lines = monitor("translate 0x40000123").split(separator: "\n")
        #expect(lines.count == 6)
        #expect(lines[2] == "PDPTE at 0000000000002008  0000000000004005  P U/S")
        #expect(lines[5].hasPrefix("40000123 is at physical 5123, in a page of 4 KiB: read-only, supervisor"))
        #expect(monitor("translate 0x12345").contains("in a page of 2 MiB: writable, user, executable"))
        #expect(monitor("translate 0x40200000").contains("is not mapped"))
        #expect(monitor("translate 0x8000000000000000").contains("is not canonical"))
        #expect(monitor("physical 0x1000 8").hasPrefix("0000000000001000:  07 20 00 00 00 00 00 00 "))
        #expect(monitor("physical 0x10000000").contains("outside of memory"))
        #expect(monitor("registers").contains("64-bit mode, ring 0, running"))
        #expect(monitor("interrupts allow").contains("may lead"))
        #expect(monitor("nonsense").contains("monitor help"))
        let help = monitor("help")
        for command in ["vcpus", "registers", "translate", "physical", "interrupts", "architecture"] {
            #expect(help.contains("\n  \(command) ") || help.contains("\n  \(command)"))
        }
    }
}

/// The registers of a target description, found by a look at its text; elements must be balanced.
private struct XMLCheck {
    var registers: [(name: String, bytes: Int)] = []

    init(_ text: String) throws {
        var open: [Substring] = []
        for tag in text.matches(of: /<([^>]*)>/).map(\.output.1) where !tag.hasPrefix("?") && !tag.hasPrefix("!") {
            if tag.hasPrefix("/") {
                try #require(open.popLast() == tag.dropFirst())
            } else if !tag.hasSuffix("/") {
                open.append(tag.prefix { $0 != " " })
            }
            if let match = tag.firstMatch(of: /^reg name="(.*?)" bitsize="(\d+)"/), let bits = Int(match.output.2) {
                registers.append((String(match.output.1), bits / 8))
            }
        }
        try #require(open.isEmpty)
    }
}

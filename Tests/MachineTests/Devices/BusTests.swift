// The port bus and the MMIO bus: layout, overlaps, and how accesses are split.

import Machine
import Memory
import Testing
import VirtualCPU

/// Remembers accesses and answers with a pattern of offset and size.
private final class Probe: PortDevice, MMIODevice {
    var accesses: [[UInt64]] = []
    func readPort(_ offset: UInt16, size: Int) -> UInt32 { UInt32(readMMIO(UInt64(offset), size: size)) }
    func writePort(_ offset: UInt16, size: Int, value: UInt32) {
        writeMMIO(UInt64(offset), size: size, value: UInt64(value))
    }
    func readMMIO(_ offset: UInt64, size: Int) -> UInt64 {
        accesses.append([offset, UInt64(size)])
        return (0..<size).reduce(0) { $0 | (0x40 + offset + UInt64($1)) << UInt64($1 * 8) }
    }
    func writeMMIO(_ offset: UInt64, size: Int, value: UInt64) { accesses.append([offset, UInt64(size), value]) }
}

@Suite struct PortBusTests {
    @Test func overlapsAreRefusedByName() throws {
        let bus = PortBus()
        try bus.claim(0x3f8...0x3ff, name: "first", device: Probe())
        let error = #expect(throws: BusError.self) {
            try bus.claim(0x3ff...0x400, name: "second", device: Probe())
        }
        #expect(error?.description == "second (ports 0x3ff–0x400) would overlap first (ports 0x3f8–0x3ff)")
        try bus.claim(0x400...0x400, name: "third", device: Probe())
        #expect(throws: BusError.self) { try bus.claim(1...1, name: "none", sizes: [], device: Probe()) }
        #expect(throws: BusError.self) { try bus.claim(1...1, name: "wide", sizes: .qword, device: Probe()) }
        #expect(bus.layout == ["first (ports 0x3f8–0x3ff)", "third (ports 0x400–0x400)"])
    }

    @Test func oneDevicePerWidth() throws {
        let bus = PortBus()
        let (address, reset) = (Probe(), Probe())
        try bus.claim(0xcf8...0xcfb, name: "address", sizes: .dword, device: address)
        try bus.claim(0xcf9...0xcf9, name: "reset", device: reset)
        #expect(throws: BusError.self) { try bus.claim(0xcf9...0xcf9, name: "other", device: Probe()) }
        bus.write(0xcf8, size: 4, value: 0x8000_0000)
        bus.write(0xcf9, size: 1, value: 6)
        bus.write(0xcf8, size: 2, value: 0x1234)
        #expect(address.accesses == [[0, 4, 0x8000_0000]])
        #expect(reset.accesses == [[0, 1, 6], [0, 1, 0x12]])
        #expect(bus.read(0xcf8, size: 1) == 0xff)
    }

    @Test func wideAccessesAreSplit() throws {
        let bus = PortBus()
        let (bytes, words) = (Probe(), Probe())
        try bus.claim(0x10...0x13, name: "bytes", offset: 8, device: bytes)
        try bus.claim(0x20...0x23, name: "words", sizes: [.byte, .word], device: words)
        #expect(bus.read(0x10, size: 4) == 0x4b4a_4948)
        #expect(bytes.accesses == [[8, 1], [9, 1], [10, 1], [11, 1]])
        bus.write(0x20, size: 4, value: 0x1122_3344)
        #expect(words.accesses == [[0, 2, 0x3344], [2, 2, 0x1122]])
        #expect(bus.read(0x23, size: 2) == 0xff43, "half inside")
        #expect(bus.read(0x13, size: 4) == 0xffff_ff4b)
        #expect(bus.read(0xffff, size: 4) == 0xffff_ffff, "nothing wraps around to port 0")
        bus.write(0xfffe, size: 4, value: 1)
    }

    @Test func nobodyAnswersWithOnes() {
        let bus = PortBus()
        #expect(bus.read(0x1234, size: 1) == 0xff)
        #expect(bus.read(0x1234, size: 2) == 0xffff)
        #expect(bus.read(0x1234, size: 4) == 0xffff_ffff)
    }

    @Test func releasedPortsAreFree() throws {
        let bus = PortBus()
        try bus.claim(0x10...0x1f, name: "BAR", device: Probe())
        bus.release(name: "BAR")
        #expect(bus.read(0x10, size: 1) == 0xff)
        try bus.claim(0x18...0x27, name: "BAR", device: Probe())
        #expect(bus.read(0x18, size: 1) == 0x40)
    }
}

@Suite struct MMIOBusTests {
    @Test func overlapsAreRefusedByName() throws {
        let memory = try GuestMemory(size: 1 << 20)
        let bus = MMIOBus(memory: memory)
        try bus.claim(base: 0xc000_0000, size: 0x1000, name: "first", sizes: .dword, device: Probe())
        let error = #expect(throws: BusError.self) {
            try bus.claim(base: 0xbfff_f800, size: 0x801, name: "second", sizes: .dword, device: Probe())
        }
        #expect(error?.description == "second (0xbffff800–0xc0000000) would overlap first (0xc0000000–0xc0000fff)")
        let ram = #expect(throws: BusError.self) {
            try bus.claim(base: 0xf_fff0, size: 0x20, name: "third", sizes: .dword, device: Probe())
        }
        #expect(ram?.description == "third (0xffff0–0x10000f) would overlap RAM (0x0–0xfffff)")
        for (base, size) in [(UInt64.max, 2), (0xd000_0000, 0)] as [(UInt64, UInt64)] {
            #expect(throws: BusError.self) {
                try bus.claim(base: base, size: size, name: "bad", sizes: .dword, device: Probe())
            }
        }
        try bus.reserve(base: 0xfee0_0000, size: 0x10_0000, name: "kept")
        #expect(throws: BusError.self) {
            try bus.claim(base: 0xfee0_1000, size: 1, name: "fourth", sizes: .dword, device: Probe())
        }
        #expect(bus.read(0xfee0_0000, size: 4) == 0xffff_ffff)
    }

    @Test func accessesFindTheirDevice() throws {
        let bus = MMIOBus(memory: try GuestMemory(size: 1 << 20))
        let probes = (0..<5).map { _ in Probe() }
        for index in [3, 0, 4, 1, 2] {
            try bus.claim(
                base: 0xc000_0000 + UInt64(index) * 0x2000, size: 0x1000, name: "probe \(index)", sizes: .dword,
                device: probes[index])
        }
        for index in 0..<5 {
            #expect(bus.read(0xc000_0010 + UInt64(index) * 0x2000, size: 4) == 0x5352_5150)
            #expect(bus.read(0xc000_1010 + UInt64(index) * 0x2000, size: 4) == 0xffff_ffff)
            #expect(probes[index].accesses == [[0x10, 4]])
        }
        bus.write(0xc000_0008, size: 8, value: 0x1111_2222_3333_4444)
        #expect(probes[0].accesses.suffix(2) == [[8, 4, 0x3333_4444], [12, 4, 0x1111_2222]])
        #expect(bus.read(0xc000_0009, size: 2) == 0x4a49, "part of a register")
        #expect(bus.read(0xc000_0ffe, size: 4) & 0xffff_0000 == 0xffff_0000, "over the end")
        let before = probes[0].accesses.count
        bus.write(0xc000_0008, size: 1, value: 1)
        #expect(probes[0].accesses.count == before, "narrower than the register")
        #expect(bus.read(.max - 1, size: 8) == .max)
        bus.release(name: "probe 0")
        #expect(bus.read(0xc000_0000, size: 4) == 0xffff_ffff)
    }
}

@Suite struct MachineBusTests {
    @Test func countsAndForwards() throws {
        let rig = try Rig()
        rig.output(0x80, 0x55)
        #expect(rig.input(0x80) == 0x55)
        _ = rig.bus.readMMIO(0xd000_0000, size: 8)
        rig.bus.writeMMIO(0xd000_0000, size: 8, value: 0)
        rig.bus.endOfInterrupt(vector: 0x40)
        _ = rig.bus.acknowledgeInterrupt()
        var expected = BusCounters()
        expected.portReads = 1
        expected.portWrites = 1
        expected.mmioReads = 1
        expected.mmioWrites = 1
        expected.acknowledges = 1
        expected.endOfInterrupts = 1
        #expect(rig.bus.counters == expected)
        #expect(rig.bus.readPort(0x80, size: 3) == .max, "no such access")
    }
}

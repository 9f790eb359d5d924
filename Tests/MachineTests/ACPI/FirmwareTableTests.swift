// The firmware tables as an operating system finds them: by scanning memory, then by pointers and checksums alone.

import Machine
import Memory
import Testing
import VirtualCPU

@Suite struct FirmwareTableTests {
    /// A machine with tables in its memory.
    private func machine(processors: Int) throws -> Booted {
        try Booted(.flat(RawBootTests.code), size: 1 << 20, processors: processors)
    }

    /// Where `signature` stands on a 16-byte boundary of the BIOS area.
    private func scan(_ booted: Booted, for signature: String) throws -> UInt64 {
        let wanted = Array(signature.utf8)
        let found = try stride(from: UInt64(0xe0000), to: 0x10_0000, by: 16).filter {
            try booted.bytes($0, wanted.count) == wanted
        }
        try #require(found.count == 1)
        return found[0]
    }

    private func sum(_ bytes: [UInt8]) -> UInt8 { bytes.reduce(0, &+) }

    /// A whole table, its signature and checksum checked.
    private func table(_ booted: Booted, at address: UInt64, _ signature: String) throws -> [UInt8] {
        #expect(try booted.bytes(address, 4) == Array(signature.utf8))
        let bytes = try booted.bytes(address, Int(booted.integer(address + 4, UInt32.self)))
        #expect(sum(bytes) == 0)
        return bytes
    }

    @Test(arguments: [1, 2, 64, 254, 255, 256, 1024]) func areFoundByPointersFromTheRSDP(processors: Int) throws {
        let booted = try machine(processors: processors)
        let rsdp = try scan(booted, for: "RSD PTR ")
        #expect(rsdp >= 0xf0000)
        #expect(try sum(booted.bytes(rsdp, 20)) == 0 && sum(booted.bytes(rsdp, 36)) == 0)
        #expect(try booted.integer(rsdp + 15, UInt8.self) == 2)
        let xsdt = ByteReader(try table(booted, at: booted.integer(rsdp + 24), "XSDT"))
        let rsdt = ByteReader(try table(booted, at: UInt64(booted.integer(rsdp + 16, UInt32.self)), "RSDT"))
        let fadt = try #require(xsdt.integer(UInt64.self, at: 36))
        let madt = try #require(xsdt.integer(UInt64.self, at: 44))
        #expect(xsdt.bytes.count == 52 && rsdt.bytes.count == 44)
        #expect(rsdt.integer(UInt32.self, at: 36).map(UInt64.init) == fadt)
        #expect(rsdt.integer(UInt32.self, at: 40).map(UInt64.init) == madt)

        let fixed = ByteReader(try table(booted, at: fadt, "FACP"))
        #expect(fixed.bytes.count == 276)
        let dsdt = try #require(fixed.integer(UInt64.self, at: 140))
        #expect(fixed.integer(UInt32.self, at: 40).map(UInt64.init) == dsdt)
        _ = try table(booted, at: dsdt, "DSDT")
        let facs = UInt64(try #require(fixed.integer(UInt32.self, at: 36)))
        #expect(facs % 64 == 0 && facs >= 0xf0000)
        #expect(try booted.bytes(facs, 4) == Array("FACS".utf8))
        #expect(try processorIDs(in: table(booted, at: madt, "APIC")) == Array(0..<UInt32(processors)))
    }

    /// The IDs of enabled local APICs, the entries' lengths checked against the table's.
    private func processorIDs(in madt: [UInt8]) throws -> [UInt32] {
        let reader = ByteReader(madt)
        var ids: [UInt32] = []
        var at = 44
        while at < madt.count {
            switch madt[at] {
            case 0:
                #expect(madt[at + 2] == madt[at + 3] && reader.integer(UInt32.self, at: at + 4) == 1)
                ids.append(UInt32(madt[at + 3]))
            case 9:
                let id = try #require(reader.integer(UInt32.self, at: at + 4))
                #expect(reader.integer(UInt32.self, at: at + 8) == 1 && reader.integer(UInt32.self, at: at + 12) == id)
                ids.append(id)
            case 1:
                #expect(reader.integer(UInt32.self, at: at + 4) == 0xfec0_0000)
            case 2, 4, 10:
                break
            case let type:
                Issue.record("MADT entry type \(type)")
            }
            at += Int(try #require(madt[at + 1] > 0 ? madt[at + 1] : nil))
        }
        #expect(at == madt.count)
        return ids
    }

    @Test func describeTheFixedHardware() throws {
        let fadt = ByteReader(ByteWriter.fadt(facs: 0xf0000, dsdt: 0xe0000))
        #expect(fadt.integer(UInt16.self, at: 46) == 9)
        #expect(fadt.integer(UInt32.self, at: 48) == 0, "no SMI command port: ACPI mode from the start")
        for (offset, port): (Int, UInt32) in [(56, 0x600), (64, 0x604), (76, 0x608)] {
            #expect(fadt.integer(UInt32.self, at: offset) == port)
        }
        for (offset, port): (Int, UInt64) in [(116, 0xcf9), (148, 0x600), (172, 0x604), (208, 0x608)] {
            #expect(fadt.bytes[offset] == 1 && fadt.integer(UInt64.self, at: offset + 4) == port)
        }
        #expect(fadt.bytes[88] == 4 && fadt.bytes[89] == 2 && fadt.bytes[91] == 4)
        #expect(fadt.bytes[128] == 6 && fadt.bytes[108] == 0x32)
        // WBINVD, PROC_C1, SLP_BUTTON, FIX_RTC, TMR_VAL_EXT, RESET_REG_SUP; not PWR_BUTTON, not HW_REDUCED_ACPI.
        #expect(fadt.integer(UInt32.self, at: 112) == 0x565)
    }

    @Test func overrideTheTimerAndTheSCI() {
        let madt = ByteWriter.madt(processors: 1)
        #expect(Array(madt[64..<74]) == [2, 10, 0, 0, 2, 0, 0, 0, 0, 0])
        #expect(Array(madt[74..<84]) == [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0])
        #expect(Array(madt[84..<90]) == [4, 6, 0xff, 0, 0, 1])
        #expect(madt.count == 90)
    }

    @Test(arguments: [1, 4, 1024]) func includeAnMPTable(processors: Int) throws {
        let booted = try machine(processors: processors)
        let pointer = try scan(booted, for: "_MP_")
        #expect(try sum(booted.bytes(pointer, 16)) == 0)
        let address = UInt64(try booted.integer(pointer + 4, UInt32.self))
        let bytes = try booted.bytes(address, Int(booted.integer(address + 4, UInt16.self)))
        #expect(Array(bytes[..<4]) == Array("PCMP".utf8) && sum(bytes) == 0)
        let table = ByteReader(bytes)
        var ids: [UInt8] = []
        var pins: [UInt8: UInt8] = [:]
        var entries = 0
        var at = 44
        while at < bytes.count {
            let type = bytes[at]
            if type == 0 {
                ids.append(bytes[at + 1])
                #expect(bytes[at + 3] == (ids.count == 1 ? 3 : 1))
            }
            if type == 3 { pins[bytes[at + 5]] = bytes[at + 7] }
            at += type == 0 ? 20 : 8
            entries += 1
        }
        #expect(at == bytes.count && table.integer(UInt16.self, at: 34) == UInt16(entries))
        #expect(ids == (0..<UInt8(min(processors, 255))).map(\.self))
        #expect(pins.count == 15 && pins[0] == 2 && pins[2] == nil && pins[4] == 4)
    }

    @Test func areRefusedForMoreProcessorsThanThereIsRoomFor() throws {
        #expect(
            try bootError(.flat(RawBootTests.code), processors: 1025) == .tooManyProcessors(count: 1025, limit: 1024))
    }

    @Test func areInMemoryThatTheMapDoesNotCallUsable() throws {
        let tables = try FirmwareTables(processors: 1024)
        let usable = MemoryMap(size: 1 << 30).usable
        var taken: [Range<UInt64>] = []
        for table in tables.placed {
            let range = table.address..<table.address + UInt64(table.bytes.count)
            #expect(!usable.contains { $0.overlaps(range) } && !taken.contains { $0.overlaps(range) }, "\(table.name)")
            #expect(range.lowerBound >= 0xe0000 && range.upperBound <= 0x10_0000, "\(table.name)")
            taken.append(range)
        }
    }
}

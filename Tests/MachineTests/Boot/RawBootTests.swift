// Flat binaries, firmware, and the state in which both are entered.

import Machine
import Memory
import Testing
import VirtualCPU

@Suite struct RawBootTests {
    static let code = BootImage.bytes([0xfa, 0xf4, 0xeb, 0xfd], name: "code")

    @Test func entersABootSectorInRealMode() throws {
        let booted = try Booted(.flat(Self.code), size: 1 << 20)
        #expect(try booted.bytes(0x7c00, 4) == [0xfa, 0xf4, 0xeb, 0xfd])
        #expect(booted.cpu.rip == 0x7c00)
        #expect(booted.cpu.segments[1] == SegmentState(selector: 0, base: 0, attributes: 0x9b))
        #expect(booted.cpu.segments[2] == SegmentState() && booted.cpu.gpr[4] == 0x7c00)
        #expect(booted.cpu.cr0 & 1 == 0)

        let high = try Booted(.flat(Self.code, loadAddress: 0x2_3450, entry: 0x2_3451))
        #expect(high.cpu.segments[1].selector == 0x2000 && high.cpu.segments[1].base == 0x2_0000)
        #expect(high.cpu.rip == 0x3451)
    }

    @Test func entersInTheModeAskedFor() throws {
        let narrow = try Booted(.flat(Self.code, loadAddress: 0x10_0000, mode: .protected32))
        #expect(narrow.cpu.rip == 0x10_0000 && narrow.cpu.cr0 & 0x8000_0001 == 1)
        #expect(narrow.cpu.segments[1].attributes == 0xc09b)
        let wide = try Booted(.flat(Self.code, loadAddress: 0x1_0000, entry: 0x1_0002, mode: .long64))
        #expect(wide.cpu.rip == 0x1_0002 && wide.cpu.segments[1].attributes == 0xa09b)
        // The loader's own structures make way for the binary.
        #expect(try wide.bytes(0x1_0000, 4) == [0xfa, 0xf4, 0xeb, 0xfd])
        for structure in [wide.cpu.cr3, wide.cpu.gdtr.base] { #expect(structure >= 0x1_0004) }
        #expect(wide.cpu.gpr[4] % 16 == 0 && wide.cpu.gpr[4] > 0x1_0004)
    }

    @Test func entersAboveFourGiBInLongModeOnly() throws {
        #expect(try bootError(.flat(Self.code, loadAddress: 0x10_0000))?.description.contains("CPU mode") == true)
        let high = BootSource.flat(Self.code, loadAddress: 1 << 32, mode: .protected32)
        #expect(try bootError(high, size: 4 << 30)?.description.contains("CPU mode") == true)
    }

    @Test func mayCoverTheFirmwareTables() throws {
        let booted = try Booted(.flat(.bytes([UInt8](repeating: 5, count: 0x10_0000), name: "all"), loadAddress: 0))
        #expect(try booted.bytes(0, 0x10_0000).allSatisfy { $0 == 5 })
    }

    @Test func refusesFlatBinariesOutsideOfMemory() throws {
        for address: UInt64 in [64 << 20, (64 << 20) - 3, 0xc000_0000, 1 << 32, .max, .max - 3] {
            let error = try bootError(.flat(Self.code, loadAddress: address, mode: .long64))
            guard case .doesNotFit? = error else {
                Issue.record("\(address): \(String(describing: error))")
                continue
            }
        }
        let outside = try bootError(.flat(Self.code, loadAddress: 0x7c00, entry: 0x7c04))
        #expect(outside?.description == "code: cannot be booted: its entry 0x7c04 is outside of what is loaded")
    }

    @Test func leavesTheLocalAPICInVirtualWireMode() throws {
        let apic = try Booted(.flat(Self.code)).cpu.localAPIC
        #expect(apic.registers[0x0f] == 0x1ff && apic.registers[0x35] == 0x700 && apic.registers[0x36] == 0x400)
    }

    @Test(arguments: [16, 4096, 64 << 10, 100_000, 128 << 10, 256 << 10, 16 << 20])
    func mapsFirmwareBelow4GiBAndBelow1MiB(count: Int) throws {
        let image = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
        let booted = try Booted(.firmware(.bytes(image, name: "bios")), size: 4 << 20)
        #expect(booted.cpu == CPUState())
        #expect(try booted.bytes((1 << 32) - UInt64(count), count) == image)
        let shadow = min(count, 128 << 10)
        #expect(try booted.bytes(0x10_0000 - UInt64(shadow), shadow) == Array(image.suffix(shadow)))
        #expect(try booted.bytes(0x10_0000 - UInt64(shadow) - 1, 1) == [0], "no firmware tables beside firmware")
        #expect(booted.memory.regions.last?.readOnly == true)
    }

    @Test func refusesFirmwareOfImpossibleSizes() throws {
        let large = [UInt8](repeating: 0, count: (16 << 20) + 1)
        #expect(
            try bootError(.firmware(.bytes(large, name: "bios")))?.description
                == "bios: too large: 16777217 bytes, at most 16 MiB can be used")
        #expect(try bootError(.firmware(.bytes([1], name: "bios"))) != nil)
    }

    @Test(arguments: [4096, 0xff000]) func wantsAMebibyteOfMemory(size: UInt64) throws {
        for source in [BootSource.flat(Self.code), .firmware(Self.code), .kernel(Self.code)] {
            #expect(try bootError(source, size: size) == .memoryTooSmall(size: size))
        }
    }
}

// The PVH protocol and the ELF files that it loads.

import Machine
import Memory
import Testing
import VirtualCPU

@Suite struct PVHBootTests {
    @Test(arguments: [true, false]) func entersThroughTheNote(wide: Bool) throws {
        let initrd: [UInt8] = Array(1...200)
        let booted = try Booted(
            .kernel(
                bytes: makePVHKernel(wide: wide), modules: [BootModule(.bytes(initrd, name: "initrd"))],
                commandLine: "quiet"))
        let cpu = booted.cpu
        #expect(cpu.rip == 0x100_0050)
        #expect(cpu.cr0 == 0x11 && cpu.cr4 == 0 && cpu.rflags == 2)
        // Not on the way to long mode.
        #expect(cpu.msrs[0xc000_0080, default: 0] == 0)
        #expect(cpu.segments[1].attributes == 0xc09b && cpu.segments[2].attributes == 0xc093)
        #expect(cpu.segments[7].limit == 0x67)
        #expect(try booted.bytes(0x100_0000, 0x1000) == [UInt8](repeating: 0x90, count: 0x1000))

        let info = cpu.gpr[3]
        #expect(try booted.integer(info, UInt32.self) == 0x336e_c578)
        #expect(try booted.integer(info + 4, UInt32.self) == 1)
        #expect(try booted.integer(info + 12, UInt32.self) == 1)
        let modules: UInt64 = try booted.integer(info + 16)
        let start: UInt64 = try booted.integer(modules)
        #expect(start == (64 << 20) - 4096)
        #expect(try booted.integer(modules + 8, UInt64.self) == 200)
        #expect(try booted.bytes(start, 200) == initrd)
        #expect(try booted.string(booted.integer(info + 24)) == "quiet")
        #expect(try booted.bytes(booted.integer(info + 32), 8) == Array("RSD PTR ".utf8))
        let map: UInt64 = try booted.integer(info + 40)
        #expect(try booted.integer(info + 48, UInt32.self) == 7)
        #expect(try booted.integer(map + 4 * 24, UInt64.self) == 0x10_0000)
        #expect(try booted.integer(map + 4 * 24 + 8, UInt64.self) == 63 << 20)
        #expect(try booted.integer(map + 4 * 24 + 16, UInt32.self) == 1)
    }

    @Test func hasNoModuleListWithoutAnInitrd() throws {
        let booted = try Booted(.kernel(bytes: makePVHKernel()))
        #expect(try booted.integer(booted.cpu.gpr[3] + 12, UInt32.self) == 0)
        #expect(try booted.integer(booted.cpu.gpr[3] + 16, UInt64.self) == 0)
    }

    @Test func refusesSegmentsThatDoNotFit() throws {
        let code = Segment(physical: 0x100_0000, contents: [UInt8](repeating: 0x90, count: 0x1000))
        let note = Segment(
            type: 4, physical: 0, contents: makeXenNote(type: 18, ByteWriter.bytes(of: UInt32(0x100_0000))))
        func error(_ segment: Segment) throws -> String? {
            try bootError(.kernel(bytes: makeELF(entry: 0x100_0000, [note, code, segment])))?.description
        }
        let page = [UInt8](repeating: 1, count: 0x1000)
        #expect(try error(Segment(physical: 0x200_0000, contents: page)) == nil)
        for (what, segment) in [
            ("no free RAM", Segment(physical: 0x100_0fff, contents: page)),
            ("no free RAM", Segment(physical: 0x200_0000, contents: page, memorySize: 1 << 40)),
            ("no free RAM", Segment(physical: 0x3ff_f001, contents: page)),
            ("no free RAM", Segment(physical: 0x9_f800, contents: page)),
            ("no free RAM", Segment(physical: 0x400, contents: page)),
            ("impossible sizes", Segment(physical: .max - 5, contents: page)),
            ("impossible sizes", Segment(physical: 0x200_0000, contents: page, memorySize: 0xfff)),
            ("beyond the end", Segment(physical: 0x200_0000, contents: page, fileSize: 1 << 40)),
            ("beyond the end", Segment(offset: .max, physical: 0x200_0000, contents: page)),
        ] {
            #expect(try error(segment)?.contains(what) == true, "\(segment.physical)")
        }
    }

    @Test func refusesAnEntryOutsideOfTheKernel() throws {
        let code = Segment(physical: 0x100_0000, contents: [UInt8](repeating: 0x90, count: 0x1000))
        for entry in [0, 0xff_ffff, 0x100_1000] as [UInt32] {
            let note = Segment(type: 4, physical: 0, contents: makeXenNote(type: 18, ByteWriter.bytes(of: entry)))
            let error = try bootError(.kernel(bytes: makeELF(entry: 0, [code, note])))
            #expect(error == .unsupported(file: "kernel", reason: "its PVH entry is outside of what it loads"))
        }
    }

    @Test func saysWhatAnELFFileLacks() throws {
        let code = Segment(physical: 0x100_0000, contents: [UInt8](repeating: 0x90, count: 0x1000))
        #expect(
            try bootError(.kernel(bytes: makeELF(entry: 0x100_0000, [code])))?.description
                == "kernel: not a kernel that Trapeze knows (bzImage, PVH ELF, Multiboot): "
                + "an ELF file without a PVH note or a Multiboot header")
    }

    @Test func namesTheReasonForEveryTruncation() throws {
        let file = makePVHKernel()
        for count in 4..<file.count {
            guard case .truncated(file: "kernel", _)? = try bootError(.kernel(bytes: Array(file[..<count]))) else {
                Issue.record("\(count) bytes")
                return
            }
        }
    }

    @Test func limitsTheCommandLineToWhatLinuxKeeps() throws {
        let error = try bootError(.kernel(bytes: makePVHKernel(), commandLine: String(repeating: "x", count: 2048)))
        #expect(error == .commandLineTooLong(count: 2048, limit: 2047))
    }
}

// Multiboot 1 in its two forms.

import Machine
import Memory
import Testing
import VirtualCPU

@Suite struct MultibootTests {
    @Test func loadsByTheHeadersAddresses() throws {
        let modules = [
            BootModule(.bytes([1, 2, 3], name: "first"), text: "first with arguments"),
            BootModule(.bytes([UInt8](repeating: 7, count: 5000), name: "second")),
        ]
        let file = makeMultibootKernel()
        let booted = try Booted(.kernel(bytes: file, modules: modules, commandLine: "one two"))
        let cpu = booted.cpu
        #expect(cpu.rip == 0x10_0020)
        #expect(cpu.gpr[0] == 0x2bad_b002)
        #expect(cpu.cr0 & 0x8000_0001 == 1)
        #expect(cpu.segments[1].selector == 0x08 && cpu.segments[3].selector == 0x10)
        #expect(try booted.integer(cpu.gdtr.base + 0x08, UInt64.self) == 0x00cf_9b00_0000_ffff)
        #expect(try booted.integer(cpu.gdtr.base + 0x10, UInt64.self) == 0x00cf_9300_0000_ffff)
        #expect(cpu.gdtr.limit == 0x17)
        #expect(try booted.bytes(0x10_0000, 0x1000) == file)

        let info = cpu.gpr[3]
        func field(_ offset: UInt64) throws -> UInt64 { UInt64(try booted.integer(info + offset, UInt32.self)) }
        #expect(try field(0) == 0x24d)
        #expect(try field(4) == 639)
        #expect(try field(8) == 63 << 10)
        #expect(try booted.string(field(16)) == "kernel one two")
        #expect(try booted.string(field(64)) == "Trapeze")
        #expect(try field(20) == 2)
        // Modules follow the kernel and its .bss, on page boundaries and without sharing pages.
        let list = try field(24)
        func module(_ offset: UInt64) throws -> UInt64 { UInt64(try booted.integer(list + offset, UInt32.self)) }
        #expect(try [module(0), module(4)] == [0x10_5000, 0x10_5003])
        #expect(try [module(16), module(20)] == [0x10_6000, 0x10_7388])
        #expect(try booted.string(module(8)) == "first with arguments")
        #expect(try booted.string(module(24)) == "second")
        #expect(try booted.bytes(0x10_5000, 3) == [1, 2, 3])

        let (length, map) = (try field(44), try field(48))
        #expect(length == 7 * 24)
        #expect(try booted.integer(map, UInt32.self) == 20)
        #expect(try booted.integer(map + 4, UInt64.self) == 0)
        #expect(try booted.integer(map + 12, UInt64.self) == 0x9fc00)
        #expect(try booted.integer(map + 20, UInt32.self) == 1)
    }

    @Test func leavesABIOSesInterrupts() throws {
        let booted = try Booted(.kernel(bytes: makeMultibootKernel()))
        func handler(_ vector: UInt64) throws -> [UInt8] {
            let entry = try booted.integer(vector * 4, UInt32.self)
            return try booted.bytes(UInt64(((entry >> 16) << 4) + (entry & 0xffff)), 9)
        }
        #expect(try handler(0x21).first == 0xcf, "IRET")
        #expect(try handler(0x08)[6...] == [0x66, 0xff, 0x06], "counts ticks")
        #expect(try handler(0x09) == [0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf, 0x50, 0xb0], "EOI to the primary PIC")
        #expect(try handler(0x77) == [0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf], "EOI to both")
    }

    @Test(arguments: [true, false]) func loadsELFAndTranslatesItsEntry(wide: Bool) throws {
        let code = makeMultibootHeader(flags: 3) + [UInt8](repeating: 0xf4, count: 100)
        let segment = Segment(
            virtual: wide ? 0xffff_ffff_8010_0000 : 0xc010_0000, physical: 0x10_0000, contents: code,
            memorySize: 0x2000)
        let virtualEntry = (segment.virtual ?? 0) + 0x0c
        #expect(try Booted(.kernel(bytes: makeELF(wide: wide, entry: virtualEntry, [segment]))).cpu.rip == 0x10_000c)
        #expect(try Booted(.kernel(bytes: makeELF(wide: wide, entry: 0x10_000c, [segment]))).cpu.rip == 0x10_000c)
        let error = try bootError(.kernel(bytes: makeELF(wide: wide, entry: 0x20_0000, [segment])))
        #expect(error?.description == "kernel: cannot be booted: its entry 0x200000 is outside of what it loads")
    }

    @Test func loadsTheWholeFileWithoutALoadEnd() throws {
        let prefix = [UInt8](repeating: 0x11, count: 64)
        let header = makeMultibootHeader(flags: 0x1_0000, [0x20_0040, 0x20_0020, 0, 0, 0x20_0020])
        let file = prefix + header + [9, 8, 7]
        let booted = try Booted(.kernel(bytes: file))
        #expect(try booted.bytes(0x20_0020, file.count - 32) == Array(file[32...]))
        #expect(try booted.integer(booted.cpu.gpr[3] + 20, UInt32.self) == 0)
    }

    @Test func refusesWhatItDoesNotUnderstand() throws {
        let addresses: [UInt32] = [0x10_0000, 0x10_0000, 0x10_0030, 0, 0x10_0020]
        func error(_ flags: UInt32, _ addresses: [UInt32]) throws -> String {
            let file = makeMultibootHeader(flags: flags, addresses) + [UInt8](repeating: 0, count: 64)
            return try bootError(.kernel(bytes: file))?.description ?? ""
        }
        #expect(try error(0x1_0000, addresses) == "")
        #expect(try error(0xfffe_0000 | 0x1_0000, addresses) == "", "bits 17 to 31 are no requirements")
        #expect(try error(0x1_0004, addresses).contains("video mode"))
        for bit in 3..<16 as Range<UInt32> {
            #expect(try error(0x1_0000 | 1 << bit, addresses).contains("unknown requirements"))
        }
        #expect(try error(0, []).contains("no ELF file"))
        #expect(try error(0x1_0000, [0x10_0000, 0x10_0004, 0, 0, 0]).contains("load_addr"))
        #expect(try error(0x1_0000, [0x10_0010, 0x10_0000, 0, 0, 0]).contains("load_addr"))
        #expect(try error(0x1_0000, [0x10_0000, 0x10_0000, 0x10_0000, 0, 0]).contains("load_end_addr"))
        #expect(try error(0x1_0000, [0x10_0000, 0x10_0000, 0x10_0030, 0x10_0020, 0]).contains("bss_end_addr"))
        #expect(try error(0x1_0000, [0x10_0000, 0x10_0000, 0x10_1000, 0, 0x10_0000]).contains("truncated"))
        #expect(try error(0x1_0000, [0x10_0000, 0x10_0000, 0, 0xffff_ffff, 0x10_0000]).contains("does not fit"))
        #expect(try error(0x1_0000, [0xffff_fff0, 0xffff_fff0, 0, 0, 0xffff_fff0]).contains("does not fit"))
        #expect(try error(0x1_0000, [0xf_0000, 0xf_0000, 0, 0, 0xf_0000]).contains("does not fit"))
        #expect(try error(0x1_0000, [0x10_0000, 0x10_0000, 0x10_0030, 0, 0x10_0030]).contains("its entry"))
    }

    @Test func findsTheHeaderOnlyInTheFirst8KiB() throws {
        func file(at offset: Int) -> [UInt8] {
            let base: UInt32 = 0x10_0000
            let header = makeMultibootHeader(flags: 0x1_0000, [base + UInt32(offset), base, 0, 0, base])
            return [UInt8](repeating: 0, count: offset) + header + [0]
        }
        #expect(try bootError(.kernel(bytes: file(at: 8192 - 32))) == nil)
        #expect(try bootError(.kernel(bytes: file(at: 8192 - 28))) != nil)
        #expect(try bootError(.kernel(bytes: file(at: 8192))) == .notAKernel(file: "kernel", reason: nil))
        #expect(try bootError(.kernel(bytes: file(at: 30))) == .notAKernel(file: "kernel", reason: nil))
    }

    @Test func saysWhichModuleDoesNotFit() throws {
        let module = BootModule(.bytes([UInt8](repeating: 0, count: 4 << 20), name: "big"))
        #expect(
            try bootError(.kernel(bytes: makeMultibootKernel(), modules: [module]), size: 4 << 20)
                == .moduleDoesNotFit(file: "big", size: 4 << 20, memory: 4 << 20))
    }
}

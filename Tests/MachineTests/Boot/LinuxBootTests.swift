// The 64-bit Linux boot protocol, on made-up bzImages.

import Machine
import Memory
import Testing
import VirtualCPU

@Suite struct LinuxBootTests {
    typealias Field = LinuxSetupHeader.Field

    @Test func entersTheKernelAtItsPreferredAddress() throws {
        let file = makeBzImage()
        let booted = try Booted(.kernel(bytes: file, commandLine: "console=ttyS0 quiet"))
        #expect(booted.cpu.rip == 0x100_0200)
        #expect(try booted.bytes(0x100_0000, 0x4000) == Array(file[1536...]))

        let page = booted.cpu.gpr[6]
        #expect(page % 4096 == 0)
        // The header is copied from 0x1f1 on, apart from what the loader fills in.
        #expect(try booted.bytes(page + 0x1fe, 0x12) == Array(file[0x1fe..<0x210]))
        #expect(try booted.bytes(page + 0x22c, 0x24) == Array(file[0x22c..<0x250]))
        #expect(try booted.integer(page + 0x1ef, UInt8.self) == 0, "the sentinel")
        #expect(try booted.integer(page + 0x210, UInt8.self) == 0xff)
        #expect(try booted.integer(page + 0x214, UInt32.self) == 0x100_0000)
        #expect(try booted.integer(page + 0x1fa, UInt16.self) == 0xffff)
        let line: UInt32 = try booted.integer(page + 0x228)
        #expect(try booted.string(UInt64(line)) == "console=ttyS0 quiet")
        #expect(try booted.integer(page + 0x218, UInt64.self) == 0, "no initrd")
        #expect(try booted.integer(page + 0x250, UInt64.self) == 0, "no seed")
        let rsdp: UInt64 = try booted.integer(page + 0x70)
        #expect(try booted.bytes(rsdp, 8) == Array("RSD PTR ".utf8))
    }

    @Test func listsMemoryInE820() throws {
        let booted = try Booted(.kernel(bytes: makeBzImage()), size: 5 << 30)
        let page = booted.cpu.gpr[6]
        let count: UInt8 = try booted.integer(page + 0x1e8)
        let entries = try (0..<UInt64(count)).map { index in
            let entry = page + 0x2d0 + 20 * index
            return [
                try booted.integer(entry, UInt64.self), try booted.integer(entry + 8, UInt64.self),
                UInt64(try booted.integer(entry + 16, UInt32.self)),
            ]
        }
        #expect(
            entries == [
                [0, 0x9fc00, 1], [0x9fc00, 0x400, 2], [0xe0000, 0x10000, 3], [0xf0000, 0x10000, 2],
                [0x10_0000, 0xbff0_0000, 1], [0xfec0_0000, 0x1000, 2], [0xfee0_0000, 0x1000, 2],
                [0x1_0000_0000, 2 << 30, 1],
            ])
    }

    @Test func entersInLongModeOnIdentityMappedPages() throws {
        let booted = try Booted(.kernel(bytes: makeBzImage()))
        let cpu = booted.cpu
        #expect(cpu.cr0 & 0x8000_0001 == 0x8000_0001 && cpu.cr4 & 0x20 != 0)
        #expect(cpu.msrs[0xc000_0080] == 0x500)
        #expect(cpu.rflags == 2)
        #expect(cpu.segments[1].selector == 0x10 && cpu.segments[1].attributes == 0xa09b)
        for index in [0, 2, 3] {
            #expect(cpu.segments[index].selector == 0x18 && cpu.segments[index].attributes == 0xc093)
            #expect(cpu.segments[index].base == 0 && cpu.segments[index].limit == .max)
        }
        #expect(try booted.integer(cpu.gdtr.base + 0x10, UInt64.self) == 0x00af_9b00_0000_ffff)
        #expect(try booted.integer(cpu.gdtr.base + 0x18, UInt64.self) == 0x00cf_9300_0000_ffff)
        #expect(cpu.gdtr.limit == 0x1f)

        for address: UInt64 in [0, 0x100_0200, 0x7fff_ffff, 0xfee0_0000, 0xffff_ffff] {
            #expect(try translate(address, in: booted) == address)
        }
        #expect(try translate(1 << 32, in: booted) == nil)
    }

    /// Walks the page tables as the CPU would, for present, writable entries.
    private func translate(_ address: UInt64, in booted: Booted) throws -> UInt64? {
        var table = booted.cpu.cr3
        for shift: UInt64 in [39, 30, 21] {
            let entry: UInt64 = try booted.integer(table + 8 * (address >> shift & 0x1ff))
            guard entry & 3 == 3 else { return nil }
            table = entry & 0x000f_ffff_ffff_f000
            if entry & 0x80 != 0 { return table | address & ((1 << shift) - 1) }
        }
        return nil
    }

    @Test func putsTheInitrdAsHighAsItMayBe() throws {
        let initrd = (0..<5000).map { UInt8(truncatingIfNeeded: $0) }
        let module = BootModule(.bytes(initrd, name: "initrd"))
        for (size, end): (UInt64, UInt64) in [(64 << 20, 64 << 20), (3 << 30, 0x8000_0000), (6 << 30, 0x8000_0000)] {
            let booted = try Booted(.kernel(bytes: makeBzImage(), modules: [module]), size: size)
            let page = booted.cpu.gpr[6]
            let start = UInt64(try booted.integer(page + 0x218, UInt32.self))
            #expect(start == end - 8192)
            #expect(try booted.integer(page + 0x21c, UInt32.self) == 5000)
            #expect(try booted.bytes(start, 5000) == initrd)
        }
    }

    @Test func goesAbove4GiBOnlyWhereTheKernelAllowsIt() throws {
        let module = BootModule(.bytes([UInt8](repeating: 1, count: 0x1000), name: "initrd"))
        // An initrd limit below the first megabyte leaves no room underneath.
        let allowed = makeBzImage { $0.put(UInt32(0xfffff), at: Field.initrdAddrMax) }
        let booted = try Booted(.kernel(bytes: allowed, modules: [module]), size: 5 << 30)
        let page = booted.cpu.gpr[6]
        let low: UInt32 = try booted.integer(page + 0x218)
        let high: UInt32 = try booted.integer(page + 0x0c0)
        #expect(UInt64(high) << 32 | UInt64(low) == (6 << 30) - 0x1000)

        let forbidden = makeBzImage {
            $0.put(UInt32(0xfffff), at: Field.initrdAddrMax)
            $0.put(UInt16(1), at: Field.xloadflags)
        }
        #expect(
            try bootError(.kernel(bytes: forbidden, modules: [module]), size: 5 << 30)
                == .moduleDoesNotFit(file: "initrd", size: 0x1000, memory: 5 << 30))
    }

    @Test func handsOverARandomSeed() throws {
        let seed: [UInt8] = Array(1...32)
        let booted = try Booted(.kernel(bytes: makeBzImage()), randomSeed: seed)
        let data: UInt64 = try booted.integer(booted.cpu.gpr[6] + 0x250)
        #expect(try booted.integer(data, UInt64.self) == 0)
        #expect(try booted.integer(data + 8, UInt32.self) == 9)
        #expect(try booted.integer(data + 12, UInt32.self) == 32)
        #expect(try booted.bytes(data + 16, 32) == seed)
    }

    @Test func movesARelocatableKernelPastWhatIsTaken() throws {
        // The preferred address lies in the hole between 3 and 4 GiB: only relocation upwards could help, and above 4 GiB
        // the kernel would not be mapped.
        let high = makeBzImage(prefAddress: 0xc000_0000)
        #expect(try bootError(.kernel(bytes: high), size: 5 << 30) != nil)
        let low = makeBzImage(prefAddress: 0xf_0000)
        #expect(try Booted(.kernel(bytes: low)).cpu.rip == 0x20_0200)
        let fixed = makeBzImage(prefAddress: 0xf_0000) { $0.put(UInt8(0), at: Field.relocatableKernel) }
        #expect(try bootError(.kernel(bytes: fixed)) != nil)
    }

    @Test func takesACommandLineUpToTheKernelsLimit() throws {
        let file = makeBzImage(commandLineSize: 100)
        _ = try Booted(.kernel(bytes: file, commandLine: String(repeating: "a", count: 100)))
        let error = try bootError(.kernel(bytes: file, commandLine: String(repeating: "a", count: 101)))
        #expect(error == .commandLineTooLong(count: 101, limit: 100))
        #expect(try bootError(.kernel(bytes: file, commandLine: "a\0b")) == .commandLineHasNUL)
    }

    @Test func refusesKernelsThatItCannotEnter() throws {
        let old = makeBzImage { $0.put(UInt16(0x20b), at: Field.version) }
        #expect(try bootError(.kernel(bytes: old))?.description.contains("boot protocol 2.11") == true)
        let empty = makeBzImage(payload: 0x200)
        #expect(try bootError(.kernel(bytes: empty))?.description.contains("no room for the kernel's entry") == true)
        let module = BootModule(.bytes([1], name: "i"))
        #expect(try bootError(.kernel(bytes: makeBzImage(), modules: [module, module])) == .oneInitrdOnly(count: 2))
    }

    /// Without a 64-bit entry, by the 32-bit protocol: at the start, flat, without paging, ESI at the zero page.
    @Test func entersA32BitKernel() throws {
        let kernel = makeBzImage { $0.put(UInt16(0), at: Field.xloadflags) }
        let cpu = try Booted(.kernel(bytes: kernel)).cpu
        #expect(cpu.rip == 0x100_0000 && cpu.cr0 == 0x11 && cpu.cr4 == 0)
        #expect(cpu.segments[1].selector == 0x10 && cpu.segments[1].attributes == 0xc09b)
        #expect(cpu.segments[3].selector == 0x18 && cpu.segments[3].attributes == 0xc093)
        let booted = try Booted(.kernel(bytes: kernel, commandLine: "a b"))
        let line: UInt32 = try booted.integer(booted.cpu.gpr[6] + 0x228)
        #expect(try booted.bytes(UInt64(line), 4) == Array("a b\0".utf8))
        for register in [3, 5, 7] { #expect(booted.cpu.gpr[register] == 0) }
    }

    @Test func saysWhenMemoryIsTooSmall() throws {
        let error = try bootError(.kernel(bytes: makeBzImage()), size: 16 << 20)
        #expect(error?.description.hasPrefix("kernel: does not fit in 16 MiB of guest memory: ") == true)
        let module = BootModule(.bytes([UInt8](repeating: 0, count: 60 << 20), name: "initrd"))
        #expect(
            try bootError(.kernel(bytes: makeBzImage(), modules: [module]))?.description
                == "initrd: 60 MiB do not fit in 64 MiB of guest memory beside the kernel")
        let uneven = BootModule(.bytes([UInt8](repeating: 0, count: 121 << 19), name: "initrd"))
        #expect(
            try bootError(.kernel(bytes: makeBzImage(), modules: [uneven]))?.description
                == "initrd: 60.5 MiB do not fit in 64 MiB of guest memory beside the kernel")
    }

    @Test func namesTheReasonForEveryTruncation() throws {
        let file = makeBzImage(payload: 0x400)
        // The header counts paragraphs: the last may be incomplete.
        for count in 0...file.count - 16 {
            let error = try bootError(.kernel(bytes: Array(file[..<count])))
            switch (count, error) {
            case (0, .empty(file: "kernel")?), (1..<0x206, .notAKernel(file: "kernel", reason: nil)?),
                (0x206..., .truncated(file: "kernel", reason: _)?):
                break
            default:
                Issue.record("\(count) bytes: \(String(describing: error))")
            }
        }
        for count in file.count - 15...file.count {
            #expect(try bootError(.kernel(bytes: Array(file[..<count]))) == nil)
        }
    }
}

// Code that tries to reach what is not the guest's, on the translator: pointers of every kind in every form of address, stack
// pointers and segment bases that are addresses of this very process, mappings that change under running code, devices as
// code and data, jumps into the middle of instructions, returns to where nobody called from. Every run must end as the
// interpreter's does, which forms host addresses from checked offsets only, and leave alone what is the host's.

import Foundation
import Testing
import Translator
import VirtualCPU
import X86

@Suite struct HostileTests {
    /// The interpreter and the translator on machines of their own.
    private struct Pair {
        let reference: HostileMachine
        let translated: HostileMachine

        init() throws {
            reference = try HostileMachine(InterpretEngine())
            translated = try HostileMachine(TranslateEngine(threshold: 0))
        }

        /// Runs code on both; the outcomes must be the same.
        @discardableResult
        func run(
            _ what: String, _ code: [UInt8], _ registers: [Int: UInt64] = [:], counted: Bool = false
        ) throws -> HostileMachine.Outcome {
            let expected = try reference.run(code, registers: registers, counted: counted)
            let actual = try translated.run(code, registers: registers, counted: counted)
            if expected != actual { Issue.record("\(what):\n\(actual.differences(from: expected))") }
            return actual
        }
    }

    private static let (rbx, rsi, rdi, r12, r13, r14) = (3, 6, 7, 12, 13, 14)

    /// Addresses in this process: of its mappings, their first and last bytes, and what lies just outside.
    private static func hostAddresses() throws -> [UInt64] {
        // Its size is not known before it is read.
        let file = try FileHandle(forReadingFrom: URL(filePath: "/proc/self/maps"))
        var bytes = Data()
        while let more = try file.read(upToCount: 1 << 16), !more.isEmpty { bytes += more }
        let maps = String(decoding: bytes, as: UTF8.self)
        let ranges = maps.split(separator: "\n").compactMap { line -> (UInt64, UInt64)? in
            let ends = line.prefix { $0 != " " }.split(separator: "-")
            guard ends.count == 2, let start = UInt64(ends[0], radix: 16), let end = UInt64(ends[1], radix: 16) else {
                return nil
            }
            return (start, end)
        }
        let step = max(1, ranges.count / 6)
        return stride(from: 0, to: ranges.count, by: step).flatMap { [ranges[$0].0, ranges[$0].1 - 8] }
    }

    /// Not canonical, about to wrap, at the ends of what is mapped.
    private static let addresses: [UInt64] = [
        0, 8, .max, .max - 7, .max - 31, 0x7fff_ffff_fff8, 0x7fff_ffff_ffff, 0x8000_0000_0000, 0xffff_7fff_ffff_fff9,
        0xffff_8000_0000_0000, 1 << 63, 1 << 48, 1 << 32, 0xffff_ffff, 0x8000_0000, 0x1f_fff8, 0x1f_ffff, 0x20_0000,
        HostileMachine.device, HostileMachine.device + 0x1f_fff9, HostileMachine.data + 0xffd,
        HostileMachine.data + 1, HostileMachine.code, 0x6000, 0x1000, 0x4000,
    ]

    // MARK: Pointers

    @Test func pointersOfEveryKindInEveryForm() throws {
        let pair = try Pair()
        // SAFETY: a page of this process whose contents must survive.
        let canary = UnsafeMutablePointer<UInt8>.allocate(capacity: 4096)
        canary.initialize(repeating: 0xa5, count: 4096)
        defer { canary.deallocate() }
        let own = UInt64(UInt(bitPattern: canary))
        let wild = try Self.addresses + Self.hostAddresses() + [own, own + 2048, own / 8]
        var faults = 0
        var runs = 0
        for (text, code) in HostileCode.pointers {
            for address in wild {
                let outcome = try pair.run(
                    "\(text) at \(String(address, radix: 16))", code, [Self.r14: address, Self.rsi: 0x10], counted: true
                )
                runs += 1
                if outcome.vector != nil { faults += 1 }
            }
        }
        #expect((0..<4096).allSatisfy { canary[$0] == 0xa5 })
        #expect(faults > runs / 4 && faults < runs, "\(faults) of \(runs) runs faulted")
    }

    @Test func stackPointersIntoTheHost() throws {
        let pair = try Pair()
        for (text, code) in HostileCode.stacks {
            for address in try Self.addresses + Self.hostAddresses() {
                try pair.run(
                    "\(text), RSP \(String(address, radix: 16))", code, [Self.r14: address, Self.rsi: 0x10],
                    counted: true)
            }
        }
    }

    @Test func segmentBasesIntoTheHost() throws {
        let pair = try Pair()
        // WRMSR of GS.base from RDI; then four times mov rax, gs:[rsi]; mov gs:[rsi + 8], rax; mov rax, gs:[rbx]; hlt
        let gs: [UInt8] = [
            0xb9, 0x01, 0x01, 0x00, 0xc0, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xfa, 0x48, 0xc1, 0xea, 0x20, 0x0f, 0x30, 0x41,
            0xbf, 0x04, 0x00, 0x00, 0x00, 0x65, 0x48, 0x8b, 0x06, 0x65, 0x48, 0x89, 0x46, 0x08, 0x65, 0x48, 0x8b, 0x03,
            0x41, 0xff, 0xcf, 0x75, 0xee, 0xf4,
        ]
        // WRMSR of KERNEL_GS_BASE; mov rax, gs:[rbx]; swapgs; mov rax, gs:[rsi]; hlt
        let swapgs: [UInt8] = [
            0xb9, 0x02, 0x01, 0x00, 0xc0, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xfa, 0x48, 0xc1, 0xea, 0x20, 0x0f, 0x30, 0x65,
            0x48, 0x8b, 0x03, 0x0f, 0x01, 0xf8, 0x65, 0x48, 0x8b, 0x06, 0xf4,
        ]
        // WRMSR of FS.base; four times add fs:[rsi], r15; vmovups ymm0, fs:[rsi]; push qword ptr fs:[rsi]; hlt
        let fs: [UInt8] = [
            0xb9, 0x00, 0x01, 0x00, 0xc0, 0x48, 0x89, 0xf8, 0x48, 0x89, 0xfa, 0x48, 0xc1, 0xea, 0x20, 0x0f, 0x30, 0x41,
            0xbf, 0x04, 0x00, 0x00, 0x00, 0x64, 0x4c, 0x01, 0x3e, 0x64, 0xc5, 0xfc, 0x10, 0x06, 0x64, 0xff, 0x36, 0x41,
            0xff, 0xcf, 0x75, 0xef, 0xf4,
        ]
        var completed = 0
        for base in try Self.addresses + Self.hostAddresses() {
            // Into the host, back to the guest's data, and past the end of the address space.
            for offset in [0, HostileMachine.data &- base, 0 &- base, UInt64.max &- base] {
                for (name, code) in [("gs", gs), ("swapgs", swapgs), ("fs", fs)] {
                    let outcome = try pair.run(
                        "\(name) base \(String(base, radix: 16)) + \(String(offset, radix: 16))", code,
                        [Self.rdi: base, Self.rsi: offset], counted: true)
                    if outcome.vector == nil, outcome.exit == .halted { completed += 1 }
                }
            }
        }
        // A base in the host with an offset that leads back is as good as any.
        #expect(completed > 0)
    }

    // MARK: Mappings

    private static func entry(_ linear: UInt64) -> UInt64 { HostileMachine.pageTable + (linear >> 12) * 8 }

    @Test func dataMappingsThatChange() throws {
        let pair = try Pair()
        let data = HostileMachine.data
        // Six times mov rax, [rbx]; add rbp, rax; the entry at [r12] and R13 change places; invlpg [rbx]; hlt
        try pair.run(
            "another page, INVLPG",
            [
                0x41, 0xbf, 0x06, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x03, 0x48, 0x01, 0xc5, 0x49, 0x8b, 0x0c, 0x24, 0x4c,
                0x87, 0xe9, 0x49, 0x89, 0x0c, 0x24, 0x0f, 0x01, 0x3b, 0x41, 0xff, 0xcf, 0x75, 0xe7, 0xf4,
            ], [Self.r12: Self.entry(data), Self.r13: (data + 0x3000) | 3])
        // Six times add qword ptr [rbx], 1; before the last round mov qword ptr [r12], 0; invlpg [rbx]
        let unmapped = try pair.run(
            "no page any more",
            [
                0x41, 0xbf, 0x06, 0x00, 0x00, 0x00, 0x48, 0x83, 0x03, 0x01, 0x41, 0x83, 0xff, 0x02, 0x75, 0x0b, 0x49,
                0xc7, 0x04, 0x24, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x01, 0x3b, 0x41, 0xff, 0xcf, 0x75, 0xe6, 0xf4,
            ], [Self.r12: Self.entry(data)])
        #expect(unmapped.vector == 14 && unmapped.state.cr2 == data)
        // The same with and qword ptr [r12], -3 (CR0.WP is set), and CR3 written.
        let readOnly = try pair.run(
            "read-only from now on",
            [
                0x41, 0xbf, 0x06, 0x00, 0x00, 0x00, 0x48, 0x83, 0x03, 0x01, 0x41, 0x83, 0xff, 0x02, 0x75, 0x0b, 0x49,
                0x83, 0x24, 0x24, 0xfd, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x41, 0xff, 0xcf, 0x75, 0xe6, 0xf4,
            ], [Self.r12: Self.entry(data)])
        #expect(readOnly.vector == 14 && readOnly.state.cr2 == data)
    }

    /// Without INVLPG a CPU may use the old mapping or the new one, and nothing else (SDM volume 3, section 4.10.4.3).
    @Test func mappingsThatChangeBehindTheTLB() throws {
        // Six times mov rax, [rbx]; add rbp, rax; mov [r12], r13; hlt
        let code: [UInt8] = [
            0x41, 0xbf, 0x06, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x03, 0x48, 0x01, 0xc5, 0x4d, 0x89, 0x2c, 0x24, 0x41, 0xff,
            0xcf, 0x75, 0xf1, 0xf4,
        ]
        let data = HostileMachine.data
        let registers = [Self.r12: Self.entry(data), Self.r13: (data + 0x3000) | 3, 5: 0]
        let outcome = try HostileMachine(TranslateEngine(threshold: 0)).run(code, registers: registers)
        func word(_ address: UInt64) -> UInt64 {
            (0..<8).reduce(0) { $0 | UInt64(outcome.memory[Int(address) + $1]) << UInt64(8 * $1) }
        }
        let (old, new) = (word(data), word(data + 0x3000))
        let possible = (1...6).map { old &* UInt64($0) &+ new &* UInt64(6 - $0) }
        #expect(old != new && outcome.exit == .halted && possible.contains(outcome.state.gpr[5]))
    }

    /// Page-table entries that lead out of memory, to devices and to the tables themselves.
    @Test func mappingsToNowhere() throws {
        let pair = try Pair()
        // Four times mov rax, [rbx]; mov [r12], r13; invlpg [rbx]; mov rax, [rbx]; mov [rbx + 8], rax; hlt
        let code: [UInt8] = [
            0x41, 0xbf, 0x04, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x03, 0x4d, 0x89, 0x2c, 0x24, 0x0f, 0x01, 0x3b, 0x48, 0x8b,
            0x03, 0x48, 0x89, 0x43, 0x08, 0x41, 0xff, 0xcf, 0x75, 0xea, 0xf4,
        ]
        var targets: [UInt64] = [
            0x20_0000, 0x4000_0000, 0xfee0_0000, 1 << 45, 0x3fff_ffff_f000, 1 << 46, 1 << 51, 0x4000,
        ]
        targets += try Self.hostAddresses().map { $0 & 0xf_ffff_ffff_f000 }
        for target in targets {
            for bits in [3, 1, 0x8000_0000_0000_0003, 0x83] as [UInt64] {
                try pair.run(
                    "a page at \(String(target, radix: 16)), bits \(String(bits, radix: 16))", code,
                    [Self.r12: Self.entry(HostileMachine.data), Self.r13: target | bits], counted: true)
            }
        }
    }

    @Test func codeMappingsThatChange() throws {
        let pair = try Pair()
        // mov eax, 1; ret in one page of data, mov eax, 2; ret in another, written by the code itself:
        // mov rax, R8; mov [rbx], rax; mov rax, R9; mov [rbx + 0x1000], rax
        let prologue: [UInt8] = [
            0x4c, 0x89, 0xc0, 0x48, 0x89, 0x03, 0x4c, 0x89, 0xc8, 0x48, 0x89, 0x83, 0x00, 0x10, 0x00, 0x00,
        ]
        // Eight times call rbx; add rbp, rax; the entry at [r12] and R13 change places; invlpg [rbx]; hlt
        let invlpg: [UInt8] = [
            0x41, 0xbf, 0x08, 0x00, 0x00, 0x00, 0xff, 0xd3, 0x48, 0x01, 0xc5, 0x49, 0x8b, 0x0c, 0x24, 0x4c, 0x87, 0xe9,
            0x49, 0x89, 0x0c, 0x24, 0x0f, 0x01, 0x3b, 0x41, 0xff, 0xcf, 0x75, 0xe8, 0xf4,
        ]
        // The same with mov rcx, cr3; mov cr3, rcx
        let cr3: [UInt8] = [
            0x41, 0xbf, 0x08, 0x00, 0x00, 0x00, 0xff, 0xd3, 0x48, 0x01, 0xc5, 0x49, 0x8b, 0x0c, 0x24, 0x4c, 0x87, 0xe9,
            0x49, 0x89, 0x0c, 0x24, 0x0f, 0x20, 0xd9, 0x0f, 0x22, 0xd9, 0x41, 0xff, 0xcf, 0x75, 0xe5, 0xf4,
        ]
        let data = HostileMachine.data
        let registers: [Int: UInt64] = [
            8: 0xc3_0000_0001_b8, 9: 0xc3_0000_0002_b8, 5: 0, Self.r12: Self.entry(data),
            Self.r13: (data + 0x1000) | 3,
        ]
        for (name, code) in [("INVLPG", invlpg), ("CR3", cr3)] {
            let outcome = try pair.run("code moves, \(name)", prologue + code, registers)
            #expect(outcome.state.gpr[5] == 12, "four times 1 and four times 2")
        }
        // mov qword ptr [r12], 0; invlpg [rip + 0]; nop; hlt: the page that runs goes away, and the next fetch faults
        // unless the block was fetched whole.
        let gone = try pair.run(
            "the page that runs goes",
            [0x49, 0xc7, 0x04, 0x24, 0, 0, 0, 0, 0x0f, 0x01, 0x3d, 0, 0, 0, 0, 0x90, 0xf4],
            [Self.r12: Self.entry(HostileMachine.code)])
        #expect(gone.vector == 14)
    }

    // MARK: Devices

    @Test func devicesAsDataAndAsCode() throws {
        let pair = try Pair()
        // fninit; four times loads, stores, locked, vector, stack and x87 accesses at [rbx]; then jmp rbx
        let code: [UInt8] = [
            0xdb, 0xe3, 0x41, 0xbf, 0x04, 0x00, 0x00, 0x00, 0x48, 0x8b, 0x04, 0x33, 0x48, 0x89, 0x43, 0x08, 0xf0, 0x48,
            0x01, 0x43,
            0x10, 0x0f, 0x10, 0x43, 0x20, 0x0f, 0x11, 0x43, 0x30, 0xff, 0x33, 0x8f, 0x43, 0x40, 0xdd, 0x03, 0xdd, 0x5b,
            0x08, 0x41, 0xff, 0xcf, 0x75, 0xdc, 0xff, 0xe3,
        ]
        for offset in [0, 0xff8, 0x1f_ff80] as [UInt64] {
            let outcome = try pair.run(
                "a device at \(String(offset, radix: 16))", code,
                [Self.rbx: HostileMachine.device + offset, Self.rsi: 0x18])
            // What a device gives an instruction fetch is no instruction.
            #expect(outcome.vector == 6)
        }
        // The stack is a device: push rax, pop, and an exception from there.
        for text in ["push rax", "pop rax", "call 2f; 2:"] {
            let code = try #require(HostileCode.stacks.first { $0.text == text }?.code)
            try pair.run("\(text) on a device", code, [Self.r14: HostileMachine.device + 0x100])
        }
    }

    // MARK: Control

    @Test func jumpsIntoTheMiddle() throws {
        let pair = try Pair()
        // Loops through mov rdx, imm64, whose immediate is code for a second reader: xor eax, eax; mov r15d, 5;
        // mov rdx, {inc rax; add al, -1; ret; nop}; lea rcx, [rip - 15] (the immediate); call rcx; dec r15d; jnz; hlt
        let within: [UInt8] = [
            0x31, 0xc0, 0x41, 0xbf, 0x05, 0x00, 0x00, 0x00, 0x48, 0xba, 0x48, 0xff, 0xc0, 0x04, 0xff, 0xc3, 0x90, 0x00,
            0x48, 0x8d, 0x0d, 0xf1, 0xff, 0xff, 0xff, 0xff, 0xd1, 0x41, 0xff, 0xcf, 0x75, 0xe8, 0xf4,
        ]
        let outcome = try pair.run("an immediate as code", within)
        #expect(outcome.vector == nil && outcome.state.gpr[15] == 0)
        // jmp into its own last byte, which with the next makes inc eax; then hlt
        let overlap = try pair.run("a jump into itself", [0xeb, 0xff, 0xc0, 0xf4], [0: 41])
        #expect(overlap.state.gpr[0] == 42)
        // Every start in a stretch of code with long instructions, for as long as it goes on.
        for start in 0..<within.count {
            try pair.run("from byte \(start)", [0xe9, UInt8(start), 0, 0, 0] + within, counted: true)
        }
    }

    /// Twice to an address that code is found at, and then to one that differs from it in RAX's bits.
    @Test func targetsThatAreNotCanonical() throws {
        let pair = try Pair()
        // mov r15d, 3; 1: lea rcx, [2f]; dec r15d; jnz 3f; xor rcx, rax; 3: jmp rcx; 2: test r15d, r15d; jnz 1b; hlt
        let code: [UInt8] = [
            0x41, 0xbf, 0x03, 0x00, 0x00, 0x00, 0x48, 0x8d, 0x0d, 0x0a, 0x00, 0x00, 0x00, 0x41, 0xff, 0xcf, 0x75, 0x03,
            0x48, 0x31, 0xc1, 0xff, 0xe1, 0x45, 0x85, 0xff, 0x75, 0xea, 0xf4,
        ]
        let target = HostileMachine.code + 23
        // Whatever tells modes and generations apart, and addresses that consist of it alone.
        var differences: [UInt64] = [target, 0x0010 << 48]
        for n in 0..<16 as Range<UInt64> { differences += [1 << (48 + n), target ^ 1 << (48 + n)] }
        for generation in 1...12 as ClosedRange<UInt64> {
            differences += [generation << 56, generation << 56 | 0x0010 << 48]
            for mode in [0x08, 0x18, 0x28] as [UInt64] { differences.append(target ^ (generation << 56 | mode << 48)) }
        }
        for difference in differences {
            let outcome = try pair.run("a jump to \(String(target ^ difference, radix: 16))", code, [0: difference])
            #expect(outcome.state.gpr[15] == 0)
            #expect(outcome.state.rip != HostileMachine.code + 29)
        }
    }

    @Test func returnsWithoutCalls() throws {
        let pair = try Pair()
        // 10,000 times push of the address of 1; ret; 1: inc rax; cmp rax, 10000; je; ret; hlt
        let deep = try pair.run(
            "more returns than calls",
            [
                0x41, 0xbf, 0x10, 0x27, 0x00, 0x00, 0x48, 0x8d, 0x0d, 0x07, 0x00, 0x00, 0x00, 0x51, 0x41, 0xff, 0xcf,
                0x75, 0xfa, 0xc3, 0x48, 0xff, 0xc0, 0x48, 0x3d, 0x10, 0x27, 0x00, 0x00, 0x74, 0x01, 0xc3, 0xf4,
            ], [0: 0, 4: 0x1f_0000])
        #expect(deep.state.gpr[0] == 10_000)
        // 20,000 times call to the next instruction; RSP starts over now and then
        let calls = try pair.run(
            "calls without returns",
            [
                0x41, 0xbf, 0x20, 0x4e, 0x00, 0x00, 0xe8, 0x00, 0x00, 0x00, 0x00, 0x41, 0xff, 0xcf, 0x75, 0x01, 0xf4,
                0x48, 0x39, 0xdc, 0x77, 0xf0, 0x4c, 0x89, 0xf4, 0xeb, 0xeb,
            ], [Self.rbx: HostileMachine.stack - 0x2000, Self.r14: HostileMachine.stack])
        #expect(calls.state.gpr[15] == 0)
        // 100 times a call whose return address is replaced: lea rcx, [rip + elsewhere]; mov [rsp], rcx; ret
        let elsewhere = try pair.run(
            "returns to elsewhere",
            [
                0x41, 0xbf, 0x64, 0x00, 0x00, 0x00, 0xe8, 0x0b, 0x00, 0x00, 0x00, 0xf4, 0x48, 0x83, 0xc0, 0x03, 0x41,
                0xff, 0xcf, 0x75, 0xf1, 0xf4, 0x48, 0x8d, 0x0d, 0xef, 0xff, 0xff, 0xff, 0x48, 0x89, 0x0c, 0x24, 0xc3,
            ], [0: 0])
        #expect(elsewhere.state.gpr[0] == 300)
    }
}

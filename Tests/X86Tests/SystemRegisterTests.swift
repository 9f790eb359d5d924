// CPUID by model, MSRs and control registers with their reserved bits, fast system calls, and ports.

import Testing
import VirtualCPU

@Suite struct SystemRegisterTests {
    // MARK: CPUID

    private func cpuid(_ leaf: UInt32, _ subleaf: UInt32 = 0, model: String) throws -> [UInt32] {
        let machine = try TrapMachine(.long64, model: model, code: movEAX(leaf) + movECX(subleaf) + [0x0f, 0xa2, 0xf4])
        let gpr = try machine.run().state.gpr
        return [gpr[0], gpr[3], gpr[1], gpr[2]].map { UInt32($0) }
    }

    @Test func levels() throws {
        // SSE3, SSSE3, CX16, SSE4.1, SSE4.2, POPCNT
        let v2: UInt32 = 1 << 0 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 23
        // FMA, MOVBE, XSAVE, AVX, F16C
        let v3: UInt32 = 1 << 12 | 1 << 22 | 1 << 26 | 1 << 28 | 1 << 29
        let host = try cpuid(1, model: "host")[2]
        #expect(try cpuid(1, model: "x86-64-v1")[2] & (v2 | v3) == 0)
        #expect(try cpuid(1, model: "x86-64-v2")[2] & (v2 | v3) == v2)
        #expect(try cpuid(1, model: "x86-64-v3")[2] & (v2 | v3) == (v2 | v3) & (host | v2))
        // FPU … SSE2 of the baseline
        for model in ["x86-64-v1", "x86-64-v2", "x86-64-v3", "host"] {
            #expect(try cpuid(1, model: model)[3] & 0x0780_8151 == 0x0780_8151)
            #expect(try cpuid(0x8000_0001, model: model)[3] & 0x2010_0800 == 0x2010_0800, "LM, NX, SYSCALL")
        }
    }

    @Test func namedModelsAreTheSameEverywhere() throws {
        // Family 6, model 50H: none that a program could take for a CPU with AVX-512.
        #expect(try cpuid(1, model: "x86-64-v3")[0] == 0x0005_0601)
        let leaf = try cpuid(0, model: "x86-64-v2")
        #expect([leaf[1], leaf[3], leaf[2]] == [0x756e_6547, 0x4965_6e69, 0x6c65_746e], "GenuineIntel")
        #expect(try cpuid(0x15, model: "x86-64-v2") == [1, 1, 1_000_000_000, 0])
        #expect(try cpuid(0x4000_0000, model: "x86-64-v2")[1...] == [0x7061_7254, 0x5465_7a65, 0x7a70_6172])
    }

    /// What was answered before does not hold any more: mov eax, 1; cpuid; mov esi, ecx; mov edi, edx; what is said; then the same
    /// leaf again.
    @Test func answersFollowTheState() throws {
        func bits(_ change: [UInt8]) throws -> (before: (ecx: UInt64, edx: UInt64), after: (ecx: UInt64, edx: UInt64)) {
            let ask: [UInt8] = movEAX(1) + [0x0f, 0xa2]
            let code = ask + ask + [0x89, 0xce, 0x89, 0xd7] + change + ask + [0xf4]
            let gpr = try TrapMachine(.long64, model: "x86-64-v3", code: code).run().state.gpr
            return ((gpr[6], gpr[7]), (gpr[1], gpr[2]))
        }
        let same = try bits([])
        #expect(same.before == same.after)
        // mov rax, cr4; xor eax, 1 << 18; mov cr4, rax
        let osxsave = try bits([0x0f, 0x20, 0xe0, 0x35] + littleEndian(1 << 18) + [0x0f, 0x22, 0xe0])
        #expect(osxsave.before.ecx ^ osxsave.after.ecx == 1 << 27)
        // rdmsr; and eax, ~(1 << 11); wrmsr
        let apic = try bits(movECX(0x1b) + [0x0f, 0x32, 0x25] + littleEndian(~(1 << 11)) + [0x0f, 0x30])
        #expect(apic.before.edx & 1 << 9 != 0 && apic.after.edx & 1 << 9 == 0)
    }

    @Test func notOfferedIsInvalid() throws {
        let instructions: [(name: String, code: [UInt8])] = [
            ("RDRAND", [0x0f, 0xc7, 0xf0]), ("RDSEED", [0x0f, 0xc7, 0xf8]), ("RDPID", [0xf3, 0x0f, 0xc7, 0xf8]),
            ("STAC", [0x0f, 0x01, 0xcb]), ("CLWB", [0x66, 0x0f, 0xae, 0x33]), ("PCOMMIT", [0x66, 0x0f, 0xae, 0xf8]),
            ("INVPCID", [0x66, 0x0f, 0x38, 0x82, 0x03]),
            ("RDTSCP", [0x0f, 0x01, 0xf9]), ("XGETBV", [0x0f, 0x01, 0xd0]),
            ("RDFSBASE", [0xf3, 0x48, 0x0f, 0xae, 0xc0]),
            ("VMMCALL", [0x0f, 0x01, 0xd9]), ("MONITOR", [0x0f, 0x01, 0xc8]), ("RSM", [0x0f, 0xaa]),
        ]
        for (name, code) in instructions {
            #expect(try TrapMachine(.long64, model: "x86-64-v1", code: code + [0xf4]).run().vector == 6, "\(name)")
        }
    }

    @Test func randomNumbersDiffer() throws {
        // rdrand eax; mov ebx, eax; rdrand eax; setc cl
        let code: [UInt8] = [0x0f, 0xc7, 0xf0, 0x89, 0xc3, 0x0f, 0xc7, 0xf0, 0x0f, 0x92, 0xc1, 0xf4]
        let state = try TrapMachine(.long64, code: code).run().state
        #expect(state.gpr[0] != state.gpr[3])
        #expect(state.gpr[1] & 0xff == 1)
        #expect(state.rflags & 0x8d5 == 1, "CF alone")
    }

    // MARK: MSRs

    private func wrmsr(_ number: UInt32, _ value: UInt64, model: String = "x86-64-v3") throws -> TrapOutcome {
        let high = UInt32(value >> 32)
        let code = movECX(number) + movEAX(UInt32(truncatingIfNeeded: value)) + movEDX(high) + [0x0f, 0x30]
        // xor eax, eax; xor edx, edx; rdmsr
        return try TrapMachine(.long64, model: model, code: code + [0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x32, 0xf4]).run()
    }

    static let accepted: [(UInt32, UInt64)] = [
        (0x174, 0x10), (0x175, 0xffff_8000_0000_1000), (0x176, 0x7fff_ffff_f000), (0x277, 0x0007_0406_0007_0406),
        (0x277, 0x0001_0504_0706_0001), (0x200, 0xc000_0006), (0x201, 0x3fff_8000_0800), (0x26f, 0x0606_0606_0606_0606),
        (0x2ff, 0xc06), (0x3b, 0x1234), (0x48, 1), (0xc000_0080, 0xd01), (0xc000_0081, 0x23_0010_0000_0000),
        (0xc000_0082, 0xffff_ffff_8100_0000), (0xc000_0084, 0x47700), (0xc000_0100, 0x7fff_0000_0000),
        (0xc000_0102, 0xffff_8880_0000_0000), (0xc000_0103, 7),
    ]

    @Test(arguments: accepted) func readsBack(_ number: UInt32, _ value: UInt64) throws {
        let outcome = try wrmsr(number, value)
        #expect(outcome.vector == nil)
        #expect(outcome.state.gpr[2] << 32 | outcome.state.gpr[0] == value)
    }

    static let refused: [(UInt32, UInt64)] = [
        (0x175, 0x8000_0000_0000), (0x277, 0x02), (0x277, 0x0800_0000_0000_0000), (0x200, 2), (0x200, 0x100),
        (0x201, 1 << 46), (0x2ff, 2), (0x2ff, 0x1006), (0x250, 0x07), (0xfe, 0), (0x10a, 0), (0x48, 8), (0x49, 2),
        (0xc000_0080, 0x501 | 1 << 12), (0xc000_0080, 0x401), (0xc000_0082, 0x8000_0000_0000), (0xc000_0084, 1 << 32),
        (0xc000_0101, 0xf000_0000_0000_0000), (0xc000_0103, 1 << 32), (0xc001_0015, 0), (0x1234, 0), (0x79a, 0),
    ]

    @Test(arguments: refused) func isRefused(_ number: UInt32, _ value: UInt64) throws {
        let outcome = try wrmsr(number, value)
        #expect(outcome.vector == 13)
        #expect(outcome.error == 0)
    }

    @Test func timeStampCounterAndAdjust() throws {
        // TSC_ADJUST = 2^40: the counter follows; the counter is written: TSC_ADJUST follows.
        let adjust = movECX(0x3b) + movEAX(0) + movEDX(0x100) + [0x0f, 0x30]
        let read: [UInt8] = [0x0f, 0x31, 0x89, 0xd3]  // rdtsc; mov ebx, edx
        let write = movECX(0x10) + movEAX(0) + movEDX(0x300) + [0x0f, 0x30]
        let back = movECX(0x3b) + [0x0f, 0x32, 0xf4]
        let state = try TrapMachine(.long64, code: adjust + read + write + back).run().state
        #expect(state.gpr[3] == 0x100)
        #expect(state.gpr[2] == 0x2ff || state.gpr[2] == 0x300)
        #expect(state.tsc >> 32 == 0x300)
    }

    // MARK: Control registers

    @Test func controlRegisterChecks() throws {
        let cases: [(mode: TestMode, register: UInt8, value: UInt32, vector: Int?)] = [
            (.protected32, 0xc0, 0x8000_0010, 13),  // PG without PE
            (.protected32, 0xc0, 0x2000_0011, 13),  // NW without CD
            (.protected32, 0xc0, 0x6000_0011, nil),
            (.protected32, 0xe0, 1 << 12, 13),  // CR4.LA57
            (.protected32, 0xe0, 1 << 17, 13),  // PCIDE outside IA-32e mode
            (.protected32, 0xe0, 1 << 5, nil),
            (.long64, 0xe0, 0, 13),  // PAE = 0
            (.long64, 0xc0, 0x11, 13),  // PG = 0 in 64-bit mode
            (.long64, 0xd8, 0x10_0fff, nil),
            (.long64, 0xc8, 0, 6),  // CR1
        ]
        for test in cases {
            let outcome = try TrapMachine(test.mode, code: movEAX(test.value) + [0x0f, 0x22, test.register, 0xf4]).run()
            #expect(outcome.vector == test.vector, "\(test)")
        }
    }

    // MARK: SYSENTER and SYSEXIT

    @Test func systemEnterAndExit() throws {
        let entry: UInt64 = 0x5000
        let machine = try TrapMachine(.protected32, model: "x86-64-v2", code: [0x0f, 0x34]) { state in
            state.msrs[0x174] = 8
            state.msrs[0x175] = 0x7000
            state.msrs[0x176] = entry
            state.rflags = 0x202
        }
        // mov ecx, 6000h; mov edx, 5100h; sysexit
        for (index, byte) in (movECX(0x6000) + movEDX(0x5100) + [0x0f, 0x35]).enumerated() {
            try machine.write(byte, at: entry + UInt64(index))
        }
        // hlt, at CPL 3
        try machine.write(UInt8(0xf4), at: 0x5100)
        let vcpu = machine.machine.vcpu
        #expect(vcpu.run(budget: 1) == .budgetSpent)
        let inside = try vcpu.exportState()
        #expect(inside.rip == entry)
        #expect(inside.gpr[4] == 0x7000)
        #expect(inside.rflags & 0x200 == 0)
        #expect(inside.segments[1].selector == 8 && inside.segments[2].selector == 0x10)
        #expect(vcpu.run(budget: 3) == .budgetSpent)
        let outside = try vcpu.exportState()
        #expect(outside.rip == 0x5100)
        #expect(outside.gpr[4] == 0x6000)
        #expect(outside.segments[1].selector == 0x1b && outside.segments[2].selector == 0x23)
        #expect(outside.segments[1].attributes >> 5 & 3 == 3)
    }

    // MARK: Ports

    @Test func stringOutput() throws {
        // rep outsw, with the direction flag set
        let machine = try TrapMachine(.protected32, code: [0xfd, 0x66, 0xf3, 0x6f, 0xf4]) { state in
            state.gpr[1] = 600
            state.gpr[2] = 0x3f8
            state.gpr[6] = 0x30_0000 + 2 * 599
        }
        for index in 0..<600 as Range<UInt16> { try machine.write(index, at: 0x30_0000 + UInt64(index) * 2) }
        let outcome = try machine.run()
        #expect(outcome.exit == .halted)
        #expect(outcome.state.gpr[1] == 0)
        #expect(outcome.state.gpr[6] == 0x30_0000 - 2)
        let written = machine.machine.bus.writes.withLock { $0.map(\.value) }
        #expect(written == (0..<600).reversed())
    }

    @Test func stringInputFaultsBeforeThePortIsRead() throws {
        // rep insb over the limit of ES: what came before is kept
        let machine = try TrapMachine(.protected32, code: [0xf3, 0x6c, 0xf4]) { state in
            state.gpr[1] = 8
            state.gpr[7] = 0x30_0000
            state.segments[0] = SegmentState(selector: 0x10, base: 0, limit: 0x30_0004, attributes: 0x4093)
        }
        let outcome = try machine.run()
        #expect(outcome.vector == 13)
        #expect(outcome.savedRIP == TestMachine.codeAddress)
        #expect(outcome.state.gpr[1] == 3)
        #expect(outcome.state.gpr[7] == 0x30_0005)
        #expect(try machine.read(0x30_0000) == 0xff_ffff_ffff)
    }
}

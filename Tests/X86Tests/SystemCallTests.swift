// SYSCALL and SYSRET under single-stepping, hypercalls, and what a return to an outer level leaves of FS and GS.

import Testing
import VirtualCPU

@Suite struct SystemCallTests {
    private static let efer: UInt32 = 0xc000_0080
    private static let star: UInt32 = 0xc000_0081
    private static let lstar: UInt32 = 0xc000_0082
    private static let sfmask: UInt32 = 0xc000_0084
    private static let tf: UInt64 = 1 << 8

    /// A machine with SYSCALL on, its target at 0x1800, and a TSS for entries from level 3.
    private func machine(_ code: [UInt8], _ adjust: (inout CPUState) -> Void) throws -> TrapMachine {
        let machine = try TrapMachine(.long64, code: code) { state in
            state.msrs[Self.efer] = 0x501
            state.msrs[Self.star] = 0x0010_0008 << 32
            state.msrs[Self.lstar] = 0x1800
            state.segments[7] = SegmentState(selector: 0x28, base: 0x9000, limit: 0x67, attributes: 0x8b)
            adjust(&state)
        }
        try machine.write(UInt64(0x7f00), at: 0x9004)
        return machine
    }

    @Test func maskedTrapFlagDoesNotStepIntoSYSCALL() throws {
        let machine = try machine([0x0f, 0x05]) {
            $0.msrs[Self.sfmask] = Self.tf
            $0.rflags = 2 | Self.tf
        }
        #expect(machine.machine.vcpu.run(budget: 1) == .budgetSpent)
        let state = try machine.machine.vcpu.exportState()
        #expect(state.rip == 0x1800)
        #expect(state.gpr[11] == 2 | Self.tf)
        #expect(state.dr6 & 1 << 14 == 0)
    }

    @Test func unmaskedTrapFlagTrapsAtTheTargetOfSYSCALL() throws {
        let outcome = try machine([0x0f, 0x05]) { $0.rflags = 2 | Self.tf }.run()
        #expect(outcome.vector == 1)
        #expect(outcome.savedRIP == 0x1800)
        #expect(outcome.state.dr6 & 1 << 14 != 0)
    }

    @Test(arguments: [false, true]) func trapFlagFromR11TrapsAfterSYSRET(stepping: Bool) throws {
        let outcome = try machine([0x48, 0x0f, 0x07]) {
            $0.gpr[1] = 0x1800
            $0.gpr[11] = 2 | Self.tf
            $0.rflags = stepping ? 2 | Self.tf : 2
        }.run()
        #expect(outcome.vector == 1)
        #expect(outcome.savedRIP == 0x1800, "before the first instruction")
        #expect(outcome.savedFlags == 2 | Self.tf)
        #expect(outcome.state.dr6 & 1 << 14 != 0)
    }

    @Test func returnToAnOuterLevelKeepsTheBases() throws {
        let machine = try machine([0x48, 0xcf]) {
            $0.gpr[4] = 0x7000
            $0.segments[4].base = 0x1111_1000
            $0.segments[5].base = 0xffff_8000_2222_2000
        }
        for (index, value) in [0x1800, 0x1b, 2, 0x6000, 0x23].enumerated() {
            try machine.write(UInt64(value), at: 0x7000 + 8 * UInt64(index))
        }
        #expect(machine.machine.vcpu.run(budget: 1) == .budgetSpent)
        let state = try machine.machine.vcpu.exportState()
        #expect(state.segments[1].selector == 0x1b)
        #expect(state.segments[4].selector == 0 && state.segments[5].selector == 0)
        #expect(state.segments[4].base == 0x1111_1000)
        #expect(state.segments[5].base == 0xffff_8000_2222_2000)
    }

    // MARK: Hypercalls

    @Test(arguments: [("intel", 0xc1), ("amd", 0xd9)] as [(String, UInt8)])
    func hypercallsAnswer(vendor: String, opcode: UInt8) throws {
        func call(
            _ number: UInt64, opcode: UInt8, _ arguments: [UInt64] = [0, 0, 0, 0], isParavirtual: Bool = true
        ) throws -> TrapOutcome {
            let code: [UInt8] = [0x0f, 0x01, opcode, 0xf4]
            return try TrapMachine(
                .long64, model: "host,vendor=\(vendor)", code: code, isParavirtual: isParavirtual
            ) { state in
                state.gpr[0] = number
                for (register, value) in zip([3, 1, 2, 6], arguments) { state.gpr[register] = value }
                state.localAPIC.registers[0x0f] = 0x1ff
            }.run()
        }
        #expect(try call(0, opcode: opcode, isParavirtual: false).vector == 6, "no hypervisor's interface")
        #expect(try call(1234, opcode: opcode).state.gpr[0] == UInt64(bitPattern: -1000))
        #expect(try call(11, opcode: opcode).state.gpr[0] == 0)
        #expect(try call(10, opcode: opcode, [0xffff_ffff, 0, 0xffff_ffff, 0]).state.gpr[0] == 0, "no such IDs")
        #expect(try call(10, opcode: opcode, [1, 0, 0, 1 << 11]).state.gpr[0] == UInt64(bitPattern: -22))
    }

    @Test func vendorsChange() throws {
        func leaf0(_ model: String) throws -> UInt64 {
            try TrapMachine(.long64, model: model, code: [0x31, 0xc0, 0x0f, 0xa2, 0xf4]).run().state.gpr[3]
        }
        #expect(try leaf0("x86-64-v2,vendor=amd") == 0x6874_7541)
        #expect(try leaf0("host,vendor=GenuineIntel") == 0x756e_6547)
    }

    @Test func featuresComeAndGo() throws {
        func leaf1(_ model: String) throws -> UInt64 {
            try TrapMachine(.long64, model: model, code: movEAX(1) + [0x0f, 0xa2, 0xf4]).run().state.gpr[1]
        }
        let (x2apic, pcid, avx): (UInt64, UInt64, UInt64) = (1 << 21, 1 << 17, 1 << 28)
        #expect(try leaf1("x86-64-v3") & (x2apic | pcid | avx) == x2apic | pcid | avx)
        #expect(try leaf1("x86-64-v3,-x2apic,pcid=off") & (x2apic | pcid | avx) == avx)
        #expect(try leaf1("x86-64-v1,+pcid") & (pcid | avx) == pcid)
        #expect(try leaf1("x86-64-v3,-xsave") & avx == 0, "AVX needs XSAVE")
    }

    @Test func x2APICModeNeedsTheFeature() throws {
        // rdmsr 1bh; or eax, 400h; wrmsr
        let code = movECX(0x1b) + [0x0f, 0x32, 0x0d, 0x00, 0x04, 0x00, 0x00, 0x0f, 0x30, 0xf4]
        #expect(try TrapMachine(.long64, model: "host", code: code).run().vector == nil)
        #expect(try TrapMachine(.long64, model: "host,-x2apic", code: code).run().vector == 13)
    }

    @Test(arguments: [
        ("nothing", "unknown CPU model 'nothing'; known: host, x86-64-v1, x86-64-v2, x86-64-v3, max"),
        ("host,+nothing", "unknown CPU feature 'nothing'"),
        ("host,x2apic", "'x2apic' in the CPU model 'host,x2apic': expected +FEATURE, -FEATURE or vendor=NAME"),
        ("host,vendor=via", "unknown CPU vendor 'via'; known: intel, amd"),
        ("x86-64-v1,+topoext", "CPUs of this vendor have no feature 'topoext'"),
    ])
    func badDescriptionsAreRefused(model: String, message: String) {
        #expect(throws: EngineError(message)) { try TestMachine(.long64, code: [0xf4], model: model) }
    }

    @Test func onlyAMDHasCountersAnyway() throws {
        for (vendor, number, vector) in [("amd", 3, nil), ("amd", 4, 13), ("intel", 0, 13)] as [(String, UInt32, Int?)]
        {
            let model = "host,vendor=\(vendor)"
            let outcome = try TrapMachine(.long64, model: model, code: movECX(number) + [0x0f, 0x33, 0xf4]).run()
            #expect(outcome.vector == vector, "RDPMC \(number) of \(vendor)")
        }
    }

    @Test func bothVendorsHaveMiscEnable() throws {
        for vendor in ["intel", "amd"] {
            let code = movECX(0x1a0) + movEAX(0x0085_0089) + movEDX(4) + [0x0f, 0x30, 0x0f, 0x32, 0xf4]
            let state = try TrapMachine(.long64, model: "host,vendor=\(vendor)", code: code).run().state
            #expect(state.gpr[0] == 0x0085_1889)
            #expect(state.gpr[2] == 4)
        }
    }
}

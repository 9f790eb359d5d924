// Lockstep: engines that agree are found to, on every guest; a planted fault is found at its very instruction.

import Comparison
import Guests
import Machine
import Testing
import Trapeze
import VirtualCPU

/// A boot source as a boot loader.
private struct Source: BootLoader {
    var bootSource: BootSource
    func validate() throws(ConfigurationError) {}
}

/// Compares two engines on a guest; `limit` stops a guest that does not end.
func verify(
    _ source: BootSource, memory: UInt64, cpus: Int = 1, _ reference: any Engine, _ against: any Engine,
    grain: LockstepOptions.Grain = .event, from instruction: UInt64 = 0, memoryInterval: UInt64? = nil,
    limit: Duration = .seconds(60)
) async throws -> (outcome: VirtualMachine.Outcome, summary: LockstepSummary) {
    var configuration = VirtualMachineConfiguration()
    configuration.bootLoader = Source(bootSource: source)
    configuration.memorySize = memory
    configuration.cpuCount = cpus
    var options = LockstepOptions()
    options.grain = grain
    options.fromInstruction = instruction
    if let memoryInterval { options.memoryInterval = memoryInterval }
    let verification = try Verification(configuration, reference: reference, against: against, options: options)
    let watchdog = Task {
        if (try? await Task.sleep(for: limit)) != nil { verification.stop() }
    }
    defer { watchdog.cancel() }
    return await verification.run()
}

extension MachineSuite {
    @Suite struct LockstepTests {
        private static let grains: [LockstepOptions.Grain] = [.event, .every(1009)]

        @Test("An engine agrees with itself", arguments: TestEngine.counting, EmbeddedGuest.all)
        func agreement(engine: TestEngine, guest: EmbeddedGuest) async throws {
            try engine.require()
            let endless = guest.expected.ending == .halts
            for grain in Self.grains {
                let (outcome, summary) = try await verify(
                    guest.bootSource, memory: guest.requirements.memory, cpus: guest.requirements.processors,
                    engine.engine, engine.engine, grain: grain, memoryInterval: 100_000,
                    limit: .seconds(endless ? 0.5 : 60))
                #expect(summary.difference?.names == nil, "\(grain)")
                #expect(summary.failure == nil)
                #expect(summary.instructions > 0)
                #expect(summary.memoryComparisons > 1 + summary.instructions / 200_000)
                if !endless { #expect(TestMachine.End.outcome(outcome.machine) == guest.expected.end) }
            }
        }

        @Test("An engine agrees with itself on every instruction and block", arguments: TestEngine.counting)
        func everyInstruction(engine: TestEngine) async throws {
            try engine.require()
            let guest = try #require(EmbeddedGuest.named("tour"))
            var comparisons: [UInt64] = []
            for grain in [LockstepOptions.Grain.instruction, .block, .event] {
                let (outcome, summary) = try await verify(
                    guest.bootSource, memory: guest.requirements.memory, engine.engine, engine.engine, grain: grain)
                #expect(outcome == .poweredOff)
                #expect(summary.difference == nil)
                if grain == .instruction { #expect(summary.comparisons >= summary.instructions) }
                comparisons.append(summary.comparisons)
            }
            #expect(comparisons == comparisons.sorted(by: >), "instructions, blocks, events: ever fewer")
        }

        @Test("vCPUs that race agree", arguments: TestEngine.counting)
        func race(engine: TestEngine) async throws {
            try engine.require()
            for grain in Self.grains {
                let (outcome, summary) = try await verify(
                    CountedSMP.race(vcpus: 3).source, memory: 1 << 20, cpus: 3, engine.engine, engine.engine,
                    grain: grain)
                guard case .exited = outcome else {
                    Issue.record("\(outcome)")
                    return
                }
                #expect(summary.difference == nil)
            }
        }

        // MARK: Planted faults

        /// Counts in a loop and never ends; an interrupt table would be in the way of nothing.
        private static let loop = TinyGuest(
            name: "loop", mode: .long64,
            code: [
                0x48, 0xff, 0xc0,  // inc rax
                0x48, 0x01, 0xc3,  // add rbx, rax
                0x48, 0x89, 0x1c, 0x25, 0x00, 0x06, 0, 0,  // mov [0x600], rbx
                0xeb, 0xf0,  // jmp
            ])

        private func difference(
            _ engine: TestEngine, _ fault: FaultyEngine.Fault, _ guest: TinyGuest = loop, cpus: Int = 1,
            grain: LockstepOptions.Grain = .event, from instruction: UInt64 = 0
        ) async throws -> Difference? {
            try engine.require()
            let (outcome, summary) = try await verify(
                guest.source, memory: 16 << 20, cpus: cpus, engine.engine,
                FaultyEngine(base: engine.engine, fault: fault),
                grain: grain, from: instruction, memoryInterval: 300_000, limit: .seconds(30))
            #expect(summary.failure == nil)
            guard case .failed = outcome else {
                Issue.record("not found: \(outcome), \(summary.instructions) instructions")
                return nil
            }
            return summary.difference
        }

        @Test("A wrong register is found", arguments: TestEngine.counting, [UInt64(1), 64, 100_001, 1_234_567])
        func register(engine: TestEngine, time: UInt64) async throws {
            for grain in [LockstepOptions.Grain.event, .every(4096)] {
                let found = try #require(
                    try await difference(engine, .state(at: time) { $0.gpr[9] ^= 1 << 40 }, grain: grain))
                #expect(found.isExact)
                #expect(found.lastSame == time - 1)
                #expect(found.firstDifferent == time)
                #expect(found.names == ["R9"])
            }
        }

        @Test("A wrong flag is found, though the next instruction would overwrite it", arguments: TestEngine.counting)
        func flag(engine: TestEngine) async throws {
            // Before INC, which keeps CF, then ADD, which overwrites it: only a close look sees it.
            let found = try #require(
                try await difference(
                    engine, .state(at: 400_004) { $0.rflags ^= 1 }, grain: .instruction, from: 399_000))
            #expect(found.firstDifferent == 400_004)
            #expect(found.names == ["RFLAGS"])
        }

        @Test("A wrong byte of memory is found", arguments: TestEngine.counting)
        func memory(engine: TestEngine) async throws {
            let found = try #require(try await difference(engine, .memory(at: 777_777, address: 0x12_3456)))
            #expect(found.isExact)
            #expect(found.firstDifferent == 777_777)
            #expect(found.names == [])
            #expect(found.addresses == [0x12_3456])
        }

        @Test("A vector register, an MSR, the local APIC: everything counts", arguments: TestEngine.counting)
        func everything(engine: TestEngine) async throws {
            let faults: [(String, @Sendable (inout CPUState) -> Void)] = [
                (
                    "YMM3",
                    {
                        $0.xsave[160 + 48] ^= 1; $0.xsave[512] |= 2
                    }
                ), ("MSR c0000082", { $0.msrs[0xc000_0082] = 4096 }),
                ("APIC 080", { $0.localAPIC.registers[8] = 0x20 }), ("CR2", { $0.cr2 = 1 }),
                ("GS", { $0.segments[5].base = 16 }),
                ("DR0", { $0.debugAddresses[0] = 5 }),
            ]
            for (name, change) in faults {
                let found = try #require(try await difference(engine, .state(at: 5000, change)))
                #expect(found.names.contains(name), "\(found.names)")
                #expect(found.firstDifferent == 5000)
            }
        }

        @Test("An interrupt that gets lost is found where it should have been", arguments: TestEngine.counting)
        func interrupt(engine: TestEngine) async throws {
            try engine.require()
            let guest = try #require(EmbeddedGuest.named("interrupts"))
            let (_, plain) = try await verify(
                guest.bootSource, memory: guest.requirements.memory, engine.engine, engine.engine)
            #expect(plain.difference == nil)
            let (_, summary) = try await verify(
                guest.bootSource, memory: guest.requirements.memory, engine.engine,
                FaultyEngine(base: engine.engine, fault: .lostInterrupts(from: 1000)))
            let found = try #require(summary.difference)
            #expect(found.isExact)
            #expect(found.names.contains { $0 == "RIP" || $0.hasPrefix("APIC") }, "\(found.names)")
        }

        @Test("A wrong exit is found", arguments: TestEngine.counting)
        func exit(engine: TestEngine) async throws {
            let found = try #require(try await difference(engine, .halt(at: 250_000)))
            let report = found.report(reference: "a", against: "b") { "trapeze verify " + $0 }
            #expect(report.contains { $0.contains("b: halted after") }, "\(report)")
        }

        @Test("A fault of another vCPU than the first is found", arguments: TestEngine.counting)
        func secondVCPU(engine: TestEngine) async throws {
            let guest = CountedSMP.race(vcpus: 2)
            let found = try #require(
                try await difference(engine, .state(at: 15_000, vcpu: 1) { $0.gpr[12] = 7 }, guest, cpus: 2))
            #expect(found.vcpu == 1)
            #expect(found.names == ["R12"])
            #expect(found.firstDifferent == 15_000)
        }

        @Test("The report has both states, what led there, and the way back", arguments: TestEngine.counting)
        func report(engine: TestEngine) async throws {
            let found = try #require(try await difference(engine, .state(at: 40_001) { $0.gpr[0] += 16 }))
            let report = found.report(reference: "one", against: "two") { "trapeze verify loop \($0)" }
            let text = report.joined(separator: "\n")
            #expect(report[0].hasPrefix("engines one and two differ after instruction 40001 (vCPU 0, clock 40001 ns"))
            #expect(text.contains("> ") && text.contains("instruction 48 ff c0 rax="), "\(text)")
            #expect(text.contains(#/\n\* RAX +[0-9a-f]{16} +[0-9a-f]{16}\n/#), "\(text)")
            #expect(text.contains(#/\n  RBX +[0-9a-f]{16} +[0-9a-f]{16}\n/#), "\(text)")
            #expect(report.last == "  trapeze verify loop --from-instruction 39000 --grain instruction")
        }
    }
}

extension VirtualMachine.Outcome {
    /// The same in the machine's terms.
    fileprivate var machine: MachineOutcome {
        switch self {
        case .poweredOff: .poweredOff
        case .reset: .reset
        case .exited(let status): .exited(status: status)
        case .panicked: .panicked
        case .tripleFault: .tripleFault
        case .stopped: .stopped
        case .failed(let reason): .failed(reason)
        }
    }
}

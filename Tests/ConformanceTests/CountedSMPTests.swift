// Several vCPUs in counted time: they take turns, and what they race for comes out the same in every run.

import Machine
import TestSupport
import Testing
import VirtualCPU

extension MachineSuite {
    @Suite struct CountedSMP {
        static let limit = Duration.seconds(60)

        /// Starts all other vCPUs and races with them for a counter in memory, and on the time-stamp counter; exits with
        /// the counter when `vcpus` are through.
        static func race(vcpus: UInt8) -> TinyGuest {
            var code: [UInt8] = [
                0xfa,  // cli
                0x66, 0xb9, 0x1b, 0, 0, 0,  // mov ecx, IA32_APIC_BASE
                0x0f, 0x32, 0x80, 0xcc, 0x0c, 0x0f, 0x30,  // rdmsr; or ah, 0xc; wrmsr: x2APIC mode
                0x66, 0xb9, 0x30, 0x08, 0, 0,  // mov ecx, ICR
                0x66, 0x31, 0xd2,  // xor edx, edx
                0x66, 0xb8, 0x00, 0x45, 0x0c, 0x00, 0x0f, 0x30,  // INIT to all but self
                0xb8, 0x08, 0x46, 0x0f, 0x30,  // startup IPI to all but self: 0x8000
                0xe8, 0x0f, 0x00,  // call count
                0xf3, 0x90,  // 7c27 pause
                0x80, 0x3e, 0x04, 0x06, vcpus,  // cmp byte [0x604], vcpus
                0x72, 0xf7,  // jb 7c27
                0xa0, 0x02, 0x06, 0xe6, 0xf4, 0xf4,  // mov al, [0x602]; out 0xf4, al; hlt
                0xb9, 0xb8, 0x0b,  // 7c36 count: mov cx, 3000
                0xf0, 0xff, 0x06, 0x00, 0x06,  // 7c39 lock inc word [0x600]
                0x8b, 0x1e, 0x02, 0x06,  // mov bx, [0x602]
                0x43,  // inc bx
                0x0f, 0x31, 0xa8, 0x07,  // rdtsc; test al, 7
                0x74, 0x04,  // jz: now and then the increment is lost
                0x89, 0x1e, 0x02, 0x06,  // mov [0x602], bx
                0xe2, 0xea,  // loop 7c39
                0xf0, 0xfe, 0x06, 0x04, 0x06,  // lock inc byte [0x604]
                0xc3,  // ret
            ]
            code += [UInt8](repeating: 0x90, count: 0x400 - code.count)
            code += [
                0xfa,  // 8000 cli
                0xbc, 0x00, 0x70,  // mov sp, 0x7000
                0x68, 0x0c, 0x80,  // push 0x800c
                0xea, 0x36, 0x7c, 0x00, 0x00,  // jmp 0:count
                0xf4, 0xeb, 0xfd,  // 800c hlt; jmp 800c
            ]
            return TinyGuest(name: "race of \(vcpus)", mode: .real16, code: code)
        }

        private func machine(_ engine: TestEngine, _ vcpus: UInt8) throws -> TestMachine {
            try TestMachine(
                Self.race(vcpus: vcpus).source, memory: 1 << 20, cpus: Int(vcpus), engine: engine.engine,
                clock: .instructions)
        }

        @Test("A race has the same winner in every run", arguments: TestEngine.counting, [UInt8(2), 3, 8])
        func determinism(engine: TestEngine, vcpus: UInt8) async throws {
            try engine.require()
            let first = try await FinishedRun(machine(engine, vcpus), limit: Self.limit)
            guard case .outcome(.exited) = first.end else {
                Issue.record("ended otherwise: \(first.end)")
                return
            }
            // The one counter is exact, the other has lost what was raced for.
            let memory = try #require(first.state.memory.first { $0.address == 0 })
            #expect(memory.bytes[0x600] == UInt8(truncatingIfNeeded: 3000 * UInt64(vcpus)))
            #expect(first.counters.allSatisfy { $0.instructions ?? 0 > 20_000 })
            for _ in 0..<2 {
                let again = try await FinishedRun(machine(engine, vcpus), limit: Self.limit)
                #expect(again.end == first.end)
                #expect(again.counters == first.counters)
                #expect(again.state.differences(from: first.state) == [])
            }
        }

        @Test("Being paused and moved changes no race", arguments: TestEngine.counting)
        func moved(engine: TestEngine) async throws {
            try engine.require()
            let reference = try await FinishedRun(machine(engine, 3), limit: Self.limit)
            var generator = SplitMix64(seed: UInt64(StateTransfer.seed))
            for _ in 0..<setting("TRAPEZE_STATE_POINTS", default: 6) {
                let time = UInt64.random(in: 1..<reference.state.time, using: &generator)
                let test = try machine(engine, 3)
                try #require(await test.run(until: time, limit: Self.limit) == nil)
                let moved = try TestMachine(
                    Self.race(vcpus: 3).source, restoring: try test.machine.exportState().throughJSON(),
                    engine: engine.engine, clock: .instructions)
                test.machine.stop()
                let finished = try await FinishedRun(moved, limit: Self.limit)
                let place: Comment = "moved at \(time), seed \(StateTransfer.seed)"
                #expect(finished.end == reference.end, place)
                #expect(finished.state.differences(from: reference.state) == [], place)
            }
        }
    }
}

// Moving running guests: a guest is stopped between two instructions chosen at random, everything is exported, sent through
// text, and imported into a new machine. In counted time that machine must finish as if nothing had happened: the rest
// of the console byte for byte, and the last state of CPU, chips, devices and memory.

import Guests
import Machine
import TestSupport
import Testing
import VirtualCPU

extension MachineSuite {
    @Suite struct StateTransfer {
        static let limit = Duration.seconds(60)
        /// TRAPEZE_SEED repeats a run that failed.
        static let seed = setting("TRAPEZE_SEED", default: 1)

        /// Guests that run for long enough to be stopped, and end.
        static let guests = EmbeddedGuest.all.filter {
            !$0.expected.lines.isEmpty && $0.expected.ending != .halts
        }

        @Test("Two runs in counted time are identical", arguments: TestEngine.counting, EmbeddedGuest.all)
        func determinism(engine: TestEngine, guest: EmbeddedGuest) async throws {
            try engine.require()
            guard guest.expected.ending != .halts else { try Test.cancel("'\(guest.name)' runs without end") }
            let first = try await FinishedRun(
                TestMachine(guest, engine: engine.engine, clock: .instructions), limit: Self.limit)
            let second = try await FinishedRun(
                TestMachine(guest, engine: engine.engine, clock: .instructions), limit: Self.limit)
            #expect(first.end == second.end)
            #expect(first.console == second.console)
            #expect(first.counters == second.counters)
            #expect(first.state.differences(from: second.state) == [])
        }

        @Test("A guest that moves goes on as if nothing had happened", arguments: TestEngine.counting, guests)
        func movedOnce(engine: TestEngine, guest: EmbeddedGuest) async throws {
            try engine.require()
            let reference = try await FinishedRun(
                TestMachine(guest, engine: engine.engine, clock: .instructions), limit: Self.limit)
            var generator = SplitMix64(seed: UInt64(Self.seed))
            for _ in 0..<setting("TRAPEZE_STATE_POINTS", default: 6) {
                let time = UInt64.random(in: 1..<reference.state.time, using: &generator)
                try await check(guest, on: engine, movedAt: [time], against: reference)
            }
        }

        @Test("A guest may move many times", arguments: TestEngine.counting, guests)
        func movedOften(engine: TestEngine, guest: EmbeddedGuest) async throws {
            try engine.require()
            let reference = try await FinishedRun(
                TestMachine(guest, engine: engine.engine, clock: .instructions), limit: Self.limit)
            var generator = SplitMix64(seed: UInt64(Self.seed) &+ 1)
            let times = (0..<10).map { _ in UInt64.random(in: 1..<reference.state.time, using: &generator) }
            try await check(guest, on: engine, movedAt: Set(times).sorted(), against: reference)
        }

        /// Runs a guest that moves to a new machine at each of the given times, in ascending order.
        private func check(
            _ guest: EmbeddedGuest, on engine: TestEngine, movedAt times: [UInt64], against reference: FinishedRun
        ) async throws {
            var test = try TestMachine(guest, engine: engine.engine, clock: .instructions)
            var console: [UInt8] = []
            var instructions: UInt64 = 0
            for time in times {
                let early = await test.run(until: time, limit: Self.limit)
                try #require(early == nil, "moved at \(times): the guest ended before \(time)")
                let state = try test.machine.exportState()
                instructions += try await test.discard(addingConsoleTo: &console)
                test = try TestMachine(
                    guest.bootSource, restoring: try state.throughJSON(), engine: engine.engine, clock: .instructions)
            }
            let end = await test.run(limit: Self.limit)
            let last = try test.machine.exportState()
            instructions += try await test.discard(addingConsoleTo: &console)

            let place: Comment = "moved at \(times), seed \(Self.seed)"
            #expect(end == reference.end, place)
            #expect(console == reference.console, place)
            #expect(instructions == reference.counters[0].instructions, place)
            #expect(last.differences(from: reference.state) == [], place)
        }
    }
}

extension TestMachine {
    /// Ends a machine that stands still. Its console is added to `console`; the result is its count of instructions.
    func discard(addingConsoleTo console: inout [UInt8]) async throws -> UInt64 {
        machine.stop()
        _ = await machine.wait()
        console += self.console.bytes
        return try #require(machine.counters()[0].instructions)
    }
}

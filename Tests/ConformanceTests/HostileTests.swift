// Guests that mean ill, from a few bytes of code each: a CPU without anything to stand on, every port written, random
// code in every mode. Whatever they do is architecture: a run may end by any event of the guest's, or not at all, but an
// engine must not give up, and a machine must stop when it is told to.

import Machine
import TestSupport
import Testing
import VirtualCPU

extension MachineSuite {
    @Suite struct Hostile {
        static let limit = Duration.seconds(20)
        static let memory: UInt64 = 2 << 20

        // MARK: Nothing to stand on

        @Test("A CPU without its tables shuts down", arguments: TestEngine.all, TinyGuest.lost)
        func lost(engine: TestEngine, guest: TinyGuest) async throws {
            try engine.require(.wholeCPU)
            let test = try TestMachine(guest.source, memory: Self.memory, engine: engine.engine, clock: .host)
            #expect(await test.run(limit: Self.limit) == .outcome(.tripleFault))
        }

        // MARK: Ports

        @Test("Writes to every port end in an event or not at all", arguments: TestEngine.all, 0..<8)
        func everyPort(engine: TestEngine, variant: Int) async throws {
            try engine.require(.wholeCPU)
            var generator = SplitMix64(seed: UInt64(variant))
            let value = variant == 0 ? UInt32.max : UInt32(truncatingIfNeeded: generator.next())
            // An event ends the run early: the next one begins behind the port that brought it.
            var first: UInt16? = 0
            while let port = first {
                let test = try TestMachine(
                    TinyGuest.sweep(from: port, value: value, read: variant % 2 == 1).source, memory: Self.memory,
                    engine: engine.engine, clock: .host)
                let end = await test.run(limit: Self.limit)
                let reached = try UInt16(truncatingIfNeeded: test.machine.exportState().cpus[0].gpr[2])
                switch end {
                case .outcome(.tripleFault):
                    // The guest's own end, after the last port.
                    #expect(reached == .max)
                    first = nil
                case .outcome(.poweredOff), .outcome(.reset), .outcome(.panicked), .outcome(.exited):
                    try #require(reached >= port)
                    first = reached < .max ? reached + 1 : nil
                default:
                    Issue.record("\(end) at port \(reached), value \(value)")
                    first = nil
                }
            }
        }

        // MARK: Random code

        @Test(
            "Random code neither ends the engine nor keeps it", arguments: TestEngine.counting,
            [BootSource.EntryMode.real16, .protected32, .long64])
        func randomCode(engine: TestEngine, mode: BootSource.EntryMode) async throws {
            try engine.require()
            let seed = setting("TRAPEZE_SEED", default: 1)
            for program in 0..<setting("TRAPEZE_RANDOM_PROGRAMS", default: 300) {
                let guest = TinyGuest.random(seed: (UInt64(seed) << 32) + UInt64(program), mode: mode)
                let test = try TestMachine(
                    guest.source, memory: Self.memory, engine: engine.engine, clock: .instructions)
                // A string instruction with a count of 2^64 - 1 is one instruction that takes for ever: it has to be
                // interruptible, no more.
                let end = await test.run(until: 200_000, limit: .milliseconds(500))
                switch end {
                case nil, .timeLimit, .outcome(.tripleFault), .outcome(.poweredOff), .outcome(.reset),
                    .outcome(.panicked), .outcome(.exited):
                    break
                default:
                    Issue.record("\(guest.name): \(String(describing: end))")
                }
                test.machine.stop()
            }
        }
    }
}

// The conformance suite: every engine runs every embedded guest, whose console output and ending are compared with what
// the guest declares. What holds for one engine holds for all; an engine of a new kind needs no test of its own here.

import Guests
import Machine
import Testing
import VirtualCPU

/// Everything that runs machines, one after the other: guests measure time, and hosts have few CPUs.
@Suite(.serialized) enum MachineSuite {}

extension MachineSuite {
    @Suite struct Conformance {
        /// Ample: the guests take well under a second each.
        static let limit = Duration.seconds(60)

        @Test("A guest's console and ending are what it declares", arguments: TestEngine.all, EmbeddedGuest.all)
        func declaredResult(engine: TestEngine, guest: EmbeddedGuest) async throws {
            try await check(guest, on: engine, clock: .host)
        }

        @Test("The same in counted time", arguments: TestEngine.counting, EmbeddedGuest.all)
        func declaredResultInCountedTime(engine: TestEngine, guest: EmbeddedGuest) async throws {
            try await check(guest, on: engine, clock: .instructions)
        }

        /// A CPU model with a guest.
        struct Pair: Sendable, CustomTestStringConvertible {
            let model: String
            let guest: EmbeddedGuest
            var testDescription: String { "\(guest.name) on \(model)" }

            static let all = ["x86-64-v1", "x86-64-v2", "x86-64-v3"].flatMap { model in
                EmbeddedGuest.all.map { Pair(model: model, guest: $0) }
            }
        }

        @Test("Every CPU model gives what the guest declares for it", arguments: TestEngine.all, Pair.all)
        func declaredResultOnModel(engine: TestEngine, pair: Pair) async throws {
            // A KVM that emulates kernel code need not offer what a model promises.
            if engine.engine is any ChosenBySpeed { try engine.require(.wholeCPU) }
            try await check(pair.guest, on: engine, clock: .host, cpuModel: pair.model)
        }

        private func check(
            _ guest: EmbeddedGuest, on engine: TestEngine, clock: Clock.Source, cpuModel: String = "host"
        ) async throws {
            try engine.require(guest.need)
            let test = try TestMachine(guest, engine: engine.engine, clock: clock, cpuModel: cpuModel)
            let end = await test.runToDeclaredEnd(of: guest, limit: Self.limit)
            #expect(end == guest.expected.end)
            if let difference = guest.expected.difference(from: test.console.text) {
                Issue.record("\(difference)\nThe console:\n\(test.console.text)")
            }
        }
    }
}

extension TestMachine {
    /// Runs a guest as far as it declares that it goes.
    func runToDeclaredEnd(of guest: EmbeddedGuest, limit: Duration) async -> End {
        if guest.expected.ending == .halts { return await runUntilHaltedForGood(limit: limit) }
        return await run(limit: limit)
    }
}

extension Guests.Expectation {
    /// The declared ending as a machine reports it.
    var end: TestMachine.End {
        switch ending {
        case .exitPort(let status): .outcome(.exited(status: status))
        case .powerOff: .outcome(.poweredOff)
        case .reset: .outcome(.reset)
        case .tripleFault: .outcome(.tripleFault)
        case .panic: .outcome(.panicked)
        case .halts: .haltedForGood
        }
    }
}

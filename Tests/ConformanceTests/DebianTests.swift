// Debian in counted time: two boots are identical, and a boot that is stopped anywhere goes on in a new machine. Skipped,
// with the reason, where Debian's kernel is neither in the cache nor to be had through apt.

import DebianGuest
import Foundation
import Machine
import TestSupport
import Testing
import VirtualCPU

extension MachineSuite {
    @Suite struct Debian {
        /// A boot takes well under two minutes on an idle host.
        static let limit = Duration.seconds(900)
        static let memory: UInt64 = 256 << 20
        static let firstLine = "The initramfs is here."

        @Test("Two boots of Debian in counted time are identical", arguments: TestEngine.counting)
        func determinism(engine: TestEngine) async throws {
            try engine.require()
            let reference = try await DebianBoot.reference(on: engine)
            let again = try await FinishedRun(
                TestMachine(
                    DebianBoot.source(), memory: Self.memory, engine: engine.engine, clock: .instructions),
                limit: Self.limit)
            #expect(again.end == reference.end)
            #expect(again.console == reference.console)
            #expect(again.counters == reference.counters)
            #expect(again.state.differences(from: reference.state) == [])
        }

        @Test("Debian that moves while it boots goes on as if nothing had happened", arguments: TestEngine.counting)
        func moved(engine: TestEngine) async throws {
            try engine.require()
            let reference = try await DebianBoot.reference(on: engine)
            let source = try DebianBoot.source()
            var generator = SplitMix64(seed: UInt64(StateTransfer.seed))
            let times = (0..<setting("TRAPEZE_STATE_POINTS", default: 2)).map { _ in
                UInt64.random(in: 1..<reference.state.time, using: &generator)
            }
            // One boot passes by all the points; each state is continued on its own.
            let booting = try TestMachine(
                source, memory: Self.memory, engine: engine.engine, clock: .instructions)
            for time in Set(times).sorted() {
                let early = await booting.run(until: time, limit: Self.limit)
                try #require(early == nil, "ended before \(time)")
                let before = booting.console.bytes
                let state = try booting.machine.exportState().throughPropertyList()

                let moved = try TestMachine(source, restoring: state, engine: engine.engine, clock: .instructions)
                let end = await moved.run(limit: Self.limit)
                let place: Comment = "moved at \(time), seed \(StateTransfer.seed)"
                #expect(end == reference.end, place)
                // What the guest sent before it was stopped may still be on its way.
                #expect(reference.console.starts(with: before), place)
                #expect(reference.console.suffix(moved.console.bytes.count) == moved.console.bytes[...], place)
                #expect(before.count + moved.console.bytes.count <= reference.console.count, place)
                #expect(try moved.machine.exportState().differences(from: reference.state) == [], place)
            }
            booting.machine.stop()
            _ = await booting.machine.wait()
            #expect(reference.console.starts(with: booting.console.bytes))
        }

        @Test("Lockstep boots Debian with 1 and 2 vCPUs", arguments: TestEngine.counting, [1, 2])
        func lockstep(engine: TestEngine, cpus: Int) async throws {
            try engine.require()
            let started = ContinuousClock.now
            let (outcome, summary) = try await verify(
                try DebianBoot.source(), memory: Self.memory, cpus: cpus, engine.engine, engine.engine,
                limit: Self.limit)
            #expect(outcome == .exited(status: 0))
            #expect(summary.difference == nil)
            #expect(summary.failure == nil)
            #expect(summary.instructions > 500_000_000)
            let time = started.duration(to: .now)
            print("lockstep boot, \(cpus) vCPUs: \(summary.instructions) instructions, \(time)")
        }

        @Test("Debian that moves in host time reaches its first line", arguments: TestEngine.all)
        func movedInHostTime(engine: TestEngine) async throws {
            try engine.require(.wholeCPU)
            let source = try DebianBoot.source()
            let booting = try TestMachine(source, memory: Self.memory, engine: engine.engine, clock: .host)
            let early = await booting.run(until: 100_000_000, limit: Self.limit)
            try #require(early == nil, "Debian booted in less than 0.1 seconds")
            let state = try booting.machine.exportState().throughPropertyList()
            booting.machine.stop()
            let moved = try TestMachine(source, restoring: state, engine: engine.engine, clock: .host)
            #expect(await moved.run(limit: Self.limit) == .outcome(.exited(status: 0)))
            #expect(moved.console.text.contains(Self.firstLine), "\(moved.console.text)")
        }
    }
}

/// What the Debian tests boot, prepared once, and one undisturbed boot of it.
private enum DebianBoot {
    private static let guest: Result<PreparedGuest, DebianGuestError> = {
        var options = DebianGuestOptions()
        options.command = [Array("true".utf8)]
        options.firstLine = MachineSuite.Debian.firstLine
        do throws(DebianGuestError) {
            return .success(try DebianGuest.prepare(options) { print($0) })
        } catch {
            return .failure(error)
        }
    }()

    static func source() throws -> BootSource {
        switch guest {
        case .success(let guest):
            return .kernel(
                .file(guest.kernelPath), modules: [BootModule(.bytes(guest.initrd, name: "initramfs"))],
                commandLine: guest.commandLine)
        case .failure(let error): try Test.cancel("Debian cannot be prepared: \(error.description)")
        }
    }

    private static let finished = Cache()

    /// The undisturbed boot on an engine, made on first use.
    static func reference(on engine: TestEngine) async throws -> FinishedRun {
        let source = try source()
        let run = try await finished.run(named: engine.engine.name) {
            try await FinishedRun(
                TestMachine(
                    source, memory: MachineSuite.Debian.memory, engine: engine.engine, clock: .instructions),
                limit: MachineSuite.Debian.limit)
        }
        try #require(run.end == .outcome(.exited(status: 0)), "\(String(decoding: run.console, as: UTF8.self))")
        try #require(String(decoding: run.console, as: UTF8.self).contains(MachineSuite.Debian.firstLine))
        return run
    }

    /// Runs by engine. The suite is serialized: no two tests fill it at once.
    private actor Cache {
        private var runs: [String: FinishedRun] = [:]

        func run(named name: String, make: @Sendable () async throws -> FinishedRun) async throws -> FinishedRun {
            if let run = runs[name] { return run }
            let run = try await make()
            runs[name] = run
            return run
        }
    }
}

extension MachineState {
    /// The state after a way through a binary property list, which suits much memory better than JSON.
    fileprivate func throughPropertyList() throws -> MachineState {
        let encoder = PropertyListEncoder()
        encoder.outputFormat = .binary
        return try PropertyListDecoder().decode(MachineState.self, from: encoder.encode(self))
    }
}

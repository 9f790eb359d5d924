// A machine under test: its console is collected, and no run lasts longer than its limit.

import Guests
import Machine
import VirtualCPU

/// A machine, its console, and an end that always comes.
final class TestMachine: Sendable {
    let machine: Machine
    let console = Console()

    /// How a run of a test's came to its end.
    enum End: Equatable, Sendable {
        /// The run ended by itself.
        case outcome(MachineOutcome)
        /// The guest stays in HLT with interrupts disabled.
        case haltedForGood
        /// It took too long; the machine has been stopped.
        case timeLimit
        /// It took too long, and the machine could not even be stopped.
        case hung
    }

    /// The CMOS clock's date, the same for every run: 2024-01-01.
    private static let date: UInt64 = 1_704_067_200_000_000_000

    private static func configuration(
        _ boot: BootSource, memory: UInt64, cpus: Int, cpuModel: String, clock: Clock.Source, console: Console
    ) -> MachineConfiguration {
        MachineConfiguration(
            boot: boot, memorySize: memory, cpuCount: cpus, cpuModel: cpuModel, clockSource: clock, date: date,
            serialOutput: { console.append($0) })
    }

    /// Makes a machine that boots.
    init(
        _ boot: BootSource, memory: UInt64, cpus: Int = 1, engine: any Engine, clock: Clock.Source,
        cpuModel: String = "host"
    ) throws(MachineError) {
        machine = try Machine(
            Self.configuration(boot, memory: memory, cpus: cpus, cpuModel: cpuModel, clock: clock, console: console),
            engine: engine)
    }

    /// Makes a machine that goes on from a state.
    init(
        _ boot: BootSource, restoring state: MachineState, engine: any Engine, clock: Clock.Source,
        cpuModel: String = "host"
    ) throws(MachineError) {
        machine = try Machine(
            Self.configuration(
                boot, memory: state.memorySize, cpus: state.cpus.count, cpuModel: cpuModel, clock: clock,
                console: console),
            engine: engine, restoring: state)
    }

    /// Makes a machine for an embedded guest.
    convenience init(
        _ guest: EmbeddedGuest, engine: any Engine, clock: Clock.Source = .host, cpuModel: String = "host"
    ) throws(MachineError) {
        try self.init(
            guest.bootSource, memory: guest.requirements.memory, cpus: guest.requirements.processors, engine: engine,
            clock: clock, cpuModel: cpuModel)
    }

    /// Starts the machine, or lets it go on, and waits for the end of the run.
    func run(limit: Duration) async -> End {
        let end = await Self.first(within: limit) { [machine] in
            machine.start()
            return End.outcome(await machine.wait())
        }
        if let end { return end }
        return await giveUp()
    }

    /// Starts the machine and waits until the guest has disabled interrupts and halted.
    func runUntilHaltedForGood(limit: Duration) async -> End {
        let end = await Self.first(within: limit) { [self] in
            repeat {
                machine.start()
                try? await Task.sleep(for: .milliseconds(20))
                await machine.pause()
            } while !Task.isCancelled && !isHaltedForGood
            machine.stop()
            let outcome = await machine.wait()
            return outcome == .stopped ? End.haltedForGood : .outcome(outcome)
        }
        if let end { return end }
        return await giveUp()
    }

    private var isHaltedForGood: Bool {
        guard let cpu = try? machine.exportState().cpus[0] else { return false }
        return cpu.activity == .halted && cpu.rflags & 1 << 9 == 0
    }

    /// Runs until the clock reaches `time`, and stands there: nil. Otherwise what ended the run before.
    func run(until time: UInt64, limit: Duration) async -> End? {
        let end = await Self.first(within: limit) { [machine] () -> End? in
            await machine.run(until: time) ? nil : .outcome(await machine.wait())
        }
        if let end { return end }
        return await giveUp()
    }

    /// Ends a run that took too long.
    private func giveUp() async -> End {
        machine.stop()
        let stopped = await Self.first(within: .seconds(10)) { [machine] in await machine.wait() }
        return stopped == nil ? .hung : .timeLimit
    }

    /// The result of `body`, or nil when there is none within the limit. `body` is left behind then: it may wait for a
    /// vCPU that heeds nothing.
    private static func first<Result: Sendable>(
        within limit: Duration, _ body: @escaping @Sendable () async -> Result
    ) async -> Result? {
        let (results, continuation) = AsyncStream.makeStream(of: Result.self)
        let work = Task {
            continuation.yield(await body())
            continuation.finish()
        }
        let watchdog = Task {
            guard (try? await Task.sleep(for: limit)) != nil else { return }
            work.cancel()
            continuation.finish()
        }
        defer { watchdog.cancel() }
        for await result in results { return result }
        return nil
    }
}

extension EmbeddedGuest {
    /// How the guest is started.
    var bootSource: BootSource {
        let file = BootImage.bytes(image, name: name)
        return switch kind {
        case .firmware: .firmware(file)
        case .multiboot: .kernel(file)
        case .flat(let address, let entry): .flat(file, loadAddress: address, entry: entry)
        }
    }
}

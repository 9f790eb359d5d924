// One guest on several engines in turn, for `trapeze compare`: who can run it here, the runs themselves, and whether they
// came to the same. What a guest marks as result or measurement is described at `GuestReport`.

import Comparison
import Foundation
import Machine
import Synchronization
import VirtualCPU

/// A guest's console, taken apart.
public typealias ConsoleReport = GuestReport

/// Runs of one guest under each of some engines.
public final class EngineComparison: Sendable {
    /// An engine that takes part, or that cannot.
    public struct Contender: Sendable {
        /// The engine's name.
        public let name: String
        /// Why it cannot run the guest here; nil if it can.
        public fileprivate(set) var obstacle: String?
        /// Its runs so far.
        public fileprivate(set) var runs: [EngineRun] = []
        let engine: (any Engine)?
    }

    /// Where the comparison is.
    public struct Progress: Sendable {
        /// The number of the run that begins, from 1.
        public let run: Int
        /// How many there will be, unless an engine turns out not to be able.
        public let runs: Int
        /// The engine of this run.
        public let engine: String
    }

    private let configuration: VirtualMachineConfiguration
    private let initial: [Contender]
    private let repeats: Int
    private let timeLimit: Double?

    /// Checks the definition and finds out which engines can run it.
    ///
    /// - Parameters:
    ///   - configuration: the machine; its engine and its serial port do not count.
    ///   - engines: their names; nil for all that have one.
    ///   - repeats: runs on each engine, 1 or more.
    ///   - timeLimit: seconds after which a run is ended.
    /// - Throws: `ConfigurationError` for anything wrong with the definition, and for names that no engine has.
    public convenience init(
        _ configuration: VirtualMachineConfiguration, engines names: [String]?, repeats: Int, timeLimit: Double?
    ) throws(ConfigurationError) {
        var candidates: [Candidate] = []
        for name in names ?? EngineRegistry.names {
            do throws(ConfigurationError) {
                candidates.append(Candidate(name: name, engine: try EngineRegistry.decide(.named(name)).engine))
            } catch {
                guard error.reason == .engineUnavailable else { throw error }
                let prefix = "engine '\(name)' is not available: "
                let text = error.description
                candidates.append(
                    Candidate(name: name, obstacle: text.hasPrefix(prefix) ? "\(text.dropFirst(prefix.count))" : text))
            }
        }
        try self.init(configuration, candidates: candidates, repeats: repeats, timeLimit: timeLimit)
    }

    /// An engine under a name of the caller's choice, or why there is none.
    package struct Candidate: Sendable {
        var name: String
        var engine: (any Engine)?
        var obstacle: String?

        package init(name: String, engine: (any Engine)? = nil, obstacle: String? = nil) {
            self.name = name
            self.engine = engine
            self.obstacle = obstacle
        }
    }

    package init(
        _ configuration: VirtualMachineConfiguration, candidates: [Candidate], repeats: Int, timeLimit: Double?
    ) throws(ConfigurationError) {
        var configuration = configuration
        configuration.engine = .auto
        configuration.resetBehavior = .stop
        try configuration.validate()
        self.configuration = configuration
        self.repeats = max(1, repeats)
        self.timeLimit = timeLimit
        initial = candidates.map { candidate in
            Contender(
                name: candidate.name,
                obstacle: candidate.obstacle ?? candidate.engine.flatMap { Self.obstacle($0, configuration) },
                engine: candidate.engine)
        }
    }

    /// Why an engine cannot run the machine.
    private static func obstacle(_ engine: any Engine, _ configuration: VirtualMachineConfiguration) -> String? {
        switch engine.probe() {
        case .unavailable(let reason): reason
        case .available(let capabilities):
            if configuration.clockSource == .instructions, !capabilities.instructionClock {
                "it cannot count instructions exactly, which --clock instructions needs"
            } else if configuration.cpuCount > capabilities.maximumVCPUs {
                "it has at most \(capabilities.maximumVCPUs) vCPUs"
            } else {
                nil
            }
        }
    }

    /// Runs the guest on one engine after the other, as often as asked for.
    ///
    /// - Throws: `ConfigurationError` for what is wrong with the definition and only shows when a machine is made.
    public func run(
        onProgress: @Sendable (Progress) -> Void = { _ in }
    ) async throws(ConfigurationError) -> EngineComparisonResult {
        var contenders = initial
        var number = 0
        for round in 0..<repeats {
            for index in contenders.indices where contenders[index].obstacle == nil {
                guard let engine = contenders[index].engine else { continue }
                number += 1
                let taking = contenders.filter { $0.obstacle == nil }.count
                onProgress(Progress(run: number, runs: max(number, taking * repeats), engine: contenders[index].name))
                do throws(ConfigurationError) {
                    contenders[index].runs.append(try await runOnce(engine))
                } catch {
                    // An engine may find its obstacle as late as here; what is wrong with the guest is wrong for all.
                    let belongsToEngine = error.reason == .engineUnavailable || error.reason == .hostLimit
                    guard round == 0, belongsToEngine else { throw error }
                    contenders[index].obstacle = error.description
                }
            }
        }
        return EngineComparisonResult(contenders: contenders)
    }

    private func runOnce(_ engine: any Engine) async throws(ConfigurationError) -> EngineRun {
        let console = CollectedConsole()
        var configuration = configuration
        configuration.serialPort = ClosureSerialPortAttachment { console.append($0) }
        let machine = try VirtualMachine(
            configuration, on: EngineDecision(name: engine.name, reason: "asked for", engine: engine))
        let before = ProcessorTime.now()
        let start = ContinuousClock.now
        await machine.start()
        let limit = timeLimit.map { seconds in
            Task {
                guard (try? await Task.sleep(for: .seconds(seconds))) != nil else { return }
                await machine.stop()
            }
        }
        let outcome = await machine.wait()
        limit?.cancel()
        let wall = start.duration(to: .now) / .seconds(1)
        let after = ProcessorTime.now()
        // Nothing but the time limit stops it.
        return EngineRun(
            outcome: outcome == .stopped ? nil : outcome, wallSeconds: wall, userSeconds: after.user - before.user,
            systemSeconds: after.system - before.system, counters: machine.totalCounters,
            report: GuestReport(console: console.bytes))
    }
}

/// What a guest has printed, up to 32 MiB.
private final class CollectedConsole: Sendable {
    private let collected = Mutex<[UInt8]>([])
    private static let limit = 32 << 20

    var bytes: [UInt8] { collected.withLock { $0 } }

    func append(_ bytes: [UInt8]) {
        collected.withLock { if $0.count < Self.limit { $0 += bytes } }
    }
}

/// Processor time of the whole process, in seconds.
private struct ProcessorTime {
    var user: Double
    var system: Double

    static func now() -> ProcessorTime {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return ProcessorTime(user: seconds(usage.ru_utime), system: seconds(usage.ru_stime))
    }
}

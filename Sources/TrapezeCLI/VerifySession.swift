// One verification, from options to an exit status: progress while it runs, and the verdict.

import CTerminal
import DebianGuest
import Foundation
import Trapeze

struct VerifySession {
    let options: VerifyCommand

    /// What ended it before its time.
    private enum Interruption: Sendable {
        case timeout
        case signal(Int32)
        /// The console can't be written to: the `errno` value.
        case consoleLost(Int32)
    }

    /// Seconds between two words of progress.
    private static let progressInterval = 10.0

    func run() async throws -> ExitStatus {
        let comparison = try options.comparison()
        var configuration = options.machine.makeConfiguration()
        configuration.engine = EngineSelection(options.reference)
        if options.machine.guest == debianName, options.machine.command.isEmpty {
            throw Failure("'verify debian' needs a command after --: the guest has no input")
        }
        let guest = try options.machine.prepareGuest(for: configuration, console: GuestConsole())
        configuration.bootLoader = guest.bootLoader
        let (events, post) = AsyncStream.makeStream(of: Interruption.self)
        let console = try Console(options.serial, endOfInput: []) { event in
            if case .lost(let error) = event { post.yield(.consoleLost(error)) }
        }
        configuration.serialPort = console.attachment
        let verification = try makeVerification(configuration, comparison)
        let signals = try SignalPipe { post.yield(.signal($0)) }
        defer { signals.close() }
        let started = ContinuousClock.now
        let (outcome, summary, reason) = await withTaskGroup(of: Void.self) { group in
            group.addTask { await tellProgress(verification) }
            if let limit = options.timeout {
                group.addTask {
                    guard (try? await Task.sleep(for: .seconds(limit.seconds))) != nil else { return }
                    post.yield(.timeout)
                }
            }
            let watcher = Task {
                for await event in events {
                    verification.stop()
                    return Interruption?.some(event)
                }
                return nil
            }
            let (outcome, summary) = await verification.run()
            group.cancelAll()
            post.finish()
            return (outcome, summary, await watcher.value)
        }
        if case .consoleLost = reason { console.abandon() } else { console.drain(seconds: reason == nil ? nil : 1) }
        return report(verification, outcome, summary, reason, started.duration(to: .now))
    }

    private func makeVerification(
        _ configuration: VirtualMachineConfiguration, _ comparison: VerificationOptions
    ) throws -> Verification {
        do throws(ConfigurationError) {
            return try Verification(
                configuration, reference: EngineSelection(options.reference), against: EngineSelection(options.against),
                options: comparison)
        } catch {
            throw Failure(error)
        }
    }

    private func tellProgress(_ verification: Verification) async {
        var before: UInt64 = 0
        while (try? await Task.sleep(for: .seconds(Self.progressInterval))) != nil {
            let now = verification.instructions
            let rate = Double(now - before) / Self.progressInterval / 1e6
            say("\(now / 1_000_000) million instructions, the same so far" + String(format: " (%.1f million/s)", rate))
            before = now
        }
    }

    /// Says what came of it.
    private func report(
        _ verification: Verification, _ outcome: VirtualMachine.Outcome, _ summary: VerificationSummary,
        _ reason: Interruption?, _ time: Duration
    ) -> ExitStatus {
        if let difference = summary.difference {
            let lines = difference.report(
                reference: verification.reference, against: verification.against, again: VerifyCommand.again)
            write(lines: ["trapeze: " + lines[0]] + lines.dropFirst())
            return .difference
        }
        if let failure = summary.failure {
            say("the comparison cannot go on: \(failure.description)")
            return .error
        }
        let seconds = time / .seconds(1)
        let (reference, against) = (verification.reference, verification.against)
        say(
            "\(reference) and \(against) agree on \(summary.instructions) instructions (states compared "
                + "\(summary.comparisons) times, memory \(summary.memoryComparisons) times"
                + String(format: ", %.1f s, ", seconds)
                + String(format: "%.1f million/s)", Double(summary.instructions) / max(seconds, 1e-9) / 1e6))
        switch reason {
        case .timeout:
            say("the time limit of \(formatSeconds(options.timeout?.seconds ?? 0)) s is reached")
            return .timeout
        case .signal(let number): tz_signals_end_by(number)
        case .consoleLost(let error):
            say("serial console: \(String(cString: strerror(error)).lowercasedFirst)")
            return .error
        case nil:
            say("the guest's end: \(RunEnd.machine(outcome).name)")
            return .success
        }
    }
}

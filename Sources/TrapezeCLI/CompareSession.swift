// One comparison, from options to an exit status: progress while it runs, then the table and the verdict.

import CTerminal
import DebianGuest
import Foundation
import Synchronization
import Trapeze

struct CompareSession {
    let options: CompareCommand

    func run() async throws -> ExitStatus {
        guard options.repeats > 0 else { throw Failure("--repeat needs a number of 1 or more") }
        let names = try options.engineNames()
        if options.machine.guest == debianName, options.machine.command.isEmpty {
            throw Failure("'compare debian' needs a command after --: the guest has no input")
        }
        let report = try options.json.map { try ReportFile(path: $0, what: "report") }
        var configuration = options.machine.makeConfiguration()
        configuration.clockSource = options.clock
        let guest = try options.machine.prepareGuest(for: configuration, console: GuestConsole())
        configuration.bootLoader = guest.bootLoader
        let progress = ProgressLine()
        defer { progress.clear() }
        let result: EngineComparisonResult
        do throws(ConfigurationError) {
            let comparison = try EngineComparison(
                configuration, engines: names, repeats: options.repeats, timeLimit: options.timeout?.seconds)
            result = try await comparison.run { progress.show($0) }
        } catch {
            throw Failure(error)
        }
        progress.clear()
        let table = ComparisonTable(guest: guest.name, options: options, result: result)
        for line in table.lines { print(line) }
        try report?.write(ComparisonReport(guest: guest.name, options: options, result: result).text)
        return status(result)
    }

    private func status(_ result: EngineComparisonResult) -> ExitStatus {
        if !result.findings.isEmpty { return .difference }
        if result.timedOut { return .timeout }
        if result.ran.isEmpty {
            say("none of the engines can run this guest here")
            return .engineUnavailable
        }
        let failed = result.ran.contains { contender in
            contender.runs.contains { if case .failed = $0.outcome { true } else { false } }
        }
        return failed ? .error : .success
    }
}

/// A line on the terminal that says which run goes on and for how long. Nothing, where standard error is no terminal.
private final class ProgressLine: Sendable {
    private struct State {
        var text: String?
        var start = ContinuousClock.now
        var finished = false
    }

    private let state = Mutex(State())
    private let isShown = isatty(STDERR_FILENO) == 1

    init() {
        guard isShown else { return }
        let thread = Thread { [weak self] in
            while let self, self.draw() { usleep(200_000) }
        }
        thread.name = "progress"
        thread.start()
    }

    func show(_ progress: EngineComparison.Progress) {
        state.withLock {
            $0.text = "run \(progress.run) of \(progress.runs): \(progress.engine)"
            $0.start = .now
        }
        _ = draw()
    }

    /// Takes the line away for good.
    func clear() {
        state.withLock { state in
            guard isShown, !state.finished else { return }
            state.finished = true
            put("\r\u{1b}[K")
        }
    }

    /// False when there is nothing more to draw.
    private func draw() -> Bool {
        state.withLock { state in
            guard isShown, !state.finished else { return false }
            guard let text = state.text else { return true }
            let seconds = state.start.duration(to: .now) / .seconds(1)
            put("\r" + text + String(format: ", %.1f s", seconds) + "\u{1b}[K")
            return true
        }
    }

    private func put(_ text: String) {
        // Standard error that can't be written to leaves nobody to tell.
        _ = Array(text.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

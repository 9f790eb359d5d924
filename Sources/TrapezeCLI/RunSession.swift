// One run, from a configuration to an exit status: wires the console, starts the machine, and waits for whatever ends
// it first: the guest, the time limit, the user, a signal, or a console that can't be written to.

import CTerminal
import Foundation
import Synchronization
import Trapeze

/// What ended a run.
enum RunEnd: Equatable {
    /// The guest, or its engine.
    case machine(VirtualMachine.Outcome)
    case timeout
    /// Ctrl-A x.
    case quit
    case signal(Int32)
    /// Writing the console failed with this `errno` value.
    case consoleLost(Int32)
}

struct RunSession {
    let options: RunCommand
    let guest: GuestToRun

    /// Runs the guest to its end.
    ///
    /// - Returns: the status to exit with.
    /// - Throws: `Failure` for everything that keeps it from running.
    func run() async throws -> ExitStatus {
        let report = try options.stats.map { try ReportFile(path: $0) }
        let (events, post) = AsyncStream.makeStream(of: RunEnd.self)
        let console = try openConsole(post)
        let trace = try options.trace?.open()
        let machine = try makeMachine(console, trace)
        if options.engine == "auto" { say("engine \(machine.engine.name) (\(machine.engine.reason))") }
        if let endpoint = machine.debugEndpoint {
            say("gdb: target remote \(endpoint.description)" + (options.wait ? " (the guest waits for it)" : ""))
        }

        let signals = try SignalPipe { post.yield(.signal($0)) }
        defer { signals.close() }
        if options.serial == .stdio { try Terminal.enterRawMode() }
        defer { Terminal.restore() }
        let started = ContinuousClock.now
        await machine.start()
        Task { post.yield(.machine(await machine.wait())) }
        if let limit = options.timeout {
            Task {
                try await Task.sleep(for: .seconds(limit.seconds))
                post.yield(.timeout)
            }
        }

        var end = RunEnd.quit
        for await event in events {
            end = event
            break
        }
        await finish(machine, console, end)
        let wall = started.duration(to: .now)
        // What the guest printed last may have been lost on the way out, which only now is known.
        if case .machine = end, let error = console.failure { end = .consoleLost(error) }
        Terminal.restore()

        var status = end.status(onReset: options.onReset)
        if let message = end.message(options, engine: machine.engine.name) { say(message) }
        let statistics = Statistics(
            options: options, guest: guest.name, machine: machine, end: end, status: status, wall: wall)
        if options.verbose { say(statistics.summary) }
        do {
            if let error = trace?.finish() {
                say(error.description)
                status = .error
            }
            try report?.write(statistics.json)
        } catch let failure as Failure {
            say(failure.message)
            status = .error
        }
        if case .signal(let number) = end { tz_signals_end_by(number) }
        return status
    }

    private func makeMachine(_ console: Console, _ trace: TraceFile?) throws -> VirtualMachine {
        var configuration = try options.makeConfiguration()
        configuration.bootLoader = guest.bootLoader
        configuration.serialPort = console.attachment
        configuration.holdsSerialInput = guest.holdsInput
        configuration.trace = trace
        do throws(ConfigurationError) {
            return try VirtualMachine(configuration: configuration)
        } catch {
            throw Failure(error)
        }
    }

    private func openConsole(_ post: AsyncStream<RunEnd>.Continuation) throws -> Console {
        try Console(options.serial, endOfInput: guest.endOfInput) { event in
            switch event {
            case .quit: post.yield(.quit)
            case .help: write(lines: EscapeKeys.help)
            case .lost(let error): post.yield(.consoleLost(error))
            }
        }
    }

    /// Stops the machine and sees to it that what the guest printed is written. Whoever reads the console may take
    /// their time after an ending of the guest's own, but can't keep a run from ending by time limit or by the user.
    private func finish(_ machine: VirtualMachine, _ console: Console, _ end: RunEnd) async {
        if case .machine = end {
            console.drain(seconds: nil)
            return
        }
        await machine.stop()
        if !console.drain(seconds: 1) { console.abandon() }
        _ = await machine.wait()
        console.drain(seconds: 1)
    }
}

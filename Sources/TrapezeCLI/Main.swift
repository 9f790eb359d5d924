// The entry point: arguments in, an exit status out. Everything that can go wrong ends here as one line on standard
// error, so no command prints errors or exits by itself.

import ArgumentParser
import CTerminal
import Foundation
import Trapeze

@main
enum Main {
    static func main() async {
        tz_signals_install()
        reserveStandardDescriptors()
        let status = await run(Array(CommandLine.arguments.dropFirst()))
        exit(Int32(status.rawValue))
    }

    private static func run(_ arguments: [String]) async -> ExitStatus {
        do {
            try checkCommandName(arguments)
            var command = try TrapezeCommand.parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return .success
        } catch let status as ExitStatus {
            return status
        } catch let failure as Failure {
            say(failure.message)
            return failure.status
        } catch {
            if TrapezeCommand.exitCode(for: error) == .success {
                print(TrapezeCommand.fullMessage(for: error))
                return .success
            }
            let lines = TrapezeCommand.message(for: error).split(whereSeparator: \.isNewline)
            say(lines.joined(separator: " "))
            return .error
        }
    }

    /// ArgumentParser only says that the argument is unexpected.
    private static func checkCommandName(_ arguments: [String]) throws {
        let known = TrapezeCommand.configuration.subcommands.compactMap { $0.configuration.commandName }
        guard let name = arguments.first, !name.hasPrefix("-"), !known.contains(name), name != "help" else { return }
        throw Failure(
            "unknown command '\(name)'\(suggestion(for: name, among: known)); known: \(known.joined(separator: ", "))")
    }

    /// Descriptors 0 to 2 that the parent closed are taken, so that no file of ours becomes standard input or output
    /// by chance. Using them fails, as it does while they are closed.
    private static func reserveStandardDescriptors() {
        for descriptor in Int32(0)...2 where fcntl(descriptor, F_GETFD) < 0 {
            _ = open("/dev/null", descriptor == 0 ? O_WRONLY : O_RDONLY)
        }
    }
}

/// The command `trapeze`.
struct TrapezeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trapeze",
        abstract: "Runs x86-64 virtual machines, by whichever way to virtualize a CPU you choose.",
        discussion: """
            `trapeze run` shows a machine from its reset vector to ring 3; `trapeze run debian` boots Debian's own \
            kernel to a shell. On a terminal, Ctrl-A x ends a run.

            Exit status of a run: what the guest writes to its exit port; 0 after a power-off; 124 on timeout; 125 for \
            an error of Trapeze's or in its arguments; 126 when the engine asked for is not available; 255 after a \
            triple fault or a panic.
            """,
        version: "trapeze \(trapezeVersion)",
        subcommands: [
            RunCommand.self, VerifyCommand.self, CompareCommand.self, ExplainCommand.self, GuestsCommand.self,
            DoctorCommand.self,
        ])
}

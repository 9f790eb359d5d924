// `trapeze verify`: one machine on two engines at once, compared as they go.

import ArgumentParser
import CTerminal
import DebianGuest
import Foundation
import Trapeze

/// Compares two engines.
struct VerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Runs a guest on two engines in lockstep and stops at the first difference between them.",
        usage: """
            trapeze verify --against ENGINE [--reference ENGINE] [GUEST] [options]
            trapeze verify --against ENGINE debian [options] -- COMMAND ...
            trapeze verify --against ENGINE --kernel FILE [--initrd FILE] [--append TEXT] [options]
            """,
        discussion: """
            The reference engine leads and owns the devices; the other one has memory of its own and gets the same inputs \
            at the same instructions. Time is counted in instructions, so every run is the same. The guest has a console \
            to write to, and no input.

            States are compared at every event (a timer, a halt, the end of a vCPU's turn), or more closely as --grain or \
            --every say; memory at intervals and at the end. A difference is narrowed down to the instruction by going \
            from the last place where everything was the same again: what you see are both states after it, what led \
            there, and how to run it again.

            Exit status: 0 if the engines agree, however the guest ends; 1 if they differ; 124 if the time limit came \
            first; 125 for an error; 126 when an engine is not available.
            """)

    @Option(help: ArgumentHelp("The engine that is taken to be right.", valueName: "engine"))
    var reference = "interpret"

    @Option(help: ArgumentHelp("The engine that is compared with it; it may be the same.", valueName: "engine"))
    var against: String

    @Option(help: ArgumentHelp("Compare states at every event, block or instruction.", valueName: "grain"))
    var grain: Grain?

    @Option(help: ArgumentHelp("Compare states after so many instructions.", valueName: "number"))
    var every: UInt64?

    @Option(
        help: ArgumentHelp("Compare at events only, up to this instruction (of all vCPUs).", valueName: "number"))
    var fromInstruction: UInt64 = 0

    @OptionGroup var machine: GuestOptions

    @Option(
        help: ArgumentHelp(
            "Where the guest's console goes: stdio (output alone), null or file=PATH.", valueName: "where"),
        transform: SerialOption.init(parsing:))
    var serial = SerialOption.stdio

    @Option(
        help: ArgumentHelp("End after so many seconds, with status 124.", valueName: "seconds"),
        transform: TimeLimit.init(parsing:))
    var timeout: TimeLimit?

    /// How closely states are compared.
    enum Grain: String, ExpressibleByArgument, CaseIterable {
        case event, block, instruction
    }

    func run() async throws {
        let status = try await VerifySession(options: self).run()
        if status != .success { throw status }
    }

    /// The options of the comparison itself.
    func comparison() throws -> VerificationOptions {
        var options = VerificationOptions()
        options.fromInstruction = fromInstruction
        if grain != nil, every != nil { throw Failure("--grain and --every exclude each other") }
        switch grain {
        case .event, nil: break
        case .block: options.grain = .block
        case .instruction: options.grain = .instruction
        }
        if let every {
            guard every > 0 else { throw Failure("--every needs a number of 1 or more") }
            options.grain = .every(every)
        }
        return options
    }

    /// This command line with other options of narrowing.
    static func again(_ options: String) -> String {
        var words: [String] = []
        var command: [String] = []
        var arguments = CommandLine.arguments.dropFirst()
        while let word = arguments.popFirst() {
            if word == "--" {
                command = [word] + arguments
                break
            }
            let narrowing = ["--from-instruction", "--grain", "--every"]
            if narrowing.contains(word) {
                arguments = arguments.dropFirst()
            } else if !narrowing.contains(where: { word.hasPrefix($0 + "=") }) {
                words.append(word)
            }
        }
        return (["trapeze"] + words.map(quoted) + [options] + command.map(quoted)).joined(separator: " ")
    }

    private static func quoted(_ word: String) -> String {
        let plain = word.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_=./:,+@%".contains($0)) }
        return plain && !word.isEmpty ? word : "'" + word.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}

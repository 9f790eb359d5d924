// `trapeze explain`: the options. The run is in `ExplainSession.swift`, what is shown of a block in `ExplainReport.swift`.

import ArgumentParser
import Trapeze

/// Shows what the translator makes of a guest's code.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract:
            "Runs a guest on the translator and shows what became of its code: guest code, operations, host code.",
        usage: """
            trapeze explain [GUEST] [--hottest N] [options]
            trapeze explain debian [--symbols FILE --symbol NAME] [options] -- COMMAND ...
            trapeze explain --kernel FILE [--address ADDRESS] [options]
            """,
        discussion: """
            Shown are the blocks that executed the most instructions, or all that have code at an address or of a symbol. \
            For each: how often it ran, how much larger its host code is, the jumps to it and out of it, the guest's \
            instructions, the translator's operations after lowering and after each pass, and the host code of each \
            operation, with what lies out of line behind. Docs/translator.md reads one aloud.

            The run ends by itself, by --timeout, or by Ctrl-C; then the blocks are shown. Code that ran no more than twice \
            was interpreted, and is not there to be shown. With --symbols, a Linux kernel is given the parameter nokaslr, \
            so that its addresses are those of the file.
            """)

    @OptionGroup var machine: GuestOptions

    @Option(
        help: ArgumentHelp("Show this many of the blocks that executed the most instructions.", valueName: "number"))
    var hottest: Int?

    @Option(
        help: ArgumentHelp(
            "Show the blocks with code at this linear address (0x for hexadecimal).", valueName: "address"),
        transform: GuestAddress.init(parsing:))
    var address: GuestAddress?

    @Option(help: ArgumentHelp("Show the blocks of this symbol of --symbols.", valueName: "name"))
    var symbol: String?

    @Option(
        help: ArgumentHelp("Names of the guest's addresses, as in System.map or /proc/kallsyms.", valueName: "file"))
    var symbols: String?

    @Option(help: ArgumentHelp("Write what is shown as JSON to this file as well.", valueName: "file"))
    var json: String?

    @Option(
        help: ArgumentHelp(
            "Where the guest's console goes: null, stdio (output alone) or file=PATH.", valueName: "where"),
        transform: SerialOption.init(parsing:))
    var serial = SerialOption.null

    @Option(
        help: ArgumentHelp(
            "What drives the guest's time: host, or instructions (code then counts them).", valueName: "source"))
    var clock = ClockSource.host

    @Option(
        help: ArgumentHelp("End the run after so many seconds.", valueName: "seconds"),
        transform: TimeLimit.init(parsing:))
    var timeout: TimeLimit?

    func run() async throws {
        let chosen = [
            hottest.map { _ in "--hottest" }, address.map { _ in "--address" }, symbol.map { _ in "--symbol" },
        ]
        .compactMap { $0 }
        if chosen.count > 1 { throw Failure("\(chosen[0]) and \(chosen[1]) exclude each other") }
        if symbol != nil, symbols == nil { throw Failure("--symbol needs --symbols, the file that has it") }
        if let hottest, hottest < 1 { throw Failure("--hottest needs a number of 1 or more") }
        if machine.guest == debianName, machine.command.isEmpty, timeout == nil {
            throw Failure("'explain debian' needs a command after --, or --timeout: the guest has no input")
        }
        try await ExplainSession(options: self).run()
    }
}

/// An address on the command line: `--address`.
struct GuestAddress: Equatable {
    var value: UInt64

    init(parsing text: String) throws {
        let digits = text.lowercased()
        let value = digits.hasPrefix("0x") ? UInt64(digits.dropFirst(2), radix: 16) : UInt64(digits)
        guard let value else { throw ValidationError("an address is a number, with 0x before hexadecimal digits") }
        self.value = value
    }
}

// `trapeze compare`: one guest under each engine in turn. The runs and the verdict are in `CompareSession.swift`.

import ArgumentParser
import Trapeze

/// Compares engines on one guest.
struct CompareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Runs a guest under each engine in turn and prints their times and counters in one table.",
        usage: """
            trapeze compare [GUEST] [--engines LIST] [--repeat N] [--json FILE] [options]
            trapeze compare debian [options] -- COMMAND ...
            trapeze compare --kernel FILE [--initrd FILE] [--append TEXT] [options]
            """,
        discussion: """
            The engines take turns, so that what else the host does falls on all of them. An engine that cannot run here \
            is in the table with the reason. Figures are medians, with the least and the greatest in parentheses.

            Engines must agree on how the guest ends and on every line of its console that it marks as a result:

              result: 42 files, checksum 1a2b                  must be the same everywhere
              measured: write = 12.5 MB/s                      a number for the table; it may differ

            so in a shell in Debian it takes an `echo`. All other lines are compared for you to see, and decide nothing. \
            The guest has no input.

            Try `trapeze compare nano` for the classic costs of virtualization, operation by operation. \
            Docs/compare.md explains the table and the JSON.

            Exit status: 0 if the engines agree, however the guest ends; 1 if they do not; 124 if a run reached its time \
            limit; 125 for an error; 126 when none of the engines can run here.
            """)

    @OptionGroup var machine: GuestOptions

    @Option(
        help: ArgumentHelp("The engines, in this order, with commas between; all if not given.", valueName: "list"))
    var engines: String?

    @Option(name: .customLong("repeat"), help: ArgumentHelp("Runs on each engine.", valueName: "number"))
    var repeats = 3

    @Option(help: ArgumentHelp("Write everything as JSON to this file at the end.", valueName: "file"))
    var json: String?

    @Option(
        help: ArgumentHelp(
            "What drives the guest's time: host, or instructions (every run is then the same).", valueName: "source"))
    var clock = ClockSource.host

    @Option(
        help: ArgumentHelp("End each run after so many seconds.", valueName: "seconds"),
        transform: TimeLimit.init(parsing:))
    var timeout: TimeLimit?

    func run() async throws {
        let status = try await CompareSession(options: self).run()
        if status != .success { throw status }
    }

    /// The engines that were asked for; nil for all.
    func engineNames() throws -> [String]? {
        guard let engines else { return nil }
        let names = engines.split(separator: ",", omittingEmptySubsequences: false).map {
            $0.filter { $0 != " " }
        }
        for (index, name) in names.enumerated() {
            if name.isEmpty { throw Failure("--engines needs names with one comma between them") }
            if name == "auto" {
                throw Failure("'auto' is no engine but a choice of one; `trapeze doctor` lists the engines")
            }
            if names[..<index].contains(name) { throw Failure("engine '\(name)' is given twice") }
        }
        return names
    }
}

// `trapeze run`: the options, and what each is called. What they mean for the machine is in
// `GuestOptions+Configuration.swift`, the run itself in `RunSession.swift`.

import ArgumentParser
import DebianGuest
import Trapeze

/// Runs a guest.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Runs a guest: an embedded one, Debian, or a kernel or firmware of yours.",
        usage: """
            trapeze run [GUEST] [options]
            trapeze run debian [options] [-- COMMAND ...]
            trapeze run --kernel FILE [--initrd FILE] [--append TEXT] [options]
            """,
        discussion: """
            Without arguments it runs the embedded guest `tour`. The guest's console is standard input and output; on a \
            terminal, Ctrl-A x ends the run and Ctrl-A h shows the keys. The end of input leaves the guest running.
            """)

    @OptionGroup var machine: GuestOptions

    @Option(help: ArgumentHelp("The engine: auto, or one that `trapeze doctor` lists.", valueName: "name"))
    var engine = "auto"

    @Option(
        help: ArgumentHelp("The serial console: stdio, null or file=PATH.", valueName: "where"),
        transform: SerialOption.init(parsing:))
    var serial = SerialOption.stdio

    @Option(
        help: ArgumentHelp(
            "What drives the guest's time: host, or instructions (every run is then the same).", valueName: "source"))
    var clock = ClockSource.host

    @Option(
        help: ArgumentHelp("End the run after so many seconds, with status 124.", valueName: "seconds"),
        transform: TimeLimit.init(parsing:))
    var timeout: TimeLimit?

    @Option(help: ArgumentHelp("Write counters as JSON to this file at the end.", valueName: "file"))
    var stats: String?

    @Option(
        help: ArgumentHelp(
            "Write down events inside the guest, one line each: any of \(TraceOption.names), or all (everything but "
                + "instructions). FILE is trapeze.trace if not given; - is standard error.", valueName: "list[=file]"),
        transform: TraceOption.init(parsing:))
    var trace: TraceOption?

    @Option(
        help: ArgumentHelp("When the guest resets: restart, exit, or exit:CODE.", valueName: "action"),
        transform: ResetOption.init(parsing:))
    var onReset = ResetOption.exit(0)

    @Option(
        help: ArgumentHelp(
            "Listen for GDB (`target remote`), by default on \(DebugEndpoint.localHost) only; see Docs/debugging.md.",
            valueName: "[address:]port"),
        transform: DebugEndpoint.init(parsing:))
    var gdb: DebugEndpoint?

    @Flag(help: "With --gdb: the guest does not begin before the debugger lets it continue.")
    var wait = false

    @Flag(
        help:
            "Write /tmp/perf-PID.map, by which Linux perf names translated code; with --symbols, by the guest's names.")
    var perfMap = false

    @Option(
        help: ArgumentHelp(
            "With --perf-map: names of the guest's addresses, as in System.map or /proc/kallsyms.", valueName: "file"))
    var symbols: String?

    @Flag(name: [.short, .long], help: "Print a one-line summary of the run on standard error.")
    var verbose = false

    /// The machine, with nothing to boot yet and its serial port not wired.
    func makeConfiguration() throws -> VirtualMachineConfiguration {
        var configuration = machine.makeConfiguration()
        configuration.engine = EngineSelection(engine)
        configuration.clockSource = clock
        configuration.debugServer = gdb.map { DebugServerConfiguration(endpoint: $0, waitsForDebugger: wait) }
        configuration.resetBehavior = onReset == .restart ? .restart : .stop
        configuration.timesStages = stats != nil
        if perfMap {
            let table = try symbols.map(SymbolTable.init(path:))
            configuration.performanceMap = { table?.name(of: $0) }
        }
        return configuration
    }

    func run() async throws {
        if wait, gdb == nil { throw Failure("--wait goes with --gdb: it waits for a debugger") }
        if symbols != nil, !perfMap { throw Failure("--symbols goes with --perf-map") }
        let console = serial == .stdio ? Terminal.console() : GuestConsole()
        let guest = try machine.prepareGuest(for: makeConfiguration(), console: console)
        let status = try await RunSession(options: self, guest: guest).run()
        if status != .success { throw status }
    }
}

// `trapeze run`: the options, and what each is called. What they mean for the machine is in
// `RunCommand+Configuration.swift`, the run itself in `RunSession.swift`.

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

    @Argument(help: ArgumentHelp("An embedded guest (see `trapeze guests`), or `debian`.", valueName: "guest"))
    var guest: String?

    @Argument(
        parsing: .postTerminator,
        help: ArgumentHelp(
            "After `--`: a command for Debian to run; its exit status becomes Trapeze's.", valueName: "command"))
    var command: [String] = []

    @Option(help: ArgumentHelp("The engine: auto, or one that `trapeze doctor` lists.", valueName: "name"))
    var engine = "auto"

    @Option(
        name: [.long, .customLong("kernel", withSingleDash: true)],
        help: ArgumentHelp(
            "A kernel to boot: a Linux bzImage, a vmlinux (PVH), or a Multiboot kernel.", valueName: "file"))
    var kernel: String?

    @Option(
        name: [.long, .customLong("initrd", withSingleDash: true)],
        help: ArgumentHelp(
            "The initial RAM disk; for a Multiboot kernel its modules, as \"FILE ARGUMENTS,FILE...\".",
            valueName: "file"))
    var initrd: String?

    @Option(
        name: [.long, .customLong("append", withSingleDash: true)], parsing: .unconditional,
        help: ArgumentHelp("The kernel's command line; for Debian, added to it.", valueName: "text"))
    var append: String?

    @Option(
        name: [.long, .customLong("bios", withSingleDash: true)],
        help: ArgumentHelp("A firmware image to start at the reset vector.", valueName: "file"))
    var firmware: String?

    @Option(help: ArgumentHelp("A flat binary to load at 0x7c00 and enter there in real mode.", valueName: "file"))
    var flat: String?

    @Option(
        help: ArgumentHelp(
            "Which of Debian's kernels: cloud, general, or the newer cloud-backports or general-backports.",
            valueName: "choice"))
    var debianKernel: DebianKernel?

    @Option(
        help: ArgumentHelp(
            "A userland for Debian's kernel, a folder or an initramfs archive, in place of busybox alone.",
            valueName: "path"))
    var userland: String?

    @Option(
        name: [.long, .customShort("m")],
        help: ArgumentHelp("Memory, in MiB or with a suffix K, M, G or T.", valueName: "size"),
        transform: MemorySize.init(parsing:))
    var memory = MemorySize(bytes: 512 << 20)

    @Option(
        name: [.customLong("cpus"), .customLong("smp", withSingleDash: true)],
        help: ArgumentHelp(
            "Number of vCPUs, 1 to 64; 1, or what an embedded guest needs, if not given.", valueName: "number"))
    var cpus: Int?

    @Option(
        help: ArgumentHelp(
            """
            The CPU model: \(VirtualMachineConfiguration.cpuModels.joined(separator: ", ")); then, after commas, \
            +FEATURE, -FEATURE or vendor=intel|amd.
            """, valueName: "model"))
    var cpu = "host"

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
        help: ArgumentHelp(
            "The exit status for a value V that the guest writes to port 0xf4: value (V), or isa-debug ((V<<1)|1, as "
                + "QEMU).", valueName: "mode"))
    var exitPort = ExitPortMode.value

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

    @Flag(name: [.short, .long], help: "Print a one-line summary of the run on standard error.")
    var verbose = false

    func run() async throws {
        let guest = try prepareGuest()
        let status = try await RunSession(options: self, guest: guest).run()
        if status != .success { throw status }
    }
}

extension DebianKernel: ExpressibleByArgument {}

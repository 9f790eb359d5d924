// userland-benchmark: Debian's programs on a Trapeze engine and on QEMU's TCG, side by side: the same kernel, initramfs and
// script. This file is the command line and the order of events; `Workload` is the script.

import ArgumentParser
import BenchmarkSupport
import DebianGuest
import Foundation

@main
struct UserlandBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "userland-benchmark",
        abstract: "Times Debian's programs on Trapeze and on QEMU's TCG.",
        discussion: """
            Every contender boots Debian's cloud kernel with one initramfs and runs one script; they take turns. QEMU runs \
            as '-cpu max' and as '-cpu qemu64', and the faster counts. Times are taken on the host, when the line that \
            begins or ends a row comes out of the console, so that no guest's clock is trusted. 'boot' is from the start \
            of the process to the first line of the initramfs. What a row prints must be the same everywhere, or the \
            benchmark ends with an error.

            Without --userland the initramfs is busybox, which has the first rows' programs alone. With it, it is a Debian \
            in a folder, for all rows with python3, openssl, sqlite3 and gcc; as root, with the archive that apt is \
            configured for:

              debootstrap --variant=minbase --include=python3,openssl,sqlite3,gcc,libc6-dev bookworm FOLDER \\
                "$(apt-get indextargets --format '$(SITE)' 'Codename: bookworm' | head -n 1)"
              rm -r FOLDER/var/cache/apt/archives FOLDER/usr/share/doc FOLDER/usr/share/locale

              swift run -c release userland-benchmark
              swift run -c release userland-benchmark --userland FOLDER
              swift run -c release userland-benchmark --userland FOLDER --rows gcc,sort --repeats 3
            """)

    @Option(help: ArgumentHelp("The trapeze program. (default: beside this one)", valueName: "path"))
    var trapeze: String?

    @Option(help: ArgumentHelp("The engine that Trapeze uses.", valueName: "name"))
    var engine = "translate"

    @Option(help: ArgumentHelp("QEMU programs, with commas between.", valueName: "paths"))
    var qemu = "qemu-system-x86_64"

    @Option(help: ArgumentHelp("A folder with a Debian userland, instead of busybox.", valueName: "folder"))
    var userland: String?

    @Option(help: ArgumentHelp("Only these rows, with commas between; boot is always there.", valueName: "names"))
    var rows: String?

    @Option(help: ArgumentHelp("How often each contender runs.", valueName: "n"))
    var repeats = 5

    @Option(
        help: ArgumentHelp(
            "Guest RAM. (default: 512, and with --userland 2048, for the archive and its files)", valueName: "MiB"))
    var memory: Int?

    @Option(help: ArgumentHelp("The longest time that one run may take.", valueName: "seconds"))
    var timeout = 600

    @Option(help: ArgumentHelp("Writes every measurement to a file too.", valueName: "file"))
    var json: String?

    @Flag(help: "Ends with status 1 if a limit is missed.")
    var enforce = false

    @Option(help: ArgumentHelp("Limit: the geometric mean of speeds relative to QEMU, boot apart.", valueName: "ratio"))
    var meanAtLeast = 2.5

    @Option(help: ArgumentHelp("Limit: the speed of every row relative to QEMU.", valueName: "ratio"))
    var rowAtLeast = 0.95

    @Option(help: ArgumentHelp("Limit: the speed of the boot relative to QEMU.", valueName: "ratio"))
    var bootAtLeast = 1.0

    private static let marker = "userland-benchmark: the initramfs is here"

    func validate() throws {
        guard repeats > 0 else { throw ValidationError("--repeats must be 1 or more") }
        guard memory ?? 1 > 0 else { throw ValidationError("--memory must be 1 or more") }
        guard timeout > 0 else { throw ValidationError("--timeout must be 1 or more") }
        for name in chosen where !Workload.all.contains(where: { $0.name == name }) {
            throw ValidationError(
                "--rows: there is no row '\(name)'; known: \(Workload.all.map(\.name).joined(separator: ", "))")
        }
    }

    private var chosen: [String] { rows?.split(separator: ",").map(String.init) ?? Workload.all.map(\.name) }

    func run() throws {
        // What is missing is said before anything is downloaded.
        let trapezePath = try Programs.own("trapeze", named: trapeze)
        let qemus = try QEMU.list(qemu)
        let guest = try prepare()
        let archive = FileManager.default.temporaryDirectory.appending(path: "userland-benchmark-\(getpid())")
        guard FileManager.default.createFile(atPath: archive.path, contents: Data(guest.initrd)) else {
            throw Failure("\(archive.path): cannot be written")
        }
        defer { try? FileManager.default.removeItem(at: archive) }

        let memoryMiB = memory ?? (userland == nil ? 512 : 2048)
        var contenders = [
            ProgramRun(
                name: engine, path: trapezePath,
                arguments: [
                    "run", "--engine", engine, "--memory", "\(memoryMiB)M", "--kernel", guest.kernelPath, "--initrd",
                    archive.path, "--append", guest.commandLine,
                ])
        ]
        contenders += qemus.flatMap {
            $0.contenders(
                memoryMiB: memoryMiB,
                boot: ["-kernel", guest.kernelPath, "-initrd", archive.path, "-append", guest.commandLine])
        }
        var outcomes = Outcomes(contenders: contenders.map { ($0.name, $0.name == engine ? .subject : .rival) })
        for round in 1...repeats {
            for (index, contender) in contenders.enumerated() {
                say("run \(round) of \(repeats): \(contender.name)")
                try add(try contender.lines(timeout: timeout), to: &outcomes, of: index, name: contender.name)
            }
        }
        if let json { try outcomes.write(to: json) }
        print(
            "Debian's kernel \(guest.release), \(userland == nil ? "busybox" : "a Debian userland"), \(memoryMiB) MiB")
        print("host: \(hostCPU); medians of \(repeats) in seconds\n")

        var missed = outcomes.printTable("", format: "%.3f", counting: { $0 != "boot" }) {
            $0 == "boot" ? bootAtLeast : rowAtLeast
        }
        if let speed = outcomes.means(where: { $0 != "boot" }).speed, speed < meanAtLeast {
            missed.append(String(format: "the mean is %.2f times QEMU's speed, less than ", speed) + "\(meanAtLeast)")
        }
        for text in missed { print("missed: \(text)") }
        if enforce, !missed.isEmpty { throw ExitCode(1) }
    }

    /// Takes what a run printed.
    private func add(_ lines: [ProgramRun.Line], to outcomes: inout Outcomes, of index: Int, name: String) throws {
        guard let first = lines.first(where: { $0.text.contains(Self.marker) }) else {
            throw Failure("\(name): the initramfs did not say that it is there")
        }
        try outcomes.add("boot", checksum: nil, time: first.time, of: index)
        func words(_ mark: String) -> [(words: [String], time: Double)] {
            lines.filter { $0.text.hasPrefix(mark) }
                .map { ($0.text.dropFirst(mark.count).split(separator: " ").map(String.init), $0.time) }
        }
        let (begins, ends, results) = (words("begin: "), words("end: "), words("result: "))
        for row in chosen {
            guard let begin = begins.first(where: { $0.words == [row] }) else { continue }
            guard let end = ends.first(where: { $0.words == [row] }),
                let result = results.first(where: { $0.words.first == row && $0.words.count == 2 })
            else { throw Failure("\(name): \(row) did not end") }
            try outcomes.add(row, checksum: result.words[1], time: end.time - begin.time, of: index)
        }
    }

    private func prepare() throws -> PreparedGuest {
        var options = DebianGuestOptions()
        let script = Workload.script(Workload.all.filter { chosen.contains($0.name) })
        options.command = ["sh", "-c", script].map { Array($0.utf8) }
        options.firstLine = Self.marker
        // A console that sends without waiting for a reader, and changes nothing.
        options.console = GuestConsole(inputIsTerminal: true, outputIsTerminal: false)
        if let userland {
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: userland + "/bin/sh", isDirectory: &isFolder) else {
                throw Failure("\(userland): no userland, since it has no /bin/sh; --help says how to make one")
            }
            options.userland = .folder(userland)
        }
        do throws(DebianGuestError) {
            return try DebianGuest.prepare(options) { say($0) }
        } catch {
            throw Failure(error.description)
        }
    }
}

// boot-benchmark: how long Debian takes from the start of the process to the first line that its initramfs prints, on
// Trapeze and on QEMU's TCG, with the same kernel, initramfs and command line. This file is the command line and the
// order of events; a single boot is `TimedBoot`, what is compared is `Contender`, the table is `Report`.

import ArgumentParser
import BenchmarkSupport
import DebianGuest
import Foundation

@main
struct BootBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "boot-benchmark",
        abstract: "Times a boot of Debian on Trapeze and on QEMU's TCG, and prints the ratio.",
        discussion: """
            Measured is the time from the start of the process to the first line that the initramfs prints: one vCPU, \
            the same kernel, initramfs and quiet command line for all. The contenders take turns, so that a host that \
            grows slower meets all of them. QEMU runs as '-cpu max' and as '-cpu qemu64'; the ratio is to the faster.

            Without --kernel, Debian's cloud kernel and busybox are fetched through apt into the user's cache, as \
            'trapeze run debian' does. With --kernel and --initrd, say by --marker what the initramfs prints first.

            Build for release, and leave the host alone meanwhile:

              swift run -c release boot-benchmark
              swift run -c release boot-benchmark --repeats 5 --at-most 25
            """)

    @Option(help: ArgumentHelp("The trapeze program. (default: beside this one)", valueName: "path"))
    var trapeze: String?

    @Option(help: ArgumentHelp("The engine that Trapeze uses.", valueName: "name"))
    var engine = "interpret"

    @Option(help: ArgumentHelp("The QEMU program.", valueName: "path"))
    var qemu = "qemu-system-x86_64"

    @Option(help: ArgumentHelp("How often each contender boots.", valueName: "n"))
    var repeats = 3

    @Option(help: ArgumentHelp("Guest RAM.", valueName: "MiB"))
    var memory = 512

    @Option(help: ArgumentHelp("A kernel instead of Debian's; needs --initrd.", valueName: "file"))
    var kernel: String?

    @Option(help: ArgumentHelp("The initramfs for --kernel.", valueName: "file"))
    var initrd: String?

    @Option(help: ArgumentHelp("The text that ends a boot: part of the initramfs's first line.", valueName: "text"))
    var marker = "boot-benchmark: the initramfs is here"

    @Option(help: ArgumentHelp("The longest time that one boot may take.", valueName: "seconds"))
    var timeout = 600

    @Option(help: ArgumentHelp("Ends with status 1 if the ratio is greater than this.", valueName: "ratio"))
    var atMost: Double?

    func validate() throws {
        guard repeats > 0 else { throw ValidationError("--repeats must be 1 or more") }
        guard memory > 0 else { throw ValidationError("--memory must be 1 or more") }
        guard timeout > 0 else { throw ValidationError("--timeout must be 1 or more") }
        guard marker.contains(where: { $0 != " " }) else { throw ValidationError("--marker is blank") }
        guard (kernel == nil) == (initrd == nil) else {
            throw ValidationError("--kernel and --initrd go together")
        }
    }

    func run() throws {
        // What is missing is said before anything is downloaded.
        let trapezePath = try Programs.own("trapeze", named: trapeze)
        let qemuPath = try Programs.qemu(qemu)
        let folder = try TemporaryFolder()
        let boot = try prepare(in: folder)

        var contenders = [Contender.trapeze(path: trapezePath, engine: engine, boot: boot, folder: folder)]
        for model in ["max", "qemu64"] { contenders.append(.qemu(path: qemuPath, cpuModel: model, boot: boot)) }

        let report = Report(contenders: contenders.map(\.name))
        report.printHead(boot: boot, repeats: repeats)
        var results = [[BootTime]](repeating: [], count: contenders.count)
        for round in 1...repeats {
            for (index, contender) in contenders.enumerated() {
                let time = try contender.boot(until: marker, limit: .seconds(timeout), folder: folder)
                results[index].append(time)
                report.printBoot(round: round, contender: index, time)
            }
        }
        let ratio = report.printSummary(results)
        if let atMost, ratio > atMost {
            throw Failure("the ratio is greater than \(atMost)")
        }
    }

    // MARK: What is needed

    private func prepare(in folder: borrowing TemporaryFolder) throws -> Boot {
        if let kernel, let initrd {
            for path in [kernel, initrd] where !FileManager.default.isReadableFile(atPath: path) {
                throw Failure("\(path): no such file, or it cannot be read")
            }
            return Boot(
                kernel: kernel, initrd: initrd, commandLine: "console=ttyS0,115200 rdinit=/init panic=-1 quiet",
                memory: memory, title: kernel)
        }
        var options = DebianGuestOptions()
        options.command = [Array("true".utf8)]
        options.firstLine = marker
        let guest: PreparedGuest
        do throws(DebianGuestError) {
            guest = try DebianGuest.prepare(options) { say($0) }
        } catch {
            throw Failure(error.description)
        }
        return Boot(
            kernel: guest.kernelPath, initrd: try folder.write(guest.initrd, as: "initrd.cpio"),
            commandLine: guest.commandLine, memory: memory, title: "Debian's kernel \(guest.release)")
    }
}

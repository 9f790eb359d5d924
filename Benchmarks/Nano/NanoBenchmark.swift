// nano-benchmark: what single operations cost under Trapeze's engines and under QEMU's TCG, side by side. This file is the
// command line and the table.

import ArgumentParser
import BenchmarkSupport
import Comparison
import Foundation
import Guests

@main
struct NanoBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nano-benchmark",
        abstract: "Measures what single operations cost a guest, on Trapeze's engines and on QEMU's TCG.",
        discussion: """
            The guest is 'nano', the same image everywhere; Docs/compare.md says what each operation is. The contenders take \
            turns. The table has medians in nanoseconds, and the ratio of Trapeze's last engine to the faster QEMU: less \
            than 1 is a win.

              swift run -c release nano-benchmark
              swift run -c release nano-benchmark --engines translate --cpus 2
            """)

    @Option(help: ArgumentHelp("The trapeze program. (default: beside this one)", valueName: "path"))
    var trapeze: String?

    @Option(help: ArgumentHelp("The QEMU program.", valueName: "path"))
    var qemu = "qemu-system-x86_64"

    @Option(help: ArgumentHelp("Trapeze's engines, with commas between.", valueName: "list"))
    var engines = "interpret,translate"

    @Option(help: ArgumentHelp("How often each contender runs.", valueName: "n"))
    var repeats = 5

    @Option(help: ArgumentHelp("vCPUs; with 2 there is an IPI between them.", valueName: "n"))
    var cpus = 1

    @Option(help: ArgumentHelp("The longest time that one run may take.", valueName: "seconds"))
    var timeout = 60

    func validate() throws {
        guard repeats > 0 else { throw ValidationError("--repeats must be 1 or more") }
        guard cpus > 0 else { throw ValidationError("--cpus must be 1 or more") }
        guard timeout > 0 else { throw ValidationError("--timeout must be 1 or more") }
    }

    func run() throws {
        guard let guest = EmbeddedGuest.named("nano") else { throw Failure("no guest 'nano'") }
        let image = FileManager.default.temporaryDirectory
            .appending(path: "nano-benchmark-\(ProcessInfo.processInfo.processIdentifier)")
        try Data(guest.image).write(to: image)
        defer { try? FileManager.default.removeItem(at: image) }

        let program = try Programs.own("trapeze", named: trapeze)
        let ours = engines.split(separator: ",").map { engine in
            ProgramRun(
                name: String(engine), path: program,
                arguments: ["run", "nano", "--engine", String(engine), "--cpus", "\(cpus)"])
        }
        guard let subject = ours.last else { throw Failure("--engines names no engine") }
        let qemu = try Programs.qemu(qemu)
        let theirs = ["max", "qemu64"].map {
            ProgramRun.qemu(
                path: qemu, model: $0, memoryMiB: Int(guest.requirements.memory >> 20), cpus: cpus,
                boot: ["-kernel", image.path])
        }
        let contenders = ours + theirs
        var reports = contenders.map { _ in [GuestReport]() }
        for _ in 0..<repeats {
            for (index, contender) in contenders.enumerated() {
                reports[index].append(GuestReport(console: try contender.output(timeout: timeout)))
            }
        }

        /// The median in nanoseconds.
        func time(_ index: Int, _ operation: String) -> Double? {
            median(
                reports[index].flatMap(\.measurements).filter { $0.name == operation && $0.unit == "ns" }.map(\.value))
        }
        var operations: [String] = []
        for measurement in reports.joined().flatMap(\.measurements)
        where measurement.unit == "ns" && !operations.contains(measurement.name) { operations.append(measurement.name) }

        print("ns, medians of \(repeats)\n")
        var table = Table(head: [""] + contenders.map(\.name) + ["\(subject.name) / QEMU"])
        var ratios: [Double] = []
        for operation in operations {
            let values = contenders.indices.map { time($0, operation) }
            let best = values.suffix(theirs.count).compactMap { $0 }.min()
            let own = values[ours.count - 1]
            var ratio = "-"
            if let best, let own, best > 0, own > 0 {
                ratio = String(format: "%.2f", own / best)
                ratios.append(own / best)
            }
            table.add([operation] + values.map { $0.map { String(format: "%.1f", $0) } ?? "-" } + [ratio])
        }
        print(table.text)
        if let mean = geometricMean(ratios) { print(String(format: "geometric mean of the ratios: %.2f", mean)) }
    }
}

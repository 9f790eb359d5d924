// compute-benchmark: kernels of real code natively, on a Trapeze engine and on QEMU's TCG, side by side. This file is the
// command line and the order of events; `Limits` is what is asked of the outcome.

import ArgumentParser
import BenchmarkSupport
import Comparison
import Foundation
import Guests

@main
struct ComputeBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compute-benchmark",
        abstract: "Times kernels of real code natively, on Trapeze and on QEMU's TCG.",
        discussion: """
            The kernels are those of the guest 'compute'. All contenders run the same machine code: Trapeze and QEMU boot \
            the image, as '-cpu max' and as '-cpu qemu64', and natively a program of the host loads it. They take turns, \
            and the table has medians. A kernel whose instructions a CPU model does not offer is left out there, which is \
            shown by '-'. Of all QEMUs the fastest counts.

            Checksums must agree, or the benchmark ends with an error. Rows that miss a limit are marked with what they \
            miss; with --enforce they, and means that miss theirs, make the status 1.

              swift run -c release compute-benchmark
              swift run -c release compute-benchmark --kernels fib,sha256 --repeats 3
              swift run -c release compute-benchmark --engine interpret --scale 10
            """)

    @Option(help: ArgumentHelp("The trapeze program. (default: beside this one)", valueName: "path"))
    var trapeze: String?

    @Option(help: ArgumentHelp("The engine that Trapeze uses.", valueName: "name"))
    var engine = "translate"

    @Option(help: ArgumentHelp("QEMU programs, with commas between, or 'none'.", valueName: "paths"))
    var qemu = "qemu-system-x86_64"

    @Option(help: ArgumentHelp("How often each contender runs.", valueName: "n"))
    var repeats = 5

    @Option(help: ArgumentHelp("Only these kernels, with commas between.", valueName: "names"))
    var kernels: String?

    @Option(help: ArgumentHelp("How much each kernel does: 100 is some 50 ms natively.", valueName: "percent"))
    var scale = 100

    @Option(help: ArgumentHelp("The longest time that one run of all kernels may take.", valueName: "seconds"))
    var timeout = 300

    @Option(help: ArgumentHelp("Writes every measurement to a file too.", valueName: "file"))
    var json: String?

    @Flag(help: "Ends with status 1 if a limit is missed.")
    var enforce = false

    @OptionGroup(title: "Limits")
    var limits: Limits

    func validate() throws {
        guard repeats > 0 else { throw ValidationError("--repeats must be 1 or more") }
        guard (1...100_000).contains(scale) else { throw ValidationError("--scale is 1 to 100000") }
        guard timeout > 0 else { throw ValidationError("--timeout must be 1 or more") }
    }

    func run() throws {
        guard let guest = EmbeddedGuest.named("compute") else { throw Failure("no guest 'compute'") }
        let image = FileManager.default.temporaryDirectory.appending(path: "compute-benchmark-\(getpid())")
        do { try Data(guest.image).write(to: image) } catch {
            throw Failure("\(image.path): cannot be written: \(error.localizedDescription)")
        }
        defer { try? FileManager.default.removeItem(at: image) }

        let contenders = try contenders(image: image.path, memoryMiB: Int(guest.requirements.memory >> 20))
        let roles = [Outcomes.Role.native, .subject] + contenders.dropFirst(2).map { _ in .rival }
        var outcomes = Outcomes(contenders: zip(contenders, roles).map { ($0.name, $1) })
        for round in 1...repeats {
            for (index, contender) in contenders.enumerated() {
                say("run \(round) of \(repeats): \(contender.name)")
                let report = GuestReport(console: try contender.output(timeout: timeout))
                for result in report.results {
                    let words = result.split(separator: " ").map(String.init)
                    guard words.count == 2 else { throw Failure("\(contender.name): no result: \(result)") }
                    let time = report.measurements.first { $0.name == words[0] && $0.unit == "us" }
                    try outcomes.add(
                        words[0], checksum: words[1] == "n/a" ? nil : words[1], time: time.map { $0.value / 1000 },
                        of: index)
                }
            }
        }
        if let json { try outcomes.write(to: json) }

        print("host: \(hostCPU); medians of \(repeats) in milliseconds\n")
        var missed = outcomes.printTable("kernel", format: "%.1f", least: limits.least(for:))
        let means = outcomes.means()
        if let slowdown = means.slowdown, slowdown > limits.nativeAtMost {
            missed.append(
                String(format: "the mean is %.2f times native, more than ", slowdown) + "\(limits.nativeAtMost)")
        }
        if let speed = means.speed, speed < limits.meanAtLeast {
            missed.append(
                String(format: "the mean is %.2f times QEMU's speed, less than ", speed) + "\(limits.meanAtLeast)")
        }
        for text in missed { print("missed: \(text)") }
        if enforce, !missed.isEmpty { throw ExitCode(1) }
    }

    /// Natively, the engine, and QEMU's models, in this order.
    private func contenders(image: String, memoryMiB: Int) throws -> [ProgramRun] {
        let arguments = "scale=\(scale)" + (kernels.map { " kernels=\($0)" } ?? "")
        var all = [
            ProgramRun(name: "native", path: try Programs.own("native-guest"), arguments: [image, arguments]),
            ProgramRun(
                name: engine, path: try Programs.own("trapeze", named: trapeze),
                arguments: [
                    "run", "--engine", engine, "--memory", "\(memoryMiB)M", "--kernel", image, "--append", arguments,
                ]),
        ]
        if qemu != "none" {
            all += try QEMU.list(qemu).flatMap {
                $0.contenders(memoryMiB: memoryMiB, boot: ["-kernel", image, "-append", arguments])
            }
        }
        return all
    }
}

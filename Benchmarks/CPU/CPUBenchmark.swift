// cpu-benchmark: how fast an engine executes a loop of integer instructions, and how much faster two jobs in Debian are on
// two vCPUs than on one. This file is the command line and the table; a single run is `GuestRun`.

import ArgumentParser
import BenchmarkSupport
import Foundation

@main
struct CPUBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cpu-benchmark",
        abstract: "Measures guest instructions a second, and what a second vCPU is worth.",
        discussion: """
            The loop is the embedded guest 'integer-loop'. The jobs run in Debian with busybox, two of each at a time, and \
            are timed by the guest's own clock, which is the host's: 'compute' is awk and sha256sum, 'processes' a shell \
            that starts programs. With one and with two vCPUs in turn.

              swift run -c release cpu-benchmark
              swift run -c release cpu-benchmark --repeats 5 --at-least 1.7
            """)

    @Option(help: ArgumentHelp("The trapeze program. (default: beside this one)", valueName: "path"))
    var trapeze: String?

    @Option(help: ArgumentHelp("The engine that Trapeze uses.", valueName: "name"))
    var engine = "interpret"

    @Option(help: ArgumentHelp("How often each is run; the best counts.", valueName: "n"))
    var repeats = 3

    @Option(help: ArgumentHelp("The longest time that one run may take.", valueName: "seconds"))
    var timeout = 300

    @Option(help: ArgumentHelp("Ends with status 1 if two vCPUs compute less than so much faster.", valueName: "ratio"))
    var atLeast: Double?

    func validate() throws {
        guard repeats > 0 else { throw ValidationError("--repeats must be 1 or more") }
        guard timeout > 0 else { throw ValidationError("--timeout must be 1 or more") }
    }

    func run() throws {
        let run = GuestRun(trapeze: try Programs.own("trapeze", named: trapeze), engine: engine, timeout: timeout)
        let speeds = try (0..<repeats).map { _ in try run.instructionsPerSecond() }
        print(String(format: "integer loop: %.0f million instructions a second", (speeds.max() ?? 0) / 1e6))

        print("\njobs, two at a time   1 vCPU    2 vCPUs   ratio")
        var ratio = 0.0
        for job in Job.all {
            var best = [Double.infinity, .infinity]
            for _ in 0..<repeats {
                for cpus in [1, 2] { best[cpus - 1] = min(best[cpus - 1], try run.seconds(job, cpus: cpus)) }
            }
            let name = job.name.padding(toLength: 20, withPad: " ", startingAt: 0)
            print(name + String(format: "%7.2f s %8.2f s %7.2f", best[0], best[1], best[0] / best[1]))
            if job.name == "compute" { ratio = best[0] / best[1] }
        }
        if let atLeast, ratio < atLeast {
            print(String(format: "less than %.2f", atLeast))
            throw ExitCode(1)
        }
    }
}

/// Work for busybox's shell.
struct Job {
    var name: String
    var script: String

    static let all = [
        Job(
            name: "compute",
            script: """
                awk 'BEGIN { for (i = 0; i < 600000; i++) s = (s * 31 + i) % 65521; print s }'
                dd if=/dev/zero bs=65536 count=300 2>/dev/null | sha256sum
                """),
        Job(
            name: "processes",
            script: """
                i=0
                while [ $i -lt 150 ]; do echo $i | grep -q 7 | /bin/true; i=$((i + 1)); done
                """),
    ]
}

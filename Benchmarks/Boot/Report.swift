// The figures as lines of text: each boot as it ends, then the median of every contender with its spread, and the ratio.

import BenchmarkSupport
import Foundation

struct Report {
    let contenders: [String]

    private var width: Int { contenders.map(\.count).max() ?? 0 }

    private func padded(_ name: String) -> String { name.padding(toLength: width, withPad: " ", startingAt: 0) }

    func printHead(boot: Boot, repeats: Int) {
        print("\(boot.title): from the start of the process to the first line of the initramfs")
        print("1 vCPU, \(boot.memory) MiB, command line: \(boot.commandLine)")
        print("host: \(hostCPU)\n")
    }

    func printBoot(round: Int, contender: Int, _ time: BootTime) {
        var line = "boot \(round)  \(padded(contenders[contender]))  \(Self.seconds(time.seconds))"
        line += "  (processor \(Self.seconds(time.processorSeconds)))"
        if let speed = time.instructionsPerSecond { line += String(format: "  %.1f MIPS", speed / 1e6) }
        print(line)
        // A pipe should show each boot when it is over.
        fflush(nil)
    }

    /// Prints the summary; the result is how many times as long Trapeze, the first contender, takes as the fastest of the
    /// others.
    func printSummary(_ results: [[BootTime]]) -> Double {
        let medians = results.map { median($0.map(\.seconds)) ?? .nan }
        print("\n\(padded(""))    median     least      most   processor")
        for (index, times) in results.enumerated() {
            let seconds = times.map(\.seconds)
            var line = padded(contenders[index])
            for value in [medians[index], seconds.min() ?? 0, seconds.max() ?? 0] { line += " \(Self.seconds(value))" }
            line += "  \(Self.seconds(median(times.map(\.processorSeconds)) ?? .nan))"
            let speeds = times.compactMap(\.instructionsPerSecond)
            if let speed = median(speeds) {
                line += String(format: "  %.1f million guest instructions/s", speed / 1e6)
            }
            print(line)
        }
        let others = medians.indices.dropFirst()
        guard let best = others.min(by: { medians[$0] < medians[$1] }) else { return 0 }
        let ratio = medians[0] / medians[best]
        print(String(format: "\nratio %.1f: ", ratio) + "\(contenders[0]) to \(contenders[best])")
        return ratio
    }

    private static func seconds(_ value: Double) -> String { String(format: "%7.2f s", value) }
}

// The figures as lines of text: each boot as it ends, then the median of every contender with its spread, and the ratio.

import Foundation

struct Report {
    let contenders: [String]

    private var width: Int { contenders.map(\.count).max() ?? 0 }

    private func padded(_ name: String) -> String { name.padding(toLength: width, withPad: " ", startingAt: 0) }

    func printHead(boot: Boot, repeats: Int) {
        print("\(boot.title): from the start of the process to the first line of the initramfs")
        print("1 vCPU, \(boot.memory) MiB, command line: \(boot.commandLine)")
        print("host: \(Self.hostCPU), \(ProcessInfo.processInfo.activeProcessorCount) CPUs\n")
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
        let medians = results.map { Self.median($0.map(\.seconds)) }
        print("\n\(padded(""))    median     least      most   processor")
        for (index, times) in results.enumerated() {
            let seconds = times.map(\.seconds)
            var line = padded(contenders[index])
            for value in [medians[index], seconds.min() ?? 0, seconds.max() ?? 0] { line += " \(Self.seconds(value))" }
            line += "  \(Self.seconds(Self.median(times.map(\.processorSeconds))))"
            let speeds = times.compactMap(\.instructionsPerSecond)
            if !speeds.isEmpty {
                line += String(format: "  %.1f million guest instructions/s", Self.median(speeds) / 1e6)
            }
            print(line)
        }
        let others = medians.indices.dropFirst()
        guard let best = others.min(by: { medians[$0] < medians[$1] }) else { return 0 }
        let ratio = medians[0] / medians[best]
        print(String(format: "\nratio %.1f: ", ratio) + "\(contenders[0]) to \(contenders[best])")
        return ratio
    }

    private static func median(_ values: [Double]) -> Double {
        guard !values.isEmpty else { return .nan }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    private static func seconds(_ value: Double) -> String { String(format: "%7.2f s", value) }

    private static var hostCPU: String {
        let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? "unknown CPU"
    }
}

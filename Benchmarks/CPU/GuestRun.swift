// One run of a guest as a child process, and what it says of its time.

import BenchmarkSupport
import Foundation

struct GuestRun {
    var trapeze: String
    var engine: String
    var timeout: Int

    /// The speed of the integer loop.
    func instructionsPerSecond() throws -> Double {
        let folder = FileManager.default.temporaryDirectory
        let statistics = folder.appending(path: "cpu-benchmark-\(ProcessInfo.processInfo.processIdentifier).json")
        defer { try? FileManager.default.removeItem(at: statistics) }
        _ = try output(["integer-loop", "--stats", statistics.path])
        let decoded = try JSONDecoder().decode(Statistics.self, from: Data(contentsOf: statistics))
        return Double(decoded.counters.instructions) / decoded.wallSeconds
    }

    /// How long two of a job, started at once, take in Debian.
    func seconds(_ job: Job, cpus: Int) throws -> Double {
        let script = """
            job() {
            \(job.script)
            }
            read start idle </proc/uptime
            job >/dev/null &
            job >/dev/null &
            wait
            read end idle </proc/uptime
            echo "$start $end"
            """
        let text = try output(["debian", "--cpus", "\(cpus)", "--", "sh", "-c", script])
        let times = text.split(whereSeparator: \.isWhitespace).compactMap { Double($0) }
        guard times.count == 2 else { throw Failure("no times in the guest's output: \(text)") }
        return times[1] - times[0]
    }

    private func output(_ arguments: [String]) throws -> String {
        var all = ["run"] + arguments
        // Before what belongs to the guest's command.
        all.insert(contentsOf: ["--engine", engine, "--timeout", "\(timeout)"], at: 2)
        let run = ProgramRun(name: "trapeze \(all[1])", path: trapeze, arguments: all)
        // The guest's limit comes first.
        return String(decoding: try run.output(timeout: timeout + 10), as: UTF8.self)
    }

    private struct Statistics: Decodable {
        struct Counters: Decodable {
            var instructions: UInt64
        }
        var wallSeconds: Double
        var counters: Counters
    }
}

// What a run is worth knowing afterwards: `--stats` as JSON (every key is documented in Docs/stats.md), and `-v` as one
// line. What is unknown is null, never 0.

import Foundation
import Trapeze

/// The figures of a finished run.
struct Statistics {
    private let options: RunCommand
    private let guest: String?
    private let machine: VirtualMachine
    private let end: RunEnd
    private let status: ExitStatus
    private let wallSeconds: Double
    private let usage: rusage

    init(
        options: RunCommand, guest: String?, machine: VirtualMachine, end: RunEnd, status: ExitStatus, wall: Duration
    ) {
        self.options = options
        self.guest = guest
        self.machine = machine
        self.end = end
        self.status = status
        wallSeconds = wall / .seconds(1)
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        self.usage = usage
    }

    /// The JSON text, ended by a newline.
    var json: String {
        let vcpus = machine.counters.enumerated().map { id, counters in
            JSON.object([("id", .integer(UInt64(id))), ("counters", Self.object(counters))])
        }
        return JSON.object([
            ("schema", .integer(1)),
            ("version", .string(trapezeVersion)),
            ("engine", .string(machine.engine.name)),
            ("engineReason", .string(machine.engine.reason)),
            ("guest", .string(guest)),
            ("cpuModel", .string(options.machine.cpu)),
            ("cpus", .integer(UInt64(options.machine.cpuCount))),
            ("memoryBytes", .integer(options.machine.memory.bytes)),
            ("clock", .string(options.clock.rawValue)),
            ("outcome", .string(end.name)),
            ("exitStatus", .integer(UInt64(status.rawValue))),
            ("wallSeconds", .number(wallSeconds)),
            ("userSeconds", .number(Self.seconds(usage.ru_utime))),
            ("systemSeconds", .number(Self.seconds(usage.ru_stime))),
            ("peakResidentBytes", .integer(UInt64(usage.ru_maxrss) * 1024)),
            ("counters", Self.object(machine.totalCounters)),
            ("vcpus", .array(vcpus)),
        ]).text() + "\n"
    }

    /// One line for `-v`.
    var summary: String {
        var line = "\(guest ?? "guest") on \(machine.engine.name): \(end.name), status \(status.rawValue)"
        line += String(format: ", %.3f s", wallSeconds)
        if let instructions = machine.totalCounters.instructions {
            line += ", \(instructions) instructions"
            line += String(format: " (%.1f million/s)", Double(instructions) / max(wallSeconds, 1e-9) / 1e6)
        }
        return line
    }

    /// The counters under their documented keys.
    static func object(_ counters: EngineCounters) -> JSON {
        .object(EngineCounters.fields.map { ($0.key, .integer(counters[keyPath: $0.path])) })
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
}

/// A file of JSON that an option names: opened before the run, so that a bad name costs no run, and written at its end.
final class ReportFile {
    private let what: String
    private let path: String
    private let descriptor: Int32

    /// Opens it; `what` is what errors call it.
    init(path: String, what: String = "statistics") throws {
        self.path = path
        self.what = what
        descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else {
            throw Failure("\(what) \(path): \(String(cString: strerror(errno)).lowercasedFirst)")
        }
    }

    deinit { close(descriptor) }

    /// Replaces the file's contents.
    func write(_ text: String) throws {
        // A pipe or terminal can't be cut to length, and need not be.
        _ = ftruncate(descriptor, 0)
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno != EINTR {
                throw Failure("\(what) \(path): \(String(cString: strerror(errno)).lowercasedFirst)")
            }
        }
    }
}

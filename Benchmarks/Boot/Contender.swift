// What is compared: a program with the arguments that make it boot, and what it tells of the boot afterwards.

import BenchmarkSupport
import Foundation

/// What every contender boots.
struct Boot {
    var kernel: String
    var initrd: String
    var commandLine: String
    /// Guest RAM in MiB.
    var memory: Int
    /// What reports call it.
    var title: String
}

/// A way to boot.
struct Contender {
    let name: String
    private let path: String
    private let arguments: [String]
    /// Where `trapeze --stats` writes.
    private let statistics: String?

    static func trapeze(path: String, engine: String, boot: Boot, folder: borrowing TemporaryFolder) -> Contender {
        let statistics = folder.path(of: "stats.json")
        return Contender(
            name: "trapeze, \(engine)", path: path,
            arguments: [
                "run", "--engine", engine, "--memory", "\(boot.memory)M", "--kernel", boot.kernel, "--initrd",
                boot.initrd, "--append", boot.commandLine, "--stats", statistics,
            ], statistics: statistics)
    }

    /// QEMU without the devices that it would add by itself, which the kernel would have to probe.
    static func qemu(path: String, cpuModel: String, boot: Boot) -> Contender {
        Contender(
            name: "QEMU TCG, -cpu \(cpuModel)", path: path,
            arguments: [
                "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot", "-accel", "tcg",
                "-cpu", cpuModel, "-smp", "1", "-m", "\(boot.memory)", "-kernel", boot.kernel, "-initrd", boot.initrd,
                "-append", boot.commandLine,
            ], statistics: nil)
    }

    /// Boots until the console shows `marker`, and ends the program then.
    func boot(until marker: String, limit: Duration, folder: borrowing TemporaryFolder) throws -> BootTime {
        if let statistics { try? FileManager.default.removeItem(atPath: statistics) }
        let errors = folder.path(of: "errors.txt")
        var time: BootTime
        do {
            time = try TimedBoot(path: path, arguments: arguments, errors: errors).run(until: marker, limit: limit)
        } catch let failure as Failure {
            throw Failure("\(name): \(failure.description)")
        }
        if let statistics { time.instructionsPerSecond = Self.speed(in: statistics) }
        return time
    }

    /// Guest instructions in a second, from a statistics file; nil if it does not say.
    private static func speed(in path: String) -> Double? {
        guard let data = FileManager.default.contents(atPath: path),
            let statistics = try? JSONDecoder().decode(Statistics.self, from: data),
            let instructions = statistics.counters.instructions, statistics.wallSeconds > 0
        else { return nil }
        return Double(instructions) / statistics.wallSeconds
    }

    private struct Statistics: Decodable {
        struct Counters: Decodable {
            var instructions: UInt64?
        }
        var wallSeconds: Double
        var counters: Counters
    }
}

// Programs that benchmarks run: where they are, and a run of one as a child process, with a time limit.

import Foundation

/// What ends a benchmark, for the user to read.
package struct Failure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Writes a line to standard error.
package func say(_ line: String) { FileHandle.standardError.write(Data((line + "\n").utf8)) }

/// Where programs are.
package enum Programs {
    /// A program of this package: as named by an option, or else beside the running one.
    package static func own(_ name: String, named path: String? = nil) throws -> String {
        let path =
            path ?? Bundle.main.executableURL?.deletingLastPathComponent().appending(path: name).path ?? name
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw Failure(
                "\(path): no such program; build it (swift build -c release)\(name == "trapeze" ? ", or name it by --trapeze" : "")"
            )
        }
        return path
    }

    /// QEMU, by a path or by its name in PATH.
    package static func qemu(_ name: String) throws -> String {
        if name.contains("/") {
            guard FileManager.default.isExecutableFile(atPath: name) else { throw Failure("\(name): no such program") }
            return name
        }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
        guard
            let path = folders.lazy.map({ "\($0)/\(name)" }).first(where: {
                FileManager.default.isExecutableFile(atPath: $0)
            })
        else {
            throw Failure(
                "\(name) is not installed: there is nothing to compare with (Debian's package qemu-system-x86)")
        }
        return path
    }
}

/// A QEMU to compare with.
package struct QEMU {
    package let path: String
    /// Such as 7.2.
    package let version: String

    /// Those that an option names, with commas between, by paths or by their names in PATH.
    package static func list(_ names: String) throws -> [QEMU] {
        try names.split(separator: ",").map { name in
            let path = try Programs.qemu(String(name))
            let run = ProgramRun(name: path, path: path, arguments: ["--version"])
            let text = String(decoding: try run.output(timeout: 20), as: UTF8.self)
            guard let match = text.firstMatch(of: /version (\d+\.\d+)/) else {
                throw Failure("\(path): does not say that it is QEMU")
            }
            return QEMU(path: path, version: String(match.1))
        }
    }

    /// TCG as `-cpu max` and as `-cpu qemu64`, on the same machine.
    package func contenders(memoryMiB: Int, boot: [String]) -> [ProgramRun] {
        ["max", "qemu64"].map { model in
            var run = ProgramRun.qemu(path: path, model: model, memoryMiB: memoryMiB, boot: boot)
            run.name = "QEMU \(version) \(model)"
            return run
        }
    }
}

/// A command, ready to be run any number of times.
package struct ProgramRun {
    /// What tables and messages call it.
    package fileprivate(set) var name: String
    private let path: String
    private let arguments: [String]
    /// The status of a run that went well.
    private let success: Int32

    package init(name: String, path: String, arguments: [String], success: Int32 = 0) {
        (self.name, self.path, self.arguments, self.success) = (name, path, arguments, success)
    }

    /// QEMU, on its TCG unless told, without the devices that it would add by itself, with an exit port, which turns the guest's 0 into 1.
    package static func qemu(
        path: String, accelerator: String = "tcg", model: String, memoryMiB: Int, cpus: Int = 1, boot: [String]
    ) -> ProgramRun {
        ProgramRun(
            name: "\(accelerator.uppercased()) \(model)", path: path,
            arguments: [
                "-nodefaults", "-no-user-config", "-display", "none", "-M", "pc", "-accel", accelerator, "-cpu", model,
                "-smp",
                "\(cpus)", "-m", "\(memoryMiB)", "-no-reboot", "-serial", "stdio", "-device",
                "isa-debug-exit,iobase=0xf4,iosize=4",
            ] + boot, success: 1)
    }

    /// Runs it once; the result is its standard output.
    ///
    /// - Parameter timeout: seconds after which it is ended, which is an error.
    package func output(timeout: Int) throws -> Data {
        var output = Data()
        try run(timeout: timeout) { output += $0 }
        return output
    }

    /// A line of the output, without its end.
    package struct Line {
        package var text: String
        /// Seconds from the start of the program until the line was there.
        package var time: Double
    }

    /// Runs it once; the result is its output line by line, with the times.
    package func lines(timeout: Int) throws -> [Line] {
        let start = ContinuousClock.now
        var lines: [Line] = []
        var rest: [UInt8] = []
        try run(timeout: timeout) { data in
            let time = (ContinuousClock.now - start) / .seconds(1)
            for byte in data {
                if byte != UInt8(ascii: "\n") {
                    rest.append(byte)
                    continue
                }
                while rest.last == UInt8(ascii: "\r") { rest.removeLast() }
                lines.append(Line(text: String(decoding: rest, as: UTF8.self), time: time))
                rest = []
            }
        }
        return lines
    }

    /// Runs it and hands over its output as it comes.
    private func run(timeout: Int, _ take: (Data) -> Void) throws {
        let process = Process()
        let pipe = Pipe()
        // By timeout(1), found by env(1) as a shell does.
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["timeout", "--kill-after=5", "\(timeout)", path] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        do { try process.run() } catch {
            throw Failure("\(path): cannot be started: \(error.localizedDescription)")
        }
        var end = Data()
        while true {
            let data = pipe.fileHandleForReading.availableData
            if data.isEmpty { break }
            take(data)
            end = (end + data).suffix(2000)
        }
        process.waitUntilExit()
        let status = process.terminationStatus
        guard status == success else {
            // timeout(1) ends as its command did.
            let isSignal = process.terminationReason == .uncaughtSignal
            let how = status == 124 ? "not done after \(timeout) s" : "\(isSignal ? "signal" : "status") \(status)"
            throw Failure("\(name): \(how)\n\(String(decoding: end, as: UTF8.self))")
        }
    }
}

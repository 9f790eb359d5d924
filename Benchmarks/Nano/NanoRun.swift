// One run of the guest as a child process, and what it measured.

import Comparison
import Foundation

/// What ends the benchmark, for the user to read.
struct Failure: Error, CustomStringConvertible {
    let description: String
}

/// How the guest is run.
struct NanoRun {
    /// What the table calls it.
    let name: String
    private let program: String
    private let arguments: [String]
    /// The status that says that every operation took place.
    private let success: Int32

    /// On one of Trapeze's engines.
    static func trapeze(program: String, engine: String, cpus: Int) -> NanoRun {
        NanoRun(
            name: engine, program: program, arguments: ["run", "nano", "--engine", engine, "--cpus", "\(cpus)"],
            success: 0)
    }

    /// On QEMU's TCG, which turns the exit port's 0 into 1.
    static func qemu(program: String, model: String, image: String, memory: UInt64, cpus: Int) -> NanoRun {
        NanoRun(
            name: "TCG \(model)", program: program,
            arguments: [
                "-M", "pc", "-accel", "tcg", "-cpu", model, "-m", "\(memory >> 20)", "-smp", "\(cpus)", "-nodefaults",
                "-display", "none", "-no-reboot", "-serial", "stdio", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                "-kernel", image,
            ], success: 1)
    }

    /// Runs the guest once. All of its operations must have taken place.
    func report(timeout: Int) throws -> GuestReport {
        let process = Process()
        let pipe = Pipe()
        // By timeout(1) and env(1), which finds the program as a shell does.
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["timeout", "\(timeout)", program] + arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        do { try process.run() } catch {
            throw Failure(description: "\(program): cannot be started: \(error.localizedDescription)")
        }
        let console = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == success else {
            throw Failure(
                description: "\(name): status \(process.terminationStatus)\n\(String(decoding: console, as: UTF8.self))")
        }
        return GuestReport(console: console)
    }
}

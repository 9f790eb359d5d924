// Runs the built `trapeze` as users do, in a process of its own with a time limit.

import Foundation
import Testing
import Trapeze

/// What came of a run.
struct ProgramResult {
    /// The exit status; nil if the time limit ended it.
    var status: Int32?
    /// Standard output, as text.
    var output: String
    /// Standard error, as text.
    var errors: String
}

/// The binary under test.
enum Program {
    /// The build puts it beside the test bundle.
    static let path: String = {
        let bundle = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appending(path: "trapeze").path()
    }()

    /// The software engines that work here: what the suites say of hardware is its maker's.
    static let engines = EngineRegistry.statuses()
        .filter { $0.availability == .available && $0.name != "kvm" }.map(\.name)

    /// Runs `trapeze` with nothing on standard input. Output goes through files, which never block.
    static func run(_ arguments: [String], seconds: Double) throws -> ProgramResult {
        let folder = FileManager.default.temporaryDirectory.appending(path: "trapeze-suite-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let files = try ["out", "err"].map { name in
            let file = folder.appending(path: name)
            try Data().write(to: file)
            return file
        }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try process.run()
        let deadline = Date(timeIntervalSinceNow: seconds)
        while process.isRunning, Date() < deadline { usleep(5000) }
        let isLate = process.isRunning
        if isLate { kill(process.processIdentifier, SIGKILL) }
        process.waitUntilExit()
        let texts = try files.map { String(decoding: try Data(contentsOf: $0), as: UTF8.self) }
        return ProgramResult(
            status: isLate ? nil : process.terminationStatus, output: texts[0], errors: texts[1])
    }
}

// A guest under stock GDB: `trapeze run --gdb` as one process, GDB with its commands as another.

import Foundation
import Testing

/// GDB, where it is installed.
let gdbPath: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { $0 + "/gdb" }
    .first { FileManager.default.isExecutableFile(atPath: $0) }

/// A guest that GDB can connect to, and GDBs that do.
final class GDBRun {
    let guest: ChildProcess
    /// Where the stub listens, as `target remote` takes it.
    let address: String
    private let folder: String

    /// Starts a guest that waits for its debugger, or not.
    init(_ arguments: [String], waits: Bool = true, in folder: String) throws {
        self.folder = folder
        let files = ["out", "err"].map { open("\(folder)/\($0)", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
        defer { for file in files { close(file) } }
        guest = try ChildProcess(
            ["run", "--engine", "interpret", "--gdb", "0"] + (waits ? ["--wait"] : []) + arguments, output: files[0],
            errors: files[1])
        let deadline = Date(timeIntervalSinceNow: 120)
        while true {
            let errors = try String(contentsOfFile: folder + "/err", encoding: .utf8)
            if let match = errors.firstMatch(of: /gdb: target remote (127\.0\.0\.1:\d+)/) {
                address = String(match.output.1)
                return
            }
            try #require(guest.wait(seconds: 0) == nil && Date() < deadline, "\(errors)")
            usleep(10_000)
        }
    }

    /// What the guest has printed.
    var output: String {
        get throws { String(decoding: try Data(contentsOf: URL(filePath: folder + "/out")), as: UTF8.self) }
    }

    /// The port on 127.0.0.1.
    var port: UInt16 { UInt16(address.split(separator: ":").last ?? "") ?? 0 }

    /// Starts GDB: it connects and carries out the commands, an error in one does not keep it from the next.
    func start(_ commands: [String]) throws -> GDBProcess {
        guard let gdbPath else { try Test.cancel("gdb is not installed") }
        let path = folder + "/gdb"
        let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        defer { close(file) }
        let all = ["set pagination off", "set confirm off", "set width 0", "target remote \(address)"] + commands
        let child = try ChildProcess(
            ["-nx", "-batch"] + all.flatMap { ["-ex", $0] }, executable: gdbPath, output: file, errors: file)
        return GDBProcess(child: child, path: path)
    }

    /// Runs GDB to its end; returns what it printed.
    func gdb(_ commands: [String], seconds: Double = 60) throws -> String {
        let gdb = try start(commands)
        let end = gdb.child.wait(seconds: seconds)
        let text = try gdb.text
        try #require(end != nil, "gdb does not end: \(text)")
        return text
    }

    /// The guest's exit status, which must come in time.
    func status(seconds: Double = 30) throws -> Int32? { try #require(guest.wait(seconds: seconds)).status }
}

/// A GDB that runs.
struct GDBProcess {
    let child: ChildProcess
    fileprivate let path: String

    /// What it has printed.
    var text: String { get throws { String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self) } }
}

/// Whether every part is in the text, one after the other; the first that is missing.
func firstMissing(_ parts: [String], in text: String) -> String? {
    var rest = text[...]
    for part in parts {
        guard let range = rest.range(of: part) else { return part }
        rest = rest[range.upperBound...]
    }
    return nil
}

// One entry of kvm-unit-tests' list of tests: how it is run, and what it says.

import Foundation
import Testing

/// A test of the suite, and what is expected of it.
struct KVMUnitTest: Sendable, CustomTestStringConvertible {
    /// What a test is expected to do.
    enum Expectation: Sendable {
        /// Pass, without a failure.
        case passes
        /// Skip itself: for want of something that Trapeze does not offer.
        case skips(String)
        /// Not pass; why.
        case fails(String)
    }

    /// The name in the suite's x86/unittests.cfg.
    var name: String
    /// The binary, without its extension.
    var file: String
    var cpus = 1
    /// In MiB.
    var memory = 128
    var arguments = ""
    /// The CPU model, if not the default.
    var cpu: String?
    /// Time limit in seconds, for a loaded host.
    var seconds = 120.0
    var expectation = Expectation.passes

    var testDescription: String { name }

    /// The command line of `trapeze`.
    func commandLine(engine: String, folder: String) -> [String] {
        var words = [
            "run", "--engine", engine, "--kernel", "\(folder)/\(file).flat", "--exit-port", "isa-debug",
            "--cpus", "\(cpus)", "--memory", "\(memory)M",
        ]
        if !arguments.isEmpty { words += ["--append", arguments] }
        if let cpu { words += ["--cpu", cpu] }
        return words
    }
}

/// What a test reported.
struct KVMUnitTestReport {
    /// The suite's summaries, as the exit port makes exit statuses of them: (V << 1) | 1.
    private enum Status {
        static let passed: Int32 = 1
        static let skipped: Int32 = 77
    }

    private let lines: [Substring]
    let status: Int32?

    init(_ result: ProgramResult) {
        status = result.status
        lines = result.output.split(whereSeparator: \.isNewline)
    }

    func count(_ word: String) -> Int { lines.count { $0.hasPrefix(word + ":") } }
    /// What failed, one a line.
    var failures: [String] { lines.filter { $0.hasPrefix("FAIL:") }.map(String.init) }
    /// The last lines, which say what went wrong where nothing else does.
    var ending: String { lines.suffix(5).joined(separator: "\n") }
    var isPassed: Bool { status == Status.passed && failures.isEmpty }
    var isSkipped: Bool { status == Status.skipped }
    /// The report in one line.
    var summary: String {
        let counts = ["PASS", "FAIL", "SKIP"].map { "\(count($0)) \($0)" }.joined(separator: ", ")
        return (status.map { "status \($0)" } ?? "no end in time") + ", " + counts
    }
}

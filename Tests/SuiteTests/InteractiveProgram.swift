// A run of the built `trapeze` that a test talks to: it types into standard input and waits for what comes back.

import Foundation
import Testing

/// A running `trapeze` between two pipes. It is killed when this goes away.
final class InteractiveProgram {
    private let process = Process()
    private let keys = Pipe()
    private let screen = Pipe()
    /// Everything that standard output has shown.
    private(set) var shown = ""
    /// What it has shown since the last `type(_:)`.
    private(set) var answer = ""

    init(_ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: Program.path)
        process.arguments = arguments
        process.standardInput = keys
        process.standardOutput = screen
        process.standardError = FileHandle.nullDevice
        try process.run()
        let descriptor = screen.fileHandleForReading.fileDescriptor
        try #require(fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0)
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    func type(_ text: String) throws {
        answer = ""
        try #require(process.isRunning, "trapeze has ended; the end of what was shown:\n\(shown.suffix(1000))")
        try keys.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    }

    /// Waits until `condition` holds for the answer, and returns that.
    @discardableResult func wait(
        _ what: String, seconds: Double, until condition: (String) -> Bool
    ) throws -> String {
        let deadline = Date(timeIntervalSinceNow: seconds)
        let descriptor = screen.fileHandleForReading.fileDescriptor
        while !condition(answer) {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = read(descriptor, &buffer, buffer.count)
            if count > 0 {
                let text = String(decoding: buffer[..<count], as: UTF8.self)
                shown += text
                answer += text
                continue
            }
            let isOver = count == 0 || Date() >= deadline
            try #require(!isOver, "no \(what); the end of what was shown:\n\(shown.suffix(1000))")
            usleep(5000)
        }
        return answer
    }
}

// Trapeze's own words, on standard error; standard output belongs to the guest.

import CTerminal
import Foundation

/// Writes one line to standard error. On a terminal in raw mode the carriage return must be sent along.
func say(_ line: String) { write(lines: ["trapeze: \(line)"]) }

/// Writes lines to standard error as they are.
func write(lines: [String]) {
    let end = tz_terminal_is_raw() != 0 ? "\r\n" : "\n"
    let bytes = Array(lines.map { $0 + end }.joined().utf8)
    // Standard error that can't be written to leaves nobody to tell.
    bytes.withUnsafeBytes { buffer in
        var rest = buffer[...]
        while !rest.isEmpty {
            let count = write(STDERR_FILENO, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
            if count > 0 { rest = rest.dropFirst(count) } else if errno != EINTR { return }
        }
    }
}

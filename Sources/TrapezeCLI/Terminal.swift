// The user's terminal as the guest's console: raw mode, and what Debian wants to know of it. How raw mode is left on
// every way out of the process is CTerminal's business.

import CTerminal
import DebianGuest
import Foundation

enum Terminal {
    /// Whether the user types into a terminal.
    static var isInteractive: Bool { isatty(STDIN_FILENO) == 1 }

    /// Gives every key to the guest. Without effect when standard input is no terminal.
    static func enterRawMode() throws {
        guard isInteractive else { return }
        let error = tz_terminal_enter_raw(STDIN_FILENO)
        guard error == 0 else {
            throw Failure("cannot set up the terminal: \(String(cString: strerror(error)))")
        }
        if isatty(STDERR_FILENO) == 1 { say("Ctrl-A x ends the run, Ctrl-A h shows the keys") }
    }

    /// Gives the terminal back.
    static func restore() { tz_terminal_restore() }

    /// The terminal in the terms of Debian's init.
    static func console() -> GuestConsole {
        let output = isatty(STDOUT_FILENO) == 1
        var console = GuestConsole(inputIsTerminal: isInteractive, outputIsTerminal: output)
        guard isInteractive || output else { return console }
        console.term = ProcessInfo.processInfo.environment["TERM"] ?? "dumb"
        var size = winsize()
        let request = UInt(TIOCGWINSZ)
        if ioctl(output ? STDOUT_FILENO : STDIN_FILENO, request, &size) == 0, size.ws_row > 0, size.ws_col > 0 {
            console.size = GuestConsole.Size(rows: Int(size.ws_row), columns: Int(size.ws_col))
        }
        return console
    }
}

// Values of `trapeze run`'s options that are more than a word, each with the way it is written.

import ArgumentParser
import Trapeze

/// Where the serial console is: `--serial`.
enum SerialOption: Equatable {
    /// Standard input and output.
    case stdio
    /// Nowhere.
    case null
    /// Output goes to a file; no input.
    case file(String)

    init(parsing text: String) throws {
        switch text {
        case "stdio": self = .stdio
        case "null": self = .null
        default:
            guard text.hasPrefix("file="), text.count > 5 else {
                throw ValidationError("known are stdio, null and file=PATH")
            }
            self = .file(String(text.dropFirst(5)))
        }
    }
}

/// What a reset by the guest does: `--on-reset`.
enum ResetOption: Equatable {
    case restart
    case exit(UInt8)

    init(parsing text: String) throws {
        switch text {
        case "restart": self = .restart
        case "exit": self = .exit(0)
        default:
            guard text.hasPrefix("exit:"), let code = UInt8(text.dropFirst(5)) else {
                throw ValidationError("known are restart, exit and exit:CODE with a code of 0 to 255")
            }
            self = .exit(code)
        }
    }
}

/// A time limit in seconds: `--timeout`.
struct TimeLimit: Equatable {
    var seconds: Double

    init(parsing text: String) throws {
        guard let seconds = Double(text), seconds > 0, seconds <= 1e9 else {
            throw ValidationError("a time limit is a number of seconds greater than 0")
        }
        self.seconds = seconds
    }
}

extension DebugEndpoint {
    /// Where to listen for a debugger: `--gdb`.
    init(parsing text: String) throws {
        guard let endpoint = DebugEndpoint(text) else {
            throw ValidationError(
                "a port of 0 to 65535 is wanted, after an address and a colon if need be: 127.0.0.1:1234")
        }
        self = endpoint
    }
}

extension ClockSource: ExpressibleByArgument {}
extension ExitPortMode: ExpressibleByArgument {}

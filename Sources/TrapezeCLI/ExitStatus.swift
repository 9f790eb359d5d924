// What the process ends with: the statuses that scripts rely on, and the error that carries one of them with its line.

import Foundation
import Trapeze

/// The process's exit status. Thrown, it ends a command that has nothing more to say.
struct ExitStatus: RawRepresentable, Error, Equatable {
    var rawValue: UInt8

    static let success = ExitStatus(rawValue: 0)
    /// `trapeze verify` and `trapeze compare`: the engines differ.
    static let difference = ExitStatus(rawValue: 1)
    /// The time limit was reached, as with timeout(1).
    static let timeout = ExitStatus(rawValue: 124)
    /// An error of Trapeze's or of the command line.
    static let error = ExitStatus(rawValue: 125)
    /// The engine asked for is not available.
    static let engineUnavailable = ExitStatus(rawValue: 126)
    /// A triple fault, or a panic.
    static let guestCrashed = ExitStatus(rawValue: 255)
}

/// An error that ends the process: one line for the user, and the status.
struct Failure: Error {
    var message: String
    var status = ExitStatus.error

    init(_ message: String, status: ExitStatus = .error) {
        self.message = message
        self.status = status
    }

    init(_ error: ConfigurationError) {
        self.init(error.description, status: error.reason == .engineUnavailable ? .engineUnavailable : .error)
    }
}

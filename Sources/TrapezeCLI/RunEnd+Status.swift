// How the end of a run is told: to scripts by the exit status, to the user by a line where one is due.

import Foundation
import Trapeze

extension RunEnd {
    /// The exit status. A run that the user ended from the keyboard is no error: 0.
    func status(onReset: ResetOption) -> ExitStatus {
        switch self {
        case .machine(let outcome):
            switch outcome {
            case .poweredOff, .stopped: return .success
            case .reset:
                guard case .exit(let code) = onReset else { return .success }
                return ExitStatus(rawValue: code)
            case .exited(let status): return ExitStatus(rawValue: status)
            case .panicked, .tripleFault: return .guestCrashed
            case .failed: return .error
            }
        case .timeout: return .timeout
        case .quit: return .success
        case .consoleLost: return .error
        case .signal(let number): return ExitStatus(rawValue: UInt8(truncatingIfNeeded: 128 + number))
        }
    }

    /// The word for it in `--stats`.
    var name: String {
        switch self {
        case .machine(let outcome):
            switch outcome {
            case .poweredOff: "powered-off"
            case .reset: "reset"
            case .exited: "exited"
            case .panicked: "panicked"
            case .tripleFault: "triple-fault"
            case .stopped: "stopped"
            case .failed: "failed"
            }
        case .timeout: "timeout"
        case .quit: "quit"
        case .consoleLost: "console-lost"
        case .signal: "signal"
        }
    }

    /// What the user should know besides the status; nil for the endings that speak for themselves.
    func message(_ options: RunCommand, engine: String) -> String? {
        switch self {
        case .machine(.panicked): return "the guest panicked"
        case .machine(.tripleFault): return "the guest triple-faulted"
        case .machine(.failed(let reason)): return "engine \(engine) cannot go on: \(reason)"
        case .timeout:
            guard let limit = options.timeout else { return nil }
            return "the time limit of \(formatSeconds(limit.seconds)) s is reached"
        case .consoleLost(let error):
            let place = if case .file(let path) = options.serial { path } else { "standard output" }
            return "serial console \(place): \(String(cString: strerror(error)).lowercasedFirst)"
        case .signal(let number):
            return "ended by signal \(number) (\(String(cString: strsignal(number)).lowercasedFirst))"
        default: return nil
        }
    }
}

/// Seconds with as many decimals as say something.
func formatSeconds(_ seconds: Double) -> String {
    seconds == seconds.rounded() ? String(format: "%.0f", seconds) : String(format: "%g", seconds)
}

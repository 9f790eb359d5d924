// Turns the signals that ask the process to end into events, so that a run can end in order: the console drained, the
// terminal given back, the statistics written.

import CTerminal
import Foundation

/// A pipe from the signal handlers to a thread.
struct SignalPipe {
    private let writeEnd: Int32

    /// Calls `onSignal` with the number of the first such signal, on a thread of its own.
    init(onSignal: @escaping @Sendable (Int32) -> Void) throws {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else {
            throw Failure("cannot make a pipe: \(String(cString: strerror(errno)).lowercasedFirst)")
        }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        let readEnd = ends[0]
        writeEnd = ends[1]
        let thread = Thread {
            var number: UInt8 = 0
            while true {
                let count = read(readEnd, &number, 1)
                if count < 0, errno == EINTR { continue }
                if count == 1 { onSignal(Int32(number)) }
                break
            }
            Foundation.close(readEnd)
        }
        thread.name = "signals"
        thread.start()
        tz_signals_report_to(writeEnd)
    }

    /// Goes back to ending at once.
    func close() {
        tz_signals_report_to(-1)
        Foundation.close(writeEnd)
    }
}

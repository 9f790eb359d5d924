// A terminal without a person: the test types into one end, `trapeze` has the other.

import Foundation
import Testing

/// A pseudo-terminal. The test keeps both ends open, so that settings can be read after the process has ended.
final class PseudoTerminal {
    let path: String
    private let user: Int32
    private let device: Int32
    private(set) var shown = ""

    init() throws {
        user = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        // Glibc's names for these are not visible to Swift: TIOCSPTLCK unlocks, TIOCGPTN gives the number.
        var (locked, number): (Int32, UInt32) = (0, 0)
        try #require(user >= 0 && ioctl(user, 0x4004_5431, &locked) == 0 && ioctl(user, 0x8004_5430, &number) == 0)
        path = "/dev/pts/\(number)"
        device = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        try #require(device >= 0)
        _ = fcntl(user, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(user)
        close(device)
    }

    /// The terminal's settings, in a form that can be compared.
    var settings: [UInt32] {
        var settings = termios()
        tcgetattr(device, &settings)
        return [settings.c_iflag, settings.c_oflag, settings.c_cflag, settings.c_lflag]
    }

    /// Whether keys go to the reader one by one.
    var isRaw: Bool { settings[3] & UInt32(ICANON | ISIG | ECHO) == 0 }

    func type(_ keys: String) {
        _ = Array(keys.utf8).withUnsafeBytes { write(user, $0.baseAddress, $0.count) }
    }

    /// Waits until `condition` holds; what is shown meanwhile is collected.
    func wait(_ what: Comment, seconds: Double = 30, until condition: () -> Bool) throws {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while true {
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = read(user, &buffer, buffer.count)
            if count > 0 { shown += String(decoding: buffer[..<count], as: UTF8.self) }
            if condition() { return }
            try #require(Date() < deadline, what)
            usleep(2000)
        }
    }
}

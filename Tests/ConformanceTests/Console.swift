// What a machine printed, collected as it comes.

import Synchronization

/// The bytes that a machine under test has sent through COM1.
final class Console: Sendable {
    private let collected = Mutex<[UInt8]>([])

    /// Everything so far.
    var bytes: [UInt8] { collected.withLock { $0 } }

    /// Everything so far, as text.
    var text: String { String(decoding: bytes, as: UTF8.self) }

    func append(_ bytes: [UInt8]) { collected.withLock { $0 += bytes } }
}

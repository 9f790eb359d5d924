// Memory sizes as users write them: "512M", "2G", "1.5GiB" is refused; a bare number is MiB, as in QEMU.

import ArgumentParser

/// A size of memory given on the command line.
struct MemorySize: Equatable {
    var bytes: UInt64

    init(bytes: UInt64) { self.bytes = bytes }

    /// Reads a whole number with an optional suffix K, M, G, T, P or E (powers of 1024; "KB" and "KiB" mean the same).
    init(parsing text: String) throws {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        var suffix = text.dropFirst(digits.count).uppercased()
        if suffix.hasSuffix("IB"), suffix.count == 3 { suffix.removeLast(2) }
        if suffix.hasSuffix("B"), suffix.count == 2 { suffix.removeLast() }
        let shifts: [String: UInt64] = ["": 20, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60]
        guard !digits.isEmpty, let shift = shifts[suffix] else {
            throw ValidationError("a size is a whole number of MiB, or one with a suffix K, M, G or T, such as 512M")
        }
        guard let number = UInt64(digits) else { throw ValidationError("the number is too large") }
        let (bytes, overflows) = number.multipliedReportingOverflow(by: 1 << shift)
        guard !overflows else { throw ValidationError("the size is too large") }
        self.bytes = bytes
    }
}

// What can go wrong between the files a user names and the first guest instruction. Every message is one line that says
// which file, and why.

import Glibc
import Memory

/// An error of loading what a virtual machine is to run.
public enum BootError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A file could not be opened or read.
    case unreadable(file: String, errno: Int32)
    /// A file is something other than a regular file; `kind` says what, with its article.
    case notRegularFile(file: String, kind: String)
    /// A file has no bytes.
    case empty(file: String)
    /// A file is shorter than what it says of itself.
    case truncated(file: String, reason: String)
    /// A file is in no format that can be booted.
    case notAKernel(file: String, reason: String?)
    /// A file is a kernel, but one that is damaged or asks for what there is not.
    case unsupported(file: String, reason: String)
    /// A file is larger than there can be use for, sizes in bytes.
    case tooLarge(file: String, size: UInt64, limit: UInt64)
    /// A kernel, or what it needs around it, does not fit in guest memory (its size in bytes).
    case doesNotFit(file: String, reason: String, memory: UInt64)
    /// An initrd or module does not fit in guest memory; sizes in bytes.
    case moduleDoesNotFit(file: String, size: UInt64, memory: UInt64)
    /// Linux takes one initrd at most.
    case oneInitrdOnly(count: Int)
    /// The command line is longer than the kernel takes, in bytes.
    case commandLineTooLong(count: Int, limit: Int)
    /// The command line contains a NUL, at which the kernel would end it.
    case commandLineHasNUL
    /// Less guest memory than any boot needs, in bytes.
    case memoryTooSmall(size: UInt64)
    /// More vCPUs than the firmware tables have room for.
    case tooManyProcessors(count: Int, limit: Int)
    /// Guest memory refused an access.
    case memory(GuestMemoryError)

    /// The message in one line.
    public var description: String {
        switch self {
        case .unreadable(let file, let errno):
            "\(file): cannot be read: \(String(cString: strerror(errno)))"
        case .notRegularFile(let file, let kind):
            "\(file): is \(kind), not a regular file"
        case .empty(let file):
            "\(file): the file is empty"
        case .truncated(let file, let reason):
            "\(file): truncated: \(reason)"
        case .notAKernel(let file, let reason):
            "\(file): not a kernel that Trapeze knows (bzImage, PVH ELF, Multiboot)" + (reason.map { ": \($0)" } ?? "")
        case .unsupported(let file, let reason):
            "\(file): cannot be booted: \(reason)"
        case .tooLarge(let file, let size, let limit):
            "\(file): too large: \(size) bytes, at most \(inUnits(limit)) can be used"
        case .doesNotFit(let file, let reason, let memory):
            "\(file): does not fit in \(inUnits(memory)) of guest memory: \(reason)"
        case .moduleDoesNotFit(let file, let size, let memory):
            "\(file): \(inUnits(size)) do not fit in \(inUnits(memory)) of guest memory beside the kernel"
        case .oneInitrdOnly(let count):
            "\(count) initrds are given, but Linux takes one"
        case .commandLineTooLong(let count, let limit):
            "the kernel's command line has \(count) bytes, over its limit of \(limit)"
        case .commandLineHasNUL:
            "the kernel's command line contains a NUL character"
        case .memoryTooSmall(let size):
            "\(inUnits(size)) of guest memory is too little: booting takes at least 1 MiB"
        case .tooManyProcessors(let count, let limit):
            "\(count) vCPUs are more than the ACPI tables can list (\(limit))"
        case .memory(let error):
            error.description
        }
    }
}

/// A size in the largest binary unit that keeps it exact enough to be recognised.
private func inUnits(_ size: UInt64) -> String {
    for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] as [(String, UInt64)] {
        let whole = size >> shift
        guard whole > 0 else { continue }
        let tenths = ((size & ((1 << shift) - 1)) * 10) >> shift
        return tenths == 0 ? "\(whole) \(unit)" : "\(whole).\(tenths) \(unit)"
    }
    return "\(size) bytes"
}

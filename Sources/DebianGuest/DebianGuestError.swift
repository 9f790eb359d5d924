// What can go wrong between "run Debian" and a kernel with its initramfs, each said in one line.
//
// Every message names the thing that failed and, where there is one, the way out. Nothing here is recoverable by this
// module itself: the caller prints `description` and ends with the status for its own errors.

/// An error met while Debian's kernel and userland are fetched, unpacked or packed into an initramfs.
public enum DebianGuestError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A program of the host is absent; `package` is the Debian package that has it.
    case toolMissing(tool: String, package: String)
    /// A program of the host could not be started (`errno` value of posix_spawn).
    case toolNotStarted(tool: String, code: Int32)
    /// The archive can't be reached; `detail` is apt's own line.
    case offline(detail: String)
    /// apt's configuration names no source that carries Debian's archive.
    case noDebianArchive(detail: String)
    /// The archive has no such package in that suite.
    case packageMissing(name: String, suite: String)
    /// apt did not finish a step within its limit.
    case timedOut(step: String, seconds: Int)
    /// apt failed in a way not covered above; `detail` is its own line.
    case aptFailed(step: String, detail: String)
    /// The file system that holds `path` is full.
    case diskFull(path: String)
    /// A file operation failed (`code` is the `errno` value).
    case fileFailed(path: String, operation: String, code: Int32)
    /// A .deb could not be read.
    case packageUnreadable(path: String, detail: String)
    /// A .deb lacks a file that it should have.
    case memberMissing(package: String, member: String)
    /// A kernel image is not what its name promises.
    case badKernelImage(path: String, detail: String)
    /// Compressed data could not be expanded.
    case decompressionFailed(path: String, detail: String)
    /// Argument `index` of the command (0 is the command's name) contains a NUL byte, which execve can't carry.
    case argumentContainsNUL(index: Int)
    /// The command has no words at all.
    case emptyCommand
    /// A file does not fit a newc archive, whose size fields have 32 bits.
    case fileTooLarge(path: String)
    /// Neither XDG_CACHE_HOME nor HOME nor the user database says where caches go.
    case noCacheFolder
    /// Another process kept the cache locked for longer than the limit.
    case cacheBusy(path: String, seconds: Int)

    /// The message in one line.
    public var description: String {
        switch self {
        case .toolMissing(let tool, let package):
            "\(tool) is not installed: Debian's kernel is fetched with it (package \(package)); "
                + "or give --kernel and --initrd"
        case .toolNotStarted(let tool, let code):
            "\(tool) could not be started: \(errnoText(code))"
        case .offline(let detail):
            "Debian's archive cannot be reached: \(detail)"
        case .noDebianArchive(let detail):
            "apt on this machine has no source of Debian's archive: \(detail)"
        case .packageMissing(let name, let suite):
            "package \(name) is not in \(suite) of the archive that apt is configured with"
        case .timedOut(let step, let seconds):
            "\(step) did not finish within \(seconds) seconds; given up"
        case .aptFailed(let step, let detail):
            "\(step) failed: \(detail)"
        case .diskFull(let path):
            "\(path): no space left on the file system; free some, or set XDG_CACHE_HOME to another"
        case .fileFailed(let path, let operation, let code):
            "\(path): cannot \(operation): \(errnoText(code))"
        case .packageUnreadable(let path, let detail):
            "\(path): dpkg-deb cannot read it: \(detail)"
        case .memberMissing(let package, let member):
            "\(package): has no \(member)"
        case .badKernelImage(let path, let detail):
            "\(path): \(detail)"
        case .decompressionFailed(let path, let detail):
            "\(path): cannot decompress: \(detail)"
        case .argumentContainsNUL(let index):
            index == 0
                ? "the command's name contains a NUL byte" : "argument \(index) of the command contains a NUL byte"
        case .emptyCommand:
            "the command is empty"
        case .fileTooLarge(let path):
            "\(path): 4 GiB or more does not fit an initramfs archive"
        case .noCacheFolder:
            "no cache folder: neither XDG_CACHE_HOME nor HOME is set"
        case .cacheBusy(let path, let seconds):
            "\(path): another process has held the cache for \(seconds) seconds; given up"
        }
    }
}

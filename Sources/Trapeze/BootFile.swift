// Bytes that a machine boots from: a file of the host, or bytes at hand. Files are opened late, read once, and never
// beyond a limit, so that no file can make Trapeze take more memory than the machine it is for.

import Foundation

/// An image to boot from: a kernel, an initial RAM disk, firmware.
public enum BootFile: Sendable, Equatable {
    /// A regular file.
    case file(URL)
    /// Bytes in memory, with the name that messages give them.
    case bytes([UInt8], name: String)

    /// How messages name it.
    public var name: String {
        switch self {
        case .file(let url): url.path
        case .bytes(_, let name): name
        }
    }

    /// Its size in bytes, after checking that it can be opened for reading.
    ///
    /// - Parameters:
    ///   - role: what it is for, as messages say it: "kernel".
    ///   - allowEmpty: whether a size of 0 is right.
    /// - Throws: `ConfigurationError` with the reason `badFile`.
    public func checkedSize(as role: String, allowEmpty: Bool = false) throws(ConfigurationError) -> Int {
        let size: Int
        switch self {
        case .bytes(let bytes, _): size = bytes.count
        case .file(let url):
            let (descriptor, fileSize) = try Self.open(url, role)
            close(descriptor)
            size = fileSize
        }
        guard size > 0 || allowEmpty else { throw ConfigurationError(.badFile, "\(role) \(name): the file is empty") }
        return size
    }

    /// All of its bytes.
    ///
    /// - Parameters:
    ///   - role: what it is for, as messages say it.
    ///   - limit: the largest size accepted, in bytes.
    /// - Throws: `ConfigurationError` with the reason `badFile`.
    public func read(as role: String, limit: UInt64) throws(ConfigurationError) -> [UInt8] {
        switch self {
        case .bytes(let bytes, _):
            try Self.check(bytes.count, name, role, limit)
            return bytes
        case .file(let url):
            let (descriptor, size) = try Self.open(url, role)
            defer { close(descriptor) }
            try Self.check(size, name, role, limit)
            var failure: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
                while count < size {
                    let got = Glibc.read(
                        descriptor, UnsafeMutableRawBufferPointer(buffer).baseAddress.map { $0 + count }, size - count)
                    if got < 0, errno == EINTR { continue }
                    if got < 0 { failure = errno }
                    if got <= 0 { break }
                    count += got
                }
            }
            guard failure == 0 else {
                throw ConfigurationError(.badFile, "\(role) \(name): cannot read: \(errorText(failure))")
            }
            return bytes
        }
    }

    private static func check(
        _ size: Int, _ name: String, _ role: String, _ limit: UInt64
    ) throws(ConfigurationError) {
        guard size > 0 else { throw ConfigurationError(.badFile, "\(role) \(name): the file is empty") }
        guard UInt64(size) <= limit else {
            throw ConfigurationError(
                .badFile, "\(role) \(name): its \(size) bytes do not fit into \(describeSize(limit)) of memory")
        }
    }

    private static func open(_ url: URL, _ role: String) throws(ConfigurationError) -> (Int32, Int) {
        // O_NONBLOCK: a FIFO is refused below rather than waited for.
        let descriptor = Glibc.open(url.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw ConfigurationError(.badFile, "\(role) \(url.path): \(errorText(errno))")
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            let what = status.st_mode & S_IFMT == S_IFDIR ? "is a directory" : "is not a regular file"
            close(descriptor)
            throw ConfigurationError(.badFile, "\(role) \(url.path): \(what)")
        }
        return (descriptor, Int(status.st_size))
    }
}

/// An `errno` value in words, in lower case as in the middle of a sentence.
func errorText(_ number: Int32) -> String {
    let text = String(cString: strerror(number))
    return text.prefix(1).lowercased() + text.dropFirst()
}

// What a user gives to boot (a file, or bytes already at hand), and the bounded way in which loaders read it: a header
// at a time into arrays, everything large straight into guest memory.

import Glibc
import Memory

/// A kernel, initrd, module or firmware image.
public enum BootImage: Sendable, Hashable {
    /// A regular file by its path.
    case file(String)
    /// Bytes, with a name for messages.
    case bytes([UInt8], name: String)

    /// What messages call it.
    public var name: String {
        switch self {
        case .file(let path): path
        case .bytes(_, let name): name
        }
    }
}

/// An image that is open for reading: its size is known and not 0.
package struct OpenImage: ~Copyable {
    /// What messages call it.
    package let name: String
    /// In bytes.
    package let size: UInt64

    private let descriptor: Int32
    private let contents: [UInt8]

    /// Opens an image. Refuses what is not a regular file (a FIFO or a terminal could block for ever) and what is empty.
    package init(_ image: BootImage) throws(BootError) {
        switch image {
        case .bytes(let bytes, let name):
            guard !bytes.isEmpty else { throw .empty(file: name) }
            self.init(name: name, size: UInt64(bytes.count), descriptor: -1, contents: bytes)
        case .file(let path):
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
            guard descriptor >= 0 else { throw .unreadable(file: path, errno: errno) }
            let size: UInt64
            do throws(BootError) {
                size = try Self.regularSize(of: descriptor, path: path)
            } catch {
                close(descriptor)
                throw error
            }
            self.init(name: path, size: size, descriptor: descriptor, contents: [])
        }
    }

    private init(name: String, size: UInt64, descriptor: Int32, contents: [UInt8]) {
        self.name = name
        self.size = size
        self.descriptor = descriptor
        self.contents = contents
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// At most `count` bytes from `offset`; fewer where the image ends.
    package func prefix(_ count: Int, at offset: UInt64 = 0) throws(BootError) -> [UInt8] {
        guard offset < size else { return [] }
        let count = Int(min(UInt64(max(count, 0)), size - offset))
        var failure: BootError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            failure = fill(UnsafeMutableRawBufferPointer(buffer), from: offset)
            initialized = failure == nil ? count : 0
        }
        if let failure { throw failure }
        return bytes
    }

    /// Reads `count` bytes from `offset` into guest memory; both ranges must have been checked.
    package func load(
        from offset: UInt64, count: UInt64, into memory: GuestMemory, at address: UInt64
    ) throws(BootError) {
        guard count > 0 else { return }
        guard let range = offset.range(count: count), range.upperBound <= size, let length = Int(exactly: count) else {
            throw .truncated(file: name, reason: "\(count) bytes at offset \(offset) are missing")
        }
        let failure: BootError?
        do throws(GuestMemoryError) {
            failure = try memory.write(count: length, at: GuestPhysicalAddress(address)) { fill($0, from: offset) }
        } catch {
            throw .memory(error)
        }
        if let failure { throw failure }
    }

    /// Fills `buffer` from `offset`. The file may shrink while it is read: that is an error, not a short result.
    private func fill(_ buffer: UnsafeMutableRawBufferPointer, from offset: UInt64) -> BootError? {
        guard let target = buffer.baseAddress else { return nil }
        guard descriptor >= 0 else {
            let start = Int(offset)
            contents[start..<start + buffer.count].withUnsafeBytes { buffer.copyMemory(from: $0) }
            return nil
        }
        var done = 0
        while done < buffer.count {
            let got = pread(descriptor, target + done, buffer.count - done, off_t(offset) + done)
            if got > 0 {
                done += got
            } else if got == 0 {
                return .truncated(file: name, reason: "it became shorter while it was read")
            } else if errno != EINTR {
                return .unreadable(file: name, errno: errno)
            }
        }
        return nil
    }

    /// The size of a regular file that is not empty.
    private static func regularSize(of descriptor: Int32, path: String) throws(BootError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(file: path, errno: errno) }
        switch status.st_mode & S_IFMT {
        case S_IFREG:
            guard status.st_size > 0 else { throw .empty(file: path) }
            return UInt64(status.st_size)
        case S_IFDIR: throw .notRegularFile(file: path, kind: "a folder")
        case S_IFIFO: throw .notRegularFile(file: path, kind: "a pipe")
        case S_IFBLK, S_IFCHR: throw .notRegularFile(file: path, kind: "a device")
        default: throw .notRegularFile(file: path, kind: "a special file")
        }
    }
}

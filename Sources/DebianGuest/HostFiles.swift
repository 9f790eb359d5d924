// Files of the host, by plain system calls with typed errors.
//
// Everything below throws `DebianGuestError`, with a full file system told apart from the rest, because that is the one
// failure a user meets in practice. Foundation is left out on purpose: with a warm cache this module's whole work
// takes less time than loading it would.

import Glibc

/// The C library's text for an `errno` value.
func errnoText(_ code: Int32) -> String {
    guard let text = strerror(code) else { return "error \(code)" }
    return String(cString: text)
}

package enum HostFiles {
    /// The error for a failed operation on `path`.
    static func error(_ path: String, _ operation: String, _ code: Int32) -> DebianGuestError {
        code == ENOSPC || code == EDQUOT
            ? .diskFull(path: path) : .fileFailed(path: path, operation: operation, code: code)
    }

    static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    static func isExecutableFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    /// Size in bytes of a regular file, or nil when there is none at `path`.
    static func size(_ path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    /// Reads a whole regular file.
    static func read(_ path: String) throws(DebianGuestError) -> [UInt8] {
        try read(Array(path.utf8), called: path)
    }

    /// Reads a whole regular file whose name is bytes; `path` is what messages call it.
    static func read(_ name: [UInt8], called path: String) throws(DebianGuestError) -> [UInt8] {
        let descriptor = open(name.map { CChar(bitPattern: $0) } + [0], O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw error(path, "open", errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw error(path, "read", errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw error(path, "read", EINVAL) }
        let expected = Int(status.st_size)
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: expected) { buffer, count in
            while count < expected {
                let got = Glibc.read(descriptor, buffer.baseAddress.map { $0 + count }, expected - count)
                if got < 0 && errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { break }
                count += got
            }
        }
        guard failure == 0 else { throw error(path, "read", failure) }
        return bytes
    }

    /// Writes `bytes` as the whole contents of `path` and waits until the disk has them.
    package static func write(_ bytes: [UInt8], to path: String, mode: mode_t = 0o644) throws(DebianGuestError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        guard descriptor >= 0 else { throw error(path, "create", errno) }
        var failure: Int32 = 0
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset < buffer.count {
                let put = Glibc.write(descriptor, buffer.baseAddress.map { $0 + offset }, buffer.count - offset)
                if put < 0 && errno == EINTR { continue }
                if put < 0 {
                    failure = errno
                    break
                }
                offset += put
            }
        }
        // Some file systems report a lack of space only here. Devices and pipes have no fsync (EINVAL).
        if failure == 0 && fsync(descriptor) != 0 && errno != EINVAL { failure = errno }
        if close(descriptor) != 0 && failure == 0 { failure = errno }
        guard failure == 0 else { throw error(path, "write", failure) }
    }

    /// Makes a folder and its parents.
    static func makeFolder(_ path: String) throws(DebianGuestError) {
        if mkdir(path, 0o755) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw error(path, "make the folder", errno)
        }
        try makeFolder(String(path[..<slash]))
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw error(path, "make the folder", errno) }
    }

    static func rename(_ from: String, to: String) throws(DebianGuestError) {
        guard Glibc.rename(from, to) == 0 else { throw error(to, "put in place", errno) }
    }

    /// Names in a folder, sorted by their bytes; empty when it can't be read.
    static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = Glibc.readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { raw in
                String(decoding: raw.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Removes a file, or a folder with all it holds; does not follow symbolic links. Failures are left for the next
    /// run to meet: this only ever clears away what nobody refers to.
    static func removeTree(_ path: String) {
        if unlink(path) == 0 || errno == ENOENT { return }
        for name in names(in: path) { removeTree(path + "/" + name) }
        _ = rmdir(path)
    }
}

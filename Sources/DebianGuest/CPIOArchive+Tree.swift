// Packs a folder of the host, such as an unpacked Debian userland, into a cpio archive.
//
// Everything becomes root's: such trees are made by ordinary users, whose numbers mean nothing in the guest. Hard links
// become separate files. Names are bytes: the host's need not be UTF-8.

import Glibc

extension CPIOArchive {
    /// Adds all that `folder` holds, in the order of the names' bytes; its own permissions become the root's.
    ///
    /// Device nodes, FIFOs and sockets are added as such. Other file systems mounted within are included.
    public mutating func addTree(_ folder: String) throws(DebianGuestError) {
        reserve(Self.sizeOfTree(Array(folder.utf8)))
        try addTree(Array(folder.utf8), as: [])
    }

    private mutating func addTree(_ folder: [UInt8], as prefix: [UInt8]) throws(DebianGuestError) {
        for name in try Self.names(in: folder) {
            let hostPath = folder + [UInt8(ascii: "/")] + name
            let path = prefix.isEmpty ? name : prefix + [UInt8(ascii: "/")] + name
            try addNode(hostPath, as: path)
        }
    }

    private mutating func addNode(_ hostPath: [UInt8], as path: [UInt8]) throws(DebianGuestError) {
        let readable = String(decoding: hostPath, as: UTF8.self)
        var status = stat()
        guard lstat(Self.cString(hostPath), &status) == 0 else { throw HostFiles.error(readable, "read", errno) }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            addHeader(path, mode: status.st_mode, links: 2)
            try addTree(hostPath, as: path)
        case S_IFLNK:
            addSymbolicLink(path, to: try Self.target(of: hostPath))
        case S_IFREG:
            try addFile(path, permissions: status.st_mode & 0o7777, try HostFiles.read(hostPath, called: readable))
        default:
            // makedev(3): twelve bits of the major number and eight of the minor lie low, the rest high.
            let device = status.st_rdev
            let major = UInt32(truncatingIfNeeded: device >> 8 & 0xFFF | device >> 32 & 0xFFFF_F000)
            let minor = UInt32(truncatingIfNeeded: device & 0xFF | device >> 12 & 0xFFFF_FF00)
            addHeader(path, mode: status.st_mode, device: (major, minor))
        }
    }

    // MARK: - Reading the host by names that are bytes

    private static func cString(_ path: [UInt8]) -> [CChar] { path.map { CChar(bitPattern: $0) } + [0] }

    private static func names(in folder: [UInt8]) throws(DebianGuestError) -> [[UInt8]] {
        guard let stream = opendir(cString(folder)) else {
            throw HostFiles.error(String(decoding: folder, as: UTF8.self), "read", errno)
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != [0x2E] && name != [0x2E, 0x2E] { names.append(name) }
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    private static func target(of link: [UInt8]) throws(DebianGuestError) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink(cString(link), &buffer, buffer.count)
        guard count >= 0 else { throw HostFiles.error(String(decoding: link, as: UTF8.self), "read", errno) }
        return buffer.prefix(count).map { UInt8(bitPattern: $0) }
    }

    /// The bytes that a tree's members take, headers included, roughly; what can't be read counts as nothing.
    private static func sizeOfTree(_ folder: [UInt8]) -> Int {
        guard let names = try? names(in: folder) else { return 0 }
        return names.reduce(0) { total, name in
            let path = folder + [UInt8(ascii: "/")] + name
            var status = stat()
            guard lstat(cString(path), &status) == 0 else { return total }
            let below = status.st_mode & S_IFMT == S_IFDIR ? sizeOfTree(path) : Int(status.st_size)
            return total + 120 + path.count - folder.count + below
        }
    }
}

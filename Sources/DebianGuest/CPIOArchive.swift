// Writes a cpio archive in the "newc" format, the one that Linux unpacks as its initramfs.
//
// Each member is a header of 110 ASCII characters (a magic number and thirteen hexadecimal fields), the name with a NUL,
// and the contents; both are padded to a multiple of four. The member `TRAILER!!!` ends the archive, which is padded to
// blocks of 512 bytes. Source: cpio(5), and Documentation/driver-api/early-userspace/buffer-format.rst in Linux.
//
// The same calls always give the same bytes: times are 0, owners are root, and inode numbers count up from 1.

/// A newc archive under construction.
///
/// Names are paths relative to the root, without a leading slash. Folders must be added before what they hold.
/// Archives may be concatenated: Linux unpacks one after the other, and a later member replaces an earlier one.
public struct CPIOArchive: Sendable {
    private var bytes: [UInt8] = []
    private var nextInode: UInt32 = 1

    /// An empty archive.
    public init() {}

    /// Starts with the bytes of a finished archive, so that what is added replaces members of the same name.
    public init(appendingTo archive: [UInt8]) {
        bytes = archive
        pad(to: 4)
    }

    /// Makes room for `count` bytes more at once.
    public mutating func reserve(_ count: Int) { bytes.reserveCapacity(bytes.count + count) }

    /// Adds a folder, owned by root.
    public mutating func addFolder(_ name: String, permissions: UInt32 = 0o755) {
        addHeader(Array(name.utf8), mode: 0o040000 | permissions & 0o7777, links: 2)
    }

    /// Adds a regular file; contents of 4 GiB or more are refused (`fileTooLarge`).
    public mutating func addFile(
        _ name: String, permissions: UInt32 = 0o644, _ contents: [UInt8]
    ) throws(DebianGuestError) {
        try addFile(Array(name.utf8), permissions: permissions, contents)
    }

    /// Adds a symbolic link.
    public mutating func addSymbolicLink(_ name: String, to target: String) {
        addSymbolicLink(Array(name.utf8), to: Array(target.utf8))
    }

    /// A character device node.
    public mutating func addCharacterDevice(_ name: String, permissions: UInt32, major: UInt32, minor: UInt32) {
        addHeader(Array(name.utf8), mode: 0o020000 | permissions & 0o7777, device: (major, minor))
    }

    /// The archive with its end mark, padded to a multiple of 512 bytes.
    public func finished() -> [UInt8] {
        var whole = self
        whole.nextInode = 0
        whole.addHeader(Array("TRAILER!!!".utf8), mode: 0)
        whole.pad(to: 512)
        return whole.bytes
    }

    // MARK: - Names as bytes, for trees of the host

    mutating func addFile(
        _ name: [UInt8], permissions: UInt32, _ contents: [UInt8]
    ) throws(DebianGuestError) {
        guard let size = UInt32(exactly: contents.count) else {
            throw .fileTooLarge(path: String(decoding: name, as: UTF8.self))
        }
        addHeader(name, mode: 0o100000 | permissions & 0o7777, size: size)
        bytes.append(contentsOf: contents)
        pad(to: 4)
    }

    mutating func addSymbolicLink(_ name: [UInt8], to target: [UInt8]) {
        addHeader(name, mode: 0o120777, size: UInt32(truncatingIfNeeded: target.count))
        bytes.append(contentsOf: target)
        pad(to: 4)
    }

    /// A member that is all header: a folder, device node, FIFO or socket.
    mutating func addHeader(
        _ name: [UInt8], mode: UInt32, links: UInt32 = 1, size: UInt32 = 0, device: (UInt32, UInt32) = (0, 0)
    ) {
        bytes.append(contentsOf: Array("070701".utf8))
        // inode, mode, owner, group, links, time, size, device of the file system (2), device of the node (2),
        // length of the name with its NUL, checksum (only used by another variant)
        let fields: [UInt32] = [
            nextInode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, UInt32(truncatingIfNeeded: name.count + 1),
            0,
        ]
        for field in fields { appendHexadecimal(field) }
        nextInode += 1
        bytes.append(contentsOf: name)
        bytes.append(0)
        pad(to: 4)
    }

    private mutating func appendHexadecimal(_ value: UInt32) {
        for shift in stride(from: 28, through: 0, by: -4) {
            let digit = UInt8(truncatingIfNeeded: value >> UInt32(shift) & 15)
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10)
        }
    }

    private mutating func pad(to alignment: Int) {
        while !bytes.count.isMultiple(of: alignment) { bytes.append(0) }
    }
}

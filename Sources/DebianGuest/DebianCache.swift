// The folder under the user's cache folder that keeps what was fetched, so that only the first run needs the network.
//
//     $XDG_CACHE_HOME/trapeze/debian/       ($XDG_CACHE_HOME: ~/.cache when unset)
//         lock                              held while anything is written
//         apt/                              apt's private lists and state
//         cloud -> cloud@RELEASE-NUMBER     the entry in use, one link per kernel choice
//         cloud@RELEASE-NUMBER/             kernel, busybox, modules, and `index`, which lists them with their sizes
//         work-…/                           an entry in the making
//
// An entry is made in a work folder, flushed to the disk and only then renamed and linked to, so what the link leads to
// is whole at all times, on a full disk or after a crash too. Readers take no lock. The entry before the current one
// is kept until the next refresh, for readers that followed the link just before it changed.

import Glibc

/// The cache of Debian's kernels and busybox.
package struct DebianCache {
    /// The cache's own folder, such as `~/.cache/trapeze/debian`.
    package let folder: String

    /// The folder in an environment: `XDG_CACHE_HOME` when absolute (the XDG Base Directory Specification has relative
    /// ones ignored), else `.cache` in `HOME`, else in the home folder of the user database.
    package init(environment name: (String) -> String?) throws(DebianGuestError) {
        if let caches = name("XDG_CACHE_HOME"), caches.hasPrefix("/") {
            self.init(cachesFolder: caches)
        } else if let home = name("HOME"), home.hasPrefix("/") {
            self.init(cachesFolder: home + "/.cache")
        } else if let user = getpwuid(getuid()), let home = user.pointee.pw_dir, home.pointee != 0 {
            self.init(cachesFolder: String(cString: home) + "/.cache")
        } else {
            throw .noCacheFolder
        }
    }

    /// The folder `trapeze/debian` in `cachesFolder`.
    package init(cachesFolder: String) { folder = cachesFolder + "/trapeze/debian" }

    static func environmentVariable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    // MARK: - Entries

    /// The last line of an index: one cut short is none.
    private static let indexEnd = "end"

    /// What is kept for one choice of kernel.
    package struct Entry {
        let folder: String
        /// The kernel's release, as `uname -r` prints it.
        package let release: String
        /// Names of the modules it has, without a suffix.
        let modules: [String]

        /// The bzImage.
        package var kernelPath: String { folder + "/vmlinuz" }
        /// The ELF kernel out of it, made when first asked for.
        var elfKernelPath: String { folder + "/vmlinux" }
        var busyboxPath: String { folder + "/busybox" }
        func modulePath(_ name: String) -> String { "\(folder)/\(name).ko" }
    }

    /// The entry for `kernel`, if it is there and whole: every file has the size that the index says.
    package func entry(for kernel: DebianKernel) -> Entry? {
        // The link is followed once, so that a change of it can't mix two entries.
        guard let target = Self.linkTarget("\(folder)/\(kernel.rawValue)"), !target.contains("/"),
            let index = try? HostFiles.read("\(folder)/\(target)/index")
        else { return nil }
        let lines = String(decoding: index, as: UTF8.self).split(separator: "\n")
        guard let release = lines.first, lines.count > 1, lines[lines.count - 1] == Self.indexEnd else { return nil }
        var modules: [String] = []
        for line in lines.dropFirst().dropLast() {
            guard let blank = line.firstIndex(of: " "), let size = Int(line[..<blank]) else { return nil }
            let name = line[line.index(after: blank)...]
            guard HostFiles.size("\(folder)/\(target)/\(name)") == size else { return nil }
            if name.hasSuffix(".ko") { modules.append(String(name.dropLast(3))) }
        }
        return Entry(folder: "\(folder)/\(target)", release: String(release), modules: modules)
    }

    /// Writes an entry and puts it in place of the one before. Call with the lock held.
    func store(_ contents: DebianPackageContents, for kernel: DebianKernel) throws(DebianGuestError) -> Entry {
        let work = try makeWorkFolder()
        defer { HostFiles.removeTree(work) }
        var files = [("vmlinuz", contents.kernel), ("busybox", contents.busybox)]
        for name in DebianPackageContents.moduleNames {
            if let module = contents.modules[name] { files.append((name + ".ko", module)) }
        }
        var index = contents.release + "\n"
        for (name, bytes) in files {
            try HostFiles.write(bytes, to: work + "/" + name, mode: name == "busybox" ? 0o755 : 0o644)
            index += "\(bytes.count) \(name)\n"
        }
        index += Self.indexEnd + "\n"
        try HostFiles.write(Array(index.utf8), to: work + "/index")

        let prefix = "\(kernel.rawValue)@"
        let previous = Self.linkTarget("\(folder)/\(kernel.rawValue)")
        let numbers = HostFiles.names(in: folder)
            .filter { $0.hasPrefix(prefix) }
            .compactMap { name in name.split(separator: "-").last.flatMap { Int($0) } }
        let last = numbers.max() ?? 0
        let name = "\(prefix)\(contents.release)-\(last + 1)"
        try HostFiles.rename(work, to: "\(folder)/\(name)")
        let link = "\(folder)/work-link"
        unlink(link)
        guard symlink(name, link) == 0 else { throw HostFiles.error(link, "make the link", errno) }
        try HostFiles.rename(link, to: "\(folder)/\(kernel.rawValue)")
        for old in HostFiles.names(in: folder) where old.hasPrefix(prefix) && old != name && old != previous {
            HostFiles.removeTree("\(folder)/\(old)")
        }
        guard let entry = entry(for: kernel) else {
            throw .fileFailed(path: "\(folder)/\(name)", operation: "read back", code: EIO)
        }
        return entry
    }

    /// A new empty folder for work in progress.
    func makeWorkFolder() throws(DebianGuestError) -> String {
        try HostFiles.makeFolder(folder)
        var template = Array("\(folder)/work-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil, chmod(template, 0o755) == 0 else {
            throw HostFiles.error(folder, "make a folder in it", errno)
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func linkTarget(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 1024)
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0, count < buffer.count else { return nil }
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: - The lock

    /// Longer than any download may take: the lock's holder is given up on after this many seconds.
    package static let lockLimit = 3000

    /// Runs `body` while no other process writes here; says so through `progress` when it has to wait.
    package func locked<Value>(
        _ body: () throws(DebianGuestError) -> Value, limit: Int = lockLimit, progress: (String) -> Void
    ) throws(DebianGuestError) -> Value {
        try HostFiles.makeFolder(folder)
        let path = folder + "/lock"
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw HostFiles.error(path, "open", errno) }
        // Closing releases the lock, and so does the process's end in any manner.
        defer { close(descriptor) }
        let deadline = HostCommand.now() + Double(limit)
        var announced = false
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            guard errno == EWOULDBLOCK || errno == EINTR else { throw HostFiles.error(path, "lock", errno) }
            if !announced { progress("waiting for another process that is filling \(folder)") }
            announced = true
            guard HostCommand.now() < deadline else { throw .cacheBusy(path: path, seconds: limit) }
            usleep(100_000)
        }
        // What a process that was ended left behind: with the lock held, nobody works there.
        for name in HostFiles.names(in: folder) where name.hasPrefix("work-") {
            HostFiles.removeTree("\(folder)/\(name)")
        }
        return try body()
    }
}

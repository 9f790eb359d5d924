// Takes files out of a .deb: `dpkg-deb --fsys-tarfile` writes its contents as a tar stream, which is scanned as it comes.

struct DebianPackage {
    /// The package file.
    let path: String
    /// Where dpkg-deb is looked up; colon-separated folders.
    let searchPath: String

    /// The regular files whose names (without a leading slash) are wanted.
    func files(where isWanted: @escaping (String) -> Bool) throws(DebianGuestError) -> [String: [UInt8]] {
        guard let tool = HostCommand.find("dpkg-deb", in: searchPath) else {
            throw .toolMissing(tool: "dpkg-deb", package: "dpkg")
        }
        let command = HostCommand(program: tool, arguments: ["--fsys-tarfile", path], timeLimit: 120)
        var scanner = TarScanner(isWanted: isWanted)
        let result = try command.run(onOutput: { scanner.feed($0) })
        if result.ending == .timedOut { throw .timedOut(step: "dpkg-deb", seconds: command.timeLimit) }
        guard result.succeeded else { throw .packageUnreadable(path: path, detail: result.complaint) }
        guard scanner.isComplete else {
            throw .packageUnreadable(path: path, detail: scanner.failure ?? "its contents end within a file")
        }
        return scanner.members
    }
}

/// What a guest needs of a kernel package and of busybox-static.
struct DebianPackageContents {
    /// The kernel's release, as `uname -r` prints it.
    let release: String
    /// The bzImage.
    let kernel: [UInt8]
    /// Kernel modules, expanded, by name without a suffix.
    let modules: [String: [UInt8]]
    /// busybox, statically linked.
    let busybox: [UInt8]

    /// The modules that a guest loads, in this order: they report a kernel panic to the machine.
    static let moduleNames = ["pvpanic", "pvpanic-mmio", "pvpanic-pci"]

    init(
        kernelPackage: DebianPackage, busyboxPackage: DebianPackage, decompressor: HostDecompressor
    ) throws(DebianGuestError) {
        let image = "boot/vmlinuz-"
        let members = try kernelPackage.files { name in
            name.hasPrefix(image) || Self.module(name) != nil
        }
        guard let kernelName = members.keys.sorted().first(where: { $0.hasPrefix(image) }),
            let kernel = members[kernelName]
        else {
            throw .memberMissing(package: kernelPackage.path, member: image + "*")
        }
        self.kernel = kernel
        release = String(kernelName.dropFirst(image.count))

        var modules: [String: [UInt8]] = [:]
        for (path, contents) in members {
            guard let (name, format) = Self.module(path) else { continue }
            guard let format else {
                modules[name] = contents
                continue
            }
            modules[name] = try decompressor.expand(contents[...], format, name: path, limit: 64 << 20)
        }
        self.modules = modules

        // Debian is moving /bin into /usr.
        let places = ["bin/busybox", "usr/bin/busybox"]
        let found = try busyboxPackage.files { places.contains($0) }
        guard let busybox = places.lazy.compactMap({ found[$0] }).first else {
            throw .memberMissing(package: busyboxPackage.path, member: places[0])
        }
        self.busybox = busybox
    }

    /// The name of the module at `path` and how it is compressed, if it is one of those that a guest loads.
    static func module(_ path: String) -> (name: String, format: HostDecompressor.Format?)? {
        guard path.contains("lib/modules/"), let slash = path.lastIndex(of: "/") else { return nil }
        let file = path[path.index(after: slash)...]
        guard let dot = file.firstIndex(of: ".") else { return nil }
        let name = String(file[..<dot])
        guard moduleNames.contains(name) else { return nil }
        switch file[dot...] {
        case ".ko": return (name, nil)
        case ".ko.xz": return (name, .xz)
        case ".ko.zst": return (name, .zstandard)
        case ".ko.gz": return (name, .gzip)
        default: return nil
        }
    }
}

// Assembles the initramfs: the userland, then what this project adds to it.
//
// Alone, busybox is the userland. A userland of the user's comes as an archive of its own, or as a folder to be packed;
// ours is then appended, which adds only `/init` and what lies under `/trapeze`.

/// What the guest's root file system is made of.
public enum DebianUserland: Equatable, Sendable {
    /// busybox and nothing else.
    case busybox
    /// A folder of the host that holds an unpacked userland.
    case folder(String)
    /// An initramfs archive (newc, compressed or not) that holds one.
    case archive(String)
}

struct DebianInitramfs {
    let entry: DebianCache.Entry
    let userland: DebianUserland
    let session: InitScript.Session
    let console: GuestConsole
    let firstLine: String?

    /// The archive's bytes.
    func build() throws(DebianGuestError) -> [UInt8] {
        var archive: CPIOArchive
        switch userland {
        case .busybox:
            archive = CPIOArchive()
            try addBase(to: &archive)
        case .folder(let folder):
            archive = CPIOArchive()
            try archive.addTree(folder)
        case .archive(let path):
            archive = CPIOArchive(appendingTo: try HostFiles.read(path))
        }
        let script = InitScript(
            session: session, console: console, firstLine: firstLine, modules: entry.modules,
            installsBusybox: userland == .busybox)
        let root = String(InitScript.folder.dropFirst())
        archive.addFolder(root)
        try archive.addFile(root + "/busybox", permissions: 0o755, try HostFiles.read(entry.busyboxPath))
        try archive.addFile(root + "/exit", permissions: 0o755, ExitProgram.file)
        try archive.addFile(root + "/foreground", permissions: 0o755, ForegroundProgram.file)
        try archive.addFile(root + "/session", try script.sessionFile())
        archive.addFolder(root + "/modules")
        for name in entry.modules {
            try archive.addFile(root + "/modules/\(name).ko", try HostFiles.read(entry.modulePath(name)))
        }
        try archive.addFile("init", permissions: 0o755, script.initFile)
        return archive.finished()
    }

    /// The folders and files that a system of busybox alone expects.
    private func addBase(to archive: inout CPIOArchive) throws(DebianGuestError) {
        for name in ["bin", "dev", "etc", "proc", "run", "sbin", "sys", "usr", "usr/bin", "usr/sbin", "var"] {
            archive.addFolder(name)
        }
        archive.addFolder("root", permissions: 0o700)
        archive.addFolder("tmp", permissions: 0o1777)
        archive.addCharacterDevice("dev/console", permissions: 0o600, major: 5, minor: 1)
        archive.addCharacterDevice("dev/null", permissions: 0o666, major: 1, minor: 3)
        try archive.addFile("etc/passwd", Array("root:x:0:0:root:/root:/bin/sh\n".utf8))
        try archive.addFile("etc/group", Array("root:x:0:\ntty:x:5:\n".utf8))
        try archive.addFile("etc/hosts", Array("127.0.0.1 localhost trapeze\n".utf8))
    }
}

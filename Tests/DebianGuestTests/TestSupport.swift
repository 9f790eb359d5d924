// What the tests share: temporary folders, and a host with a made-up apt whose archive is a folder.

import DebianGuest
import Glibc
import Testing

/// A temporary folder, removed at the end.
final class TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("/tmp/debian-guest-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { _ = try? run("/bin/rm", ["-rf", path]) }

    func callAsFunction(_ name: String) -> String { path + "/" + name }

    func write(_ name: String, _ text: String) throws {
        try HostFiles.write(Array(text.utf8), to: self(name))
    }

    /// Writes a program. A process that another test is just starting may hold the written file open for a moment, and
    /// what is open for writing can't be run: so a child makes the copy that is run.
    func writeProgram(_ name: String, _ bytes: [UInt8]) throws {
        try HostFiles.write(bytes, to: self(name + ".made"), mode: 0o755)
        try #require(try run("/bin/cp", [self(name + ".made"), self(name)]).succeeds)
    }
}

@discardableResult
func run(_ program: String, _ arguments: [String], in folder: String? = nil) throws -> HostCommand.Result {
    try HostCommand(program: program, arguments: arguments, workingFolder: folder, timeLimit: 60).run()
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

func hostTool(_ name: String) -> String? { HostCommand.find(name, in: "/usr/bin:/bin:/usr/sbin:/sbin") }

/// A host whose `apt-get` and `apt-cache` are scripts and serve packages built on the spot. Its other tools are real.
struct MadeUpHost {
    let folder: TemporaryFolder
    /// Where its tools are.
    var tools: String { folder("tools") }
    var caches: String { folder("caches") }

    static let release = "6.1.0-1-cloud-amd64"

    /// Behaviour of apt that differs from success: shell text run first, with the operation in `$operation`.
    init(aptBegins begin: String = ":") throws {
        folder = try TemporaryFolder()
        for name in ["tools", "caches", "archive", "kernel", "busybox"] {
            try #require(mkdir(folder(name), 0o755) == 0)
        }
        for tool in ["dpkg-deb", "tar", "sh", "cp", "sleep", "cat"] {
            let path = try #require(hostTool(tool))
            try #require(symlink(path, "\(tools)/\(tool)") == 0)
        }
        try Self.buildPackage(
            in: folder, name: "linux-image-\(Self.release)", tree: "kernel",
            files: [
                "boot/vmlinuz-\(Self.release)": "kernel image",
                "lib/modules/\(Self.release)/kernel/drivers/misc/pvpanic/pvpanic.ko": "module one",
                "lib/modules/\(Self.release)/kernel/\(String(repeating: "long/", count: 40))pvpanic-mmio.ko":
                    "module two",
                "lib/modules/\(Self.release)/kernel/other.ko": "not wanted",
            ])
        try Self.buildPackage(
            in: folder, name: "busybox-static", tree: "busybox", files: ["bin/busybox": "busybox program"])
        try folder.write(
            "sources.list", "deb [trusted=yes] made-up:/debian stable main # comment\ndeb other:/x stable main\n")
        let script = """
            #!/bin/sh
            for operation; do
                case $operation in update|indextargets|download|show) break ;; esac
            done
            for last; do :; done
            echo "$operation $last" >>\(folder("log"))
            \(begin)
            case $operation in
            indextargets)
                for site in made-up:/debian/ other:/x/; do
                    echo "Created-By: Packages"
                    echo "Component: main"
                    echo "Release: stable"
                    echo "Repo-URI: $site"
                    echo "Sourcesentry: \(folder("sources.list")):1"
                    case "$* $site" in
                    *no-release-info*) ;;
                    *made-up*) printf 'Origin: Debian\\nLabel: Debian\\nCodename: imaginary\\n' ;;
                    *) printf 'Origin: Other\\nLabel: Other\\nCodename: other\\n' ;;
                    esac
                    echo
                done ;;
            update) echo "Get:1 made-up" ;;
            show) printf 'Package: %s\\nDepends: linux-image-\(Self.release) (= 1)\\n' "$last" ;;
            download) cp "\(folder("archive"))/$last"_*.deb . ;;
            esac
            """
        for tool in ["apt-get", "apt-cache"] { try folder.writeProgram("tools/" + tool, Array(script.utf8)) }
    }

    private static func buildPackage(
        in folder: TemporaryFolder, name: String, tree: String, files: [String: String]
    ) throws {
        for (path, contents) in files {
            let target = folder(tree + "/" + path)
            try run("/bin/mkdir", ["-p", String(target[..<(try #require(target.lastIndex(of: "/")))])])
            try HostFiles.write(Array(contents.utf8), to: target)
        }
        try run("/bin/mkdir", ["-p", folder(tree + "/DEBIAN")])
        try folder.write(
            tree + "/DEBIAN/control",
            "Package: \(name)\nVersion: 1\nArchitecture: amd64\nMaintainer: nobody <nobody>\nDescription: made up\n")
        let built = try run(
            try #require(hostTool("dpkg-deb")), ["--build", folder(tree), folder("archive/\(name)_1_amd64.deb")])
        try #require(built.succeeds, "\(text(built.errors))")
    }

    var options: DebianGuestOptions {
        var options = DebianGuestOptions()
        options.cachesFolder = caches
        options.searchPath = tools
        return options
    }

    /// The operations that apt was asked for.
    var log: [Substring] {
        get throws { text(try run("/bin/cat", [folder("log")]).output).split(separator: "\n") }
    }

    /// The error that preparing ends with.
    func failure(_ options: DebianGuestOptions? = nil) -> DebianGuestError? {
        do throws(DebianGuestError) {
            _ = try DebianGuest.prepare(options ?? self.options) { _ in }
            return nil
        } catch {
            return error
        }
    }
}

extension HostCommand.Result {
    var succeeds: Bool { ending == .exited(0) }
}

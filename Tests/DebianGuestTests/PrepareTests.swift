// The way from apt to a prepared guest, with a made-up apt, and every way in which it can fail.

import DebianGuest
import Glibc
import Testing

@Suite struct PrepareTests {
    @Test func fetchesThenUsesTheCacheWithoutAnyTool() throws {
        let host = try MadeUpHost()
        var lines: [String] = []
        let first = try DebianGuest.prepare(host.options) { lines.append($0) }
        #expect(first.release == MadeUpHost.release)
        #expect(text(try run("/bin/cat", [first.kernelPath]).output) == "kernel image")
        #expect(first.commandLine == "console=ttyS0,115200 rdinit=/init panic=-1 quiet")
        #expect(lines.contains("Get:1 made-up"))
        let initrd = text(first.initrd)
        for part in ["module one", "module two", "busybox program", "insmod /trapeze/modules/pvpanic-mmio.ko"] {
            #expect(initrd.contains(part))
        }
        #expect(!initrd.contains("not wanted"))

        var offline = host.options
        offline.searchPath = "/nonexistent"
        let second = try DebianGuest.prepare(offline) { _ in Issue.record("a warm cache is silent") }
        let isSame = second == first
        #expect(isSame)
    }

    @Test func leavesThirdPartySourcesOut() throws {
        let host = try MadeUpHost()
        _ = try DebianGuest.prepare(host.options) { _ in }
        let sources = try run("/bin/cat", [host.caches + "/trapeze/debian/apt/release.sources.d/debian.list"])
        #expect(text(sources.output) == "deb [trusted=yes] made-up:/debian stable main \n")
    }

    @Test func derivesTheBackportsSuite() throws {
        let host = try MadeUpHost()
        var options = host.options
        options.kernel = .cloudBackports
        _ = try DebianGuest.prepare(options) { _ in }
        let sources = try run("/bin/cat", [host.caches + "/trapeze/debian/apt/backports.sources.d/debian.list"])
        #expect(text(sources.output) == "deb [trusted=yes] made-up:/debian imaginary-backports main\n")
    }

    @Test func refreshAsksTheArchiveAgainAndKeepsOneEntryBefore() throws {
        let host = try MadeUpHost()
        var options = host.options
        _ = try DebianGuest.prepare(options) { _ in }
        options.refresh = true
        let second = try DebianGuest.prepare(options) { _ in }
        let third = try DebianGuest.prepare(options) { _ in }
        #expect(try host.log.count { $0.hasPrefix("update") } == 3)
        #expect(access(second.kernelPath, R_OK) == 0)
        #expect(access(third.kernelPath, R_OK) == 0)
        let names = text(try run("/bin/ls", [host.caches + "/trapeze/debian"]).output).split(separator: "\n")
        #expect(names.count { $0.hasPrefix("cloud@") } == 2)
    }

    @Test(arguments: ["vmlinuz", "busybox", "pvpanic.ko", "index"])
    func fetchesADamagedEntryAnew(_ name: String) throws {
        let host = try MadeUpHost()
        let first = try DebianGuest.prepare(host.options) { _ in }
        let file = host.caches + "/trapeze/debian/cloud/" + name
        #expect(truncate(file, 3) == 0)
        let second = try DebianGuest.prepare(host.options) { _ in }
        let isSame = second.initrd == first.initrd
        #expect(isSame)
        #expect(second.kernelPath != first.kernelPath)
    }

    @Test func clearsAwayWhatACrashLeft() throws {
        let host = try MadeUpHost()
        try run("/bin/mkdir", ["-p", host.caches + "/trapeze/debian/work-abcdef/deep"])
        _ = try DebianGuest.prepare(host.options) { _ in }
        #expect(access(host.caches + "/trapeze/debian/work-abcdef", F_OK) != 0)
    }

    @Test func twoAtOnceFetchOnce() async throws {
        let host = try MadeUpHost(aptBegins: "[ $operation = update ] && sleep 1")
        let options = host.options
        let guests = try await withThrowingTaskGroup(of: PreparedGuest.self) { group in
            for _ in 0..<2 {
                group.addTask { try DebianGuest.prepare(options) { _ in } }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let isSame = guests[0] == guests[1]
        #expect(isSame)
        #expect(try host.log.count { $0.hasPrefix("update") } == 1)
    }

    @Test func saysThatItWaitsForAnother() throws {
        let host = try MadeUpHost()
        let folder = host.caches + "/trapeze/debian"
        let hold = """
            mkdir -p \(folder); flock \(folder)/lock sh -c 'echo >\(folder)/held; sleep 1' >/dev/null 2>&1 &
            until [ -e \(folder)/held ]; do sleep 0.01; done
            """
        try run("/bin/sh", ["-c", hold])
        var lines: [String] = []
        _ = try DebianGuest.prepare(host.options) { lines.append($0) }
        #expect(lines.first == "waiting for another process that is filling \(folder)")
        #expect(lines.count { $0.hasPrefix("waiting") } == 1)
    }

    // MARK: - Failures

    @Test func aptAbsent() throws {
        let host = try MadeUpHost()
        unlink(host.tools + "/apt-get")
        #expect(host.failure() == .toolMissing(tool: "apt-get", package: "apt"))
    }

    @Test func offline() throws {
        let line = "Failed to fetch made-up:  Temporary failure resolving 'made-up'"
        let host = try MadeUpHost(
            aptBegins: """
                case "$operation $*" in
                update*) echo "W: \(line)" >&2; echo "E: Some index files failed to download." >&2; exit 100 ;;
                *no-release-info*) ;;
                indextargets*) exit 0 ;;
                esac
                """)
        #expect(host.failure() == .offline(detail: line))
    }

    @Test func noSourceOfDebian() throws {
        let host = try MadeUpHost(aptBegins: "[ $operation = indextargets ] && exit 0")
        #expect(host.failure() == .noDebianArchive(detail: "it names no source with a component main"))
    }

    @Test func anUpdateInPartExplainsAMissingPackage() throws {
        let line = "Failed to fetch made-up:  Could not connect to made-up"
        let host = try MadeUpHost(
            aptBegins: "case $operation in update) echo 'E: \(line)' >&2; exit 100 ;; show) exit 100 ;; esac")
        #expect(host.failure() == .offline(detail: line))
    }

    @Test func packageMissing() throws {
        let host = try MadeUpHost(aptBegins: "[ $operation = show ] && exit 100")
        #expect(host.failure() == .packageMissing(name: "linux-image-cloud-amd64", suite: "release"))
        let other = try MadeUpHost(
            aptBegins: "[ $operation = download ] && { echo 'E: Unable to locate package x' >&2; exit 100; }")
        #expect(other.failure() == .packageMissing(name: "linux-image-\(MadeUpHost.release)", suite: "release"))
    }

    @Test(arguments: ["update", "download"])
    func diskFullUnderApt(_ operation: String) throws {
        let host = try MadeUpHost(
            aptBegins: """
                [ $operation = \(operation) ] &&
                { echo 'E: Write error - write (28: No space left on device)' >&2; exit 100; }
                [ \(operation) = update ] && case "$operation $*" in *no-release-info*) ;; indextargets*) exit 0 ;; esac
                """)
        #expect(host.failure() == .diskFull(path: host.caches + "/trapeze/debian/apt"))
    }

    @Test func diskFullUnderOurOwnWrites() throws {
        #expect(throws: DebianGuestError.diskFull(path: "/dev/full")) {
            try HostFiles.write([1, 2, 3], to: "/dev/full")
        }
    }

    @Test func aptSilentFailure() throws {
        let host = try MadeUpHost(aptBegins: "[ $operation = download ] && exit 7")
        #expect(host.failure() == .aptFailed(step: "apt-get download", detail: "exit status 7"))
    }

    @Test func damagedPackage() throws {
        let host = try MadeUpHost()
        let package = host.folder("archive/linux-image-\(MadeUpHost.release)_1_amd64.deb")
        #expect(truncate(package, 200) == 0)
        guard case .packageUnreadable(let path, let detail) = host.failure() else {
            Issue.record("a truncated package must be refused")
            return
        }
        #expect(path.hasSuffix(".deb"))
        #expect(!detail.isEmpty)
        #expect(DebianCache(cachesFolder: host.caches).entry(for: .cloud) == nil)
    }

    @Test func packageWithoutKernel() throws {
        let host = try MadeUpHost()
        let archive = host.folder("archive/")
        try run(
            "/bin/cp",
            [archive + "busybox-static_1_amd64.deb", archive + "linux-image-\(MadeUpHost.release)_1_amd64.deb"])
        guard case .memberMissing(_, let member) = host.failure() else {
            Issue.record("a package without a kernel must be refused")
            return
        }
        #expect(member == "boot/vmlinuz-*")
    }

    @Test func unwritableCache() throws {
        let host = try MadeUpHost()
        var options = host.options
        options.cachesFolder = "/dev/null/caches"
        #expect(
            host.failure(options)
                == .fileFailed(path: "/dev/null/caches/trapeze/debian", operation: "make the folder", code: ENOTDIR))
    }

    @Test func refusesCommandsBeforeFetching() throws {
        let host = try MadeUpHost()
        var options = host.options
        options.command = [[0x61], [0x62, 0, 0x63]]
        #expect(host.failure(options) == .argumentContainsNUL(index: 1))
        options.command = []
        #expect(host.failure(options) == .emptyCommand)
        #expect(access(host.folder("log"), F_OK) != 0)
    }

    @Test func messagesAreOneLine() {
        let errors: [DebianGuestError] = [
            .toolMissing(tool: "apt-get", package: "apt"), .toolNotStarted(tool: "x", code: ENOENT),
            .offline(detail: "x"), .noDebianArchive(detail: "x"), .packageMissing(name: "x", suite: "release"),
            .timedOut(step: "x", seconds: 1), .aptFailed(step: "x", detail: "y"), .diskFull(path: "/x"),
            .fileFailed(path: "/x", operation: "open", code: EACCES), .cacheBusy(path: "/x", seconds: 1),
        ]
        for error in errors { #expect(!error.description.contains("\n")) }
        #expect("\(errors[8])" == "/x: cannot open: Permission denied")
    }

    @Test func cacheFolderFollowsTheSpecification() throws {
        func folder(_ variables: [String: String]) throws -> String {
            try DebianCache(environment: { variables[$0] }).folder
        }
        #expect(try folder(["XDG_CACHE_HOME": "/c", "HOME": "/h"]) == "/c/trapeze/debian")
        #expect(try folder(["XDG_CACHE_HOME": "relative", "HOME": "/h"]) == "/h/.cache/trapeze/debian")
        #expect(try folder(["XDG_CACHE_HOME": "", "HOME": "/h"]) == "/h/.cache/trapeze/debian")
    }

    @Test func lockIsGivenUpOnAfterItsLimit() throws {
        let folder = try TemporaryFolder()
        let cache = DebianCache(cachesFolder: folder.path)
        let path = cache.folder + "/lock"
        func quickly(_ body: () throws(DebianGuestError) -> Int) throws(DebianGuestError) -> Int {
            try cache.locked(body, limit: 0, progress: { _ in })
        }
        let value = try quickly { () throws(DebianGuestError) in
            #expect(throws: DebianGuestError.cacheBusy(path: path, seconds: 0)) { try quickly { 1 } }
            return 2
        }
        #expect(value == 2)
        #expect(try quickly { 3 } == 3)
    }
}

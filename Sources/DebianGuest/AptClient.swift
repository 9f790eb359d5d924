// Fetches packages of Debian's archive with apt's own client, as an ordinary user and beside the system's apt.
//
// apt runs with lists, cache and state of its own under a private folder, so nothing of the system is changed and no
// root is needed. It uses those of the machine's sources that carry Debian's archive and ignores all others, so that a
// third party's broken source is no obstacle. apt verifies signatures and hashes as always. Every step has a time limit.

/// apt, working in a private folder.
struct AptClient {
    /// The folder for lists, cache and state.
    let folder: String
    /// Where apt-get and apt-cache are looked up; colon-separated folders.
    let searchPath: String
    /// Takes apt's progress, line by line.
    let progress: (String) -> Void

    /// A package file that was fetched.
    struct Download: Equatable {
        let package: String
        let path: String
    }

    private enum Limit {
        static let query = 30
        static let update = 300
        static let download = 1200
    }

    /// Updates the lists of `suite`. What could not be had is no obstacle as long as there are lists of Debian's; it is
    /// returned, for the case that something is found to be missing from them.
    func update(_ suite: AptSuite) throws(DebianGuestError) -> DebianGuestError? {
        try prepareFolders()
        let sources: [AptSourceEntry]
        switch suite {
        case .release:
            sources = try configuredSources()
        case .backports:
            sources = try backportsSources()
        }
        try write(sources, for: suite)
        let result = try apt(
            "apt-get", ["update"], suite: suite, step: "apt-get update", limit: Limit.update, showing: true)
        let shortfall = result.succeeded ? nil : failure(result, step: "apt-get update")
        if case .diskFull = shortfall { throw failure(result, step: "apt-get update") }
        let known = try targets(suite).filter { $0.isDebian && $0.kind == "Packages" }
        guard !known.isEmpty else {
            throw shortfall ?? .noDebianArchive(detail: "none of its sources is Debian's own")
        }
        guard suite == .release else { return shortfall }
        // Now that apt knows whose each source is, third parties can be left out for good.
        try write(sources.filter { entry in known.contains(where: entry.declares) }, for: suite)
        return shortfall
    }

    /// The kernel package that a metapackage stands for.
    func kernelPackage(of metapackage: String, in suite: AptSuite) throws(DebianGuestError) -> String {
        let shown = try apt(
            "apt-cache", ["show", "--no-all-versions", metapackage], suite: suite, step: "apt-cache show",
            limit: Limit.query)
        guard shown.succeeded else { throw .packageMissing(name: metapackage, suite: suite.rawValue) }
        guard let name = Self.dependency(in: shown.outputLines) else {
            throw .aptFailed(step: "apt-cache show", detail: "\(metapackage) does not depend on a kernel package")
        }
        return name
    }

    /// Fetches a package's file into `folder`.
    func download(
        _ package: String, from suite: AptSuite, into target: String
    ) throws(DebianGuestError) -> Download {
        let result = try apt(
            "apt-get", ["download", package], suite: suite, step: "apt-get download", limit: Limit.download,
            workingFolder: target, showing: true)
        guard result.succeeded else {
            if result.complaint.contains("Unable to locate package") || result.complaint.contains("has no installation")
            {
                throw .packageMissing(name: package, suite: suite.rawValue)
            }
            throw failure(result, step: "apt-get download")
        }
        let files = HostFiles.names(in: target).filter { $0.hasPrefix(package + "_") && $0.hasSuffix(".deb") }
        guard let file = files.first else {
            throw .aptFailed(step: "apt-get download", detail: "no file of \(package) arrived")
        }
        return Download(package: package, path: target + "/" + file)
    }

    /// The first kernel package in a `Depends` field.
    static func dependency(in lines: [String]) -> String? {
        guard let field = lines.first(where: { $0.hasPrefix("Depends:") }) else { return nil }
        return field.dropFirst("Depends:".count).split { $0 == "," || $0 == "|" }.lazy
            .compactMap { $0.split { $0 == " " || $0 == "(" || $0 == ":" }.first.map(String.init) }
            .first { $0.hasPrefix("linux-image-") }
    }

    // MARK: - Sources

    /// The entries of this machine's configuration that may carry Debian's archive.
    private func configuredSources() throws(DebianGuestError) -> [AptSourceEntry] {
        // What the system's own lists tell of each source's origin, where they exist, and every source configured.
        let known = AptIndexTarget.parse(try run("apt-get", ["indextargets"], limit: Limit.query).outputLines)
        let listing = try run(
            "apt-get", ["indextargets", "--no-release-info"] + folderOptions("unknown"), limit: Limit.query)
        guard listing.succeeded else { throw failure(listing, step: "apt-get indextargets") }
        let foreign = known.filter { !$0.origin.isEmpty && !$0.isDebian }
        let candidates = AptIndexTarget.parse(listing.outputLines).filter { target in
            target.mayBeDebian
                && !foreign.contains { $0.repository == target.repository && $0.release == target.release }
        }
        var entries: [AptSourceEntry] = []
        var files: [String] = []
        for target in candidates where !files.contains(target.file) {
            files.append(target.file)
            let text = String(decoding: try HostFiles.read(target.file), as: UTF8.self)
            for entry in AptSourceEntry.parse(text, path: target.file)
            where candidates.contains(where: entry.declares) && !entries.contains(entry) {
                entries.append(entry)
            }
        }
        guard !entries.isEmpty else { throw .noDebianArchive(detail: "it names no source with a component main") }
        return entries
    }

    /// The backports suite of the release that is configured.
    private func backportsSources() throws(DebianGuestError) -> [AptSourceEntry] {
        let base = try targets(.release).first { target in
            target.mayBeDebian && target.isDebian && target.label == "Debian"
                && !target.codename.isEmpty && !target.codename.contains("-")
        }
        guard let base else { throw .noDebianArchive(detail: "no source is a release of Debian's") }
        var entries: [AptSourceEntry] = []
        for form in [AptSourceEntry.Form.line, .stanza] where HostFiles.exists(sourcesPath(.release, form)) {
            let path = sourcesPath(.release, form)
            entries += AptSourceEntry.parse(String(decoding: try HostFiles.read(path), as: UTF8.self), path: path)
        }
        let derived = entries.first { $0.declares(base) }.flatMap { $0.with(suite: base.codename + "-backports") }
        guard let derived else { throw .noDebianArchive(detail: "the source of \(base.codename) cannot be read") }
        return [derived]
    }

    /// What apt knows of the sources of `suite` after an update.
    private func targets(_ suite: AptSuite) throws(DebianGuestError) -> [AptIndexTarget] {
        let result = try apt(
            "apt-get", ["indextargets"], suite: suite, step: "apt-get indextargets", limit: Limit.query)
        guard result.succeeded else { throw failure(result, step: "apt-get indextargets") }
        return AptIndexTarget.parse(result.outputLines)
    }

    // MARK: - The private folder

    private func sourcesPath(_ suite: AptSuite, _ form: AptSourceEntry.Form) -> String {
        "\(folder)/\(suite.rawValue).sources.d/debian.\(form == .line ? "list" : "sources")"
    }

    private func write(_ entries: [AptSourceEntry], for suite: AptSuite) throws(DebianGuestError) {
        for form in [AptSourceEntry.Form.line, .stanza] {
            let chosen = entries.filter { $0.form == form }.map(\.text)
            let text = chosen.joined(separator: form == .line ? "\n" : "\n\n") + "\n"
            if chosen.isEmpty {
                HostFiles.removeTree(sourcesPath(suite, form))
            } else {
                try HostFiles.write(Array(text.utf8), to: sourcesPath(suite, form))
            }
        }
    }

    private var settingsPath: String { folder + "/apt.conf" }

    private func prepareFolders() throws(DebianGuestError) {
        for suite in [AptSuite.release, .backports] {
            try HostFiles.makeFolder("\(folder)/\(suite.rawValue).sources.d")
            try HostFiles.makeFolder("\(folder)/\(suite.rawValue).lists/partial")
        }
        try HostFiles.makeFolder(folder + "/unknown.lists/partial")
        try HostFiles.makeFolder(folder + "/cache/archives/partial")
        try HostFiles.makeFolder(folder + "/state")
        try HostFiles.makeFolder(folder + "/none.d")
        // No package counts as installed: the archive's newest is wanted.
        try HostFiles.write([], to: folder + "/state/status")
        // What options on the command line can't do is to empty a list: the system's hooks are not for these runs.
        let settings = """
            #clear APT::Update::Pre-Invoke;
            #clear APT::Update::Post-Invoke;
            #clear APT::Update::Post-Invoke-Success;
            #clear DPkg::Pre-Invoke;
            #clear DPkg::Post-Invoke;
            Acquire::Retries "0";
            Acquire::http::Timeout "15";
            Acquire::https::Timeout "15";
            Acquire::Languages "none";
            Acquire::GzipIndexes "true";
            Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
            Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
            Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false";
            Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false";
            Acquire::IndexTargets::deb::DEP-11-icons-large::DefaultEnabled "false";
            APT::Architecture "amd64";
            APT::Architectures "amd64";
            APT::Sandbox::User "root";
            APT::Update::Error-Mode "any";
            Quiet "1";

            """
        try HostFiles.write(Array(settings.utf8), to: settingsPath)
    }

    private func folderOptions(_ view: String) -> [String] {
        [
            "Dir::State=\(folder)/state", "Dir::State::status=\(folder)/state/status",
            "Dir::State::Lists=\(folder)/\(view).lists", "Dir::Cache=\(folder)/cache",
        ].flatMap { ["-o", $0] }
    }

    private func apt(
        _ tool: String, _ arguments: [String], suite: AptSuite, step: String, limit: Int,
        workingFolder: String? = nil, showing: Bool = false
    ) throws(DebianGuestError) -> HostCommand.Result {
        let sources = [
            "Dir::Etc::SourceList=/dev/null", "Dir::Etc::SourceParts=\(folder)/\(suite.rawValue).sources.d",
            // The system's pins are about the system.
            "Dir::Etc::Preferences=/dev/null", "Dir::Etc::PreferencesParts=\(folder)/none.d",
        ].flatMap { ["-o", $0] }
        let result = try run(
            tool, ["-c", settingsPath] + folderOptions(suite.rawValue) + sources + arguments, limit: limit,
            workingFolder: workingFolder, showing: showing)
        if result.ending == .timedOut { throw .timedOut(step: step, seconds: limit) }
        return result
    }

    private func run(
        _ tool: String, _ arguments: [String], limit: Int, workingFolder: String? = nil, showing: Bool = false
    ) throws(DebianGuestError) -> HostCommand.Result {
        guard let program = HostCommand.find(tool, in: searchPath) else {
            throw .toolMissing(tool: tool, package: "apt")
        }
        let command = HostCommand(
            program: program, arguments: arguments, workingFolder: workingFolder, timeLimit: limit)
        return try command.run(onLine: { line in if showing { progress(line) } })
    }

    // MARK: - Failures

    /// The error behind a failed run, by what apt printed.
    private func failure(_ result: HostCommand.Result, step: String) -> DebianGuestError {
        let text = String(decoding: result.errors + result.output, as: UTF8.self)
        if text.contains("No space left on device") || text.contains("Disk quota exceeded") {
            return .diskFull(path: folder)
        }
        // The first line that says why, apt's summary being less telling ("Some index files failed to download").
        let unreachable = [
            "Temporary failure resolving", "Could not resolve", "Could not connect", "Unable to connect",
            "Network is unreachable", "onnection timed out", "onnection refused", "onnection failed",
        ]
        let lines = text.split(separator: "\n").map(String.init)
        if let line = lines.first(where: { line in unreachable.contains { line.contains($0) } }) {
            let isMarked = line.hasPrefix("E: ") || line.hasPrefix("W: ")
            return .offline(detail: String(line.dropFirst(isMarked ? 3 : 0).drop { $0 == " " }))
        }
        return .aptFailed(step: step, detail: result.complaint)
    }
}

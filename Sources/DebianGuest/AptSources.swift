// Debian's own sources among those that this machine's apt is configured with, and the backports suite derived from them.
//
// Source lines are copied as they stand, with their signing keys and options, so that mirrors and proxies keep working
// and no host name is written here. Formats: sources.list(5), one-line and deb822. What apt knows of each source comes
// from `apt-get indextargets`, in stanzas of `Field: value`.

/// One index file that apt knows of, as `apt-get indextargets` describes it.
package struct AptIndexTarget: Equatable {
    /// Where the repository is, as configured.
    let repository: String
    /// The suite as configured, such as `bookworm-updates`.
    let release: String
    /// `main`, `contrib`, …
    let component: String
    /// The kind of index: `Packages` for binary packages.
    let kind: String
    /// The configuration file that names it.
    package let file: String
    /// Who says to have made it, and the release's name; empty before its first update.
    let origin: String
    let label: String
    package let codename: String

    /// Reads the stanzas that `apt-get indextargets` prints.
    package static func parse(_ lines: [String]) -> [AptIndexTarget] {
        lines.split(separator: "").map { stanza in
            var fields: [Substring: Substring] = [:]
            for line in stanza {
                guard let colon = line.firstIndex(of: ":") else { continue }
                fields[line[..<colon]] = line[line.index(after: colon)...].drop { $0 == " " }
            }
            func field(_ name: Substring) -> String { String(fields[name] ?? "") }
            // "file:number"
            let entry = fields["Sourcesentry"] ?? ""
            let file = entry.lastIndex(of: ":").map { entry[..<$0] } ?? entry
            return AptIndexTarget(
                repository: field("Repo-URI"), release: field("Release"), component: field("Component"),
                kind: field("Created-By"), file: String(file), origin: field("Origin"), label: field("Label"),
                codename: field("Codename"))
        }
    }

    /// Whether it may list Debian's own binary packages, as far as is known before an update.
    package var mayBeDebian: Bool {
        kind == "Packages" && component == "main" && !release.contains("backports") && !release.contains("proposed")
            && (origin.isEmpty || isDebian)
    }

    /// Whether Debian says to have made it.
    var isDebian: Bool { origin == "Debian" || origin == "Debian Backports" }
}

/// One entry of a sources file: a line, or a stanza of a deb822 file.
package struct AptSourceEntry: Equatable {
    package enum Form { case line, stanza }

    package let form: Form
    package let text: String

    /// The entries of the sources file `path`, whose contents are `text`; comments are left out.
    package static func parse(_ text: String, path: String) -> [AptSourceEntry] {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
            .filter { !$0.hasPrefix("#") }
        if path.hasSuffix(".sources") {
            return lines.split { $0.allSatisfy { $0 == " " || $0 == "\t" } }
                .map { AptSourceEntry(form: .stanza, text: $0.joined(separator: "\n")) }
        }
        return lines.map { line in line.firstIndex(of: "#").map { line[..<$0] } ?? line }
            .filter { $0.hasPrefix("deb ") || $0.hasPrefix("deb\t") }
            .map { AptSourceEntry(form: .line, text: String($0)) }
    }

    /// Whether this is the entry that `target` comes from.
    package func declares(_ target: AptIndexTarget) -> Bool {
        let words = Set(text.split { $0 == " " || $0 == "\t" || $0 == "\n" }.map(String.init))
        let bare = target.repository.hasSuffix("/") ? String(target.repository.dropLast()) : target.repository
        return words.contains(target.release) && (words.contains(bare) || words.contains(bare + "/"))
    }

    /// The same source with `suite` and the component `main` alone; nil for an entry that can't be read.
    package func with(suite: String) -> AptSourceEntry? {
        switch form {
        case .line:
            // deb [option=value …] URI suite component…
            var head: [Substring] = []
            var inOptions = false
            for word in text.split(whereSeparator: { $0 == " " || $0 == "\t" }) {
                if head.isEmpty {
                    head.append(word)
                } else if inOptions || (head.count == 1 && word.hasPrefix("[")) {
                    head.append(word)
                    inOptions = !word.hasSuffix("]")
                } else {
                    return AptSourceEntry(
                        form: .line, text: (head + [word, Substring(suite), "main"]).joined(separator: " "))
                }
            }
            return nil
        case .stanza:
            var kept: [Substring] = []
            var isDropping = false
            for line in text.split(separator: "\n") {
                let isContinuation = line.hasPrefix(" ") || line.hasPrefix("\t")
                if !isContinuation {
                    let name = line.prefix { $0 != ":" }.lowercased()
                    isDropping = ["types", "suites", "components", "enabled"].contains(name)
                }
                if !isDropping { kept.append(line) }
            }
            let fields = ["Types: deb", "Suites: \(suite)", "Components: main"]
            return AptSourceEntry(form: .stanza, text: (fields + kept.map(String.init)).joined(separator: "\n"))
        }
    }
}

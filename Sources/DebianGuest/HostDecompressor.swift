// Expands zstd, xz and gzip data with what the host has.
//
// apt itself links these libraries, so a host that could fetch the package can always expand it: `apt-helper cat-file`
// does so, choosing the format by the file name's suffix. Where apt-helper is absent the format's own tool serves.

import Glibc

package struct HostDecompressor {
    package enum Format: String {
        case zstandard = "zst"
        case xz
        case gzip = "gz"

        /// The format's own command-line tool, and the package that has it.
        package var tool: (name: String, package: String) {
            switch self {
            case .zstandard: ("zstd", "zstd")
            case .xz: ("xz", "xz-utils")
            case .gzip: ("gzip", "gzip")
            }
        }
    }

    /// Where tools are looked up; colon-separated folders.
    let searchPath: String
    /// A folder for the compressed data's temporary file.
    let folder: String
    /// apt's helper, outside of any search path.
    let aptHelper: String

    package init(searchPath: String, folder: String, aptHelper: String = "/usr/lib/apt/apt-helper") {
        self.searchPath = searchPath
        self.folder = folder
        self.aptHelper = aptHelper
    }

    /// Expands `data` to at most `limit` bytes; `name` is for messages.
    package func expand(
        _ data: ArraySlice<UInt8>, _ format: Format, name: String, limit: Int
    ) throws(DebianGuestError) -> [UInt8] {
        var command: HostCommand
        let path = "\(folder)/expand-\(getpid()).\(format.rawValue)"
        if HostFiles.isExecutableFile(aptHelper) {
            command = HostCommand(program: aptHelper, arguments: ["cat-file", path], timeLimit: 60)
        } else if let tool = HostCommand.find(format.tool.name, in: searchPath) {
            command = HostCommand(program: tool, arguments: ["-dc", path], timeLimit: 60)
        } else {
            throw .toolMissing(tool: format.tool.name, package: format.tool.package)
        }
        try HostFiles.write(Array(data), to: path)
        defer { HostFiles.removeTree(path) }
        var expanded: [UInt8] = []
        let result = try command.run(onOutput: { chunk in
            // One byte beyond the limit is kept, so that an excess shows.
            expanded.append(contentsOf: chunk.prefix(max(0, limit + 1 - expanded.count)))
        })
        guard result.succeeded else { throw .decompressionFailed(path: name, detail: result.complaint) }
        guard expanded.count <= limit else {
            throw .decompressionFailed(path: name, detail: "more than \(limit) bytes come out")
        }
        return expanded
    }
}

// The build-tool plugin that turns each folder of `guests/` into one generated Swift file.
//
// A folder that holds a `guest.json` is a guest. For each of them this plugin asks the build system to run
// `guest-embedder`, which does the real work; here it is only said which files go in and which come out, so that
// an edit of a guest, or of what guests share in `guests/common/`, rebuilds what depends on it and nothing else.

import Foundation
import PackagePlugin

@main
struct GuestBuilder: BuildToolPlugin {
    func createBuildCommands(context: PluginContext, target: any Target) throws -> [Command] {
        let embedder = try context.tool(named: "guest-embedder").url
        let clang = try context.tool(named: "clang").url.resolvingSymlinksInPath()
        let linker = try linker(beside: clang, context: context)

        let common = target.directoryURL.appending(path: "common")
        let commonFiles = try files(in: common)
        let folders = try guestFolders(in: target.directoryURL)

        var commands = try folders.map { folder in
            let name = folder.lastPathComponent
            let output = context.pluginWorkDirectoryURL.appending(path: "\(name).guest.swift")
            return Command.buildCommand(
                displayName: "Building guest \(name)",
                executable: embedder,
                arguments: [
                    "guest", folder.path(), "--common", common.path(), "--clang", clang.path(), "--linker",
                    linker.path(),
                    "--scratch", context.pluginWorkDirectoryURL.appending(path: name).path(), "--output", output.path(),
                ],
                inputFiles: try files(in: folder) + commonFiles,
                outputFiles: [output])
        }

        let catalog = context.pluginWorkDirectoryURL.appending(path: "all.guests.swift")
        commands.append(
            .buildCommand(
                displayName: "Listing guests",
                executable: embedder,
                arguments: ["catalog"] + folders.map(\.lastPathComponent) + ["--output", catalog.path()],
                inputFiles: folders.map { $0.appending(path: "guest.json") },
                outputFiles: [catalog]))
        return commands
    }

    /// The `ld.lld` that came with this very clang; a system's own may be older, or missing.
    private func linker(beside clang: URL, context: PluginContext) throws -> URL {
        let sibling = clang.deletingLastPathComponent().appending(path: "ld.lld")
        if FileManager.default.isExecutableFile(atPath: sibling.path()) { return sibling }
        return try context.tool(named: "ld.lld").url
    }

    /// The folders that hold a guest, in the order of their names.
    private func guestFolders(in directory: URL) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .filter { FileManager.default.fileExists(atPath: $0.appending(path: "guest.json").path()) }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
    }

    /// The files directly in `directory`, hidden ones apart.
    private func files(in directory: URL) throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: directory, includingPropertiesForKeys: nil, options: .skipsHiddenFiles
        ).sorted { $0.path() < $1.path() }
    }
}

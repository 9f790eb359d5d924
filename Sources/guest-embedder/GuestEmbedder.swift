// The tool behind the `GuestBuilder` plugin: builds one guest, or lists them all, as a generated Swift file.
//
//     guest-embedder guest FOLDER --common DIR --clang F --linker F --scratch DIR --output F.swift
//     guest-embedder catalog NAME... --output F.swift
//
// Whatever goes wrong is said on standard error in the compilers' own form (`file: error: what`), with a status that
// stops the build. The tool runs on the machine that builds Trapeze; it knows nothing of virtual machines.

import Foundation

@main
struct GuestEmbedder {
    static func main() {
        do {
            try run(Array(CommandLine.arguments.dropFirst()))
        } catch let error as BuildError {
            FileHandle.standardError.write(Data("\(error.message)\n".utf8))
            exit(1)
        } catch {
            FileHandle.standardError.write(Data("guest-embedder: error: \(error)\n".utf8))
            exit(1)
        }
    }

    private static func run(_ arguments: [String]) throws {
        var options: [String: String] = [:]
        var operands: [String] = []
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument.hasPrefix("--") {
                guard let value = rest.popFirst() else { throw BuildError("\(argument) needs a value") }
                options[String(argument.dropFirst(2))] = value
            } else {
                operands.append(argument)
            }
        }
        func path(_ option: String) throws -> URL {
            guard let value = options[option] else { throw BuildError("--\(option) is missing") }
            return URL(filePath: value)
        }

        switch operands.first {
        case "guest" where operands.count == 2:
            let folder = URL(filePath: operands[1])
            let manifest = try Manifest(folder: folder)
            let toolchain = Toolchain(
                clang: try path("clang"), linker: try path("linker"), common: try path("common"),
                scratch: try path("scratch"))
            let image = try toolchain.build(manifest)
            try write(guestSource(manifest, image: image), to: path("output"))
        case "catalog":
            try write(catalogSource(names: Array(operands.dropFirst())), to: path("output"))
        default:
            throw BuildError("unknown command: \(arguments.joined(separator: " "))")
        }
    }

    private static func write(_ source: String, to file: URL) throws {
        try Data(source.utf8).write(to: file, options: .atomic)
    }
}

/// What stops the build: one message, shown as it stands.
struct BuildError: Error {
    let message: String

    init(_ message: String) { self.message = "guest-embedder: error: \(message)" }

    init(file: URL, _ message: String) { self.message = "\(file.path()): error: \(message)" }
}

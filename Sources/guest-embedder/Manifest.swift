// What a guest declares about itself: `guest.json` and `expected.txt` in its folder, read and checked.
//
// Every mistake is reported with the file it is in, at build time, so that a guest that was built is well declared.

import Foundation

/// A guest's declaration, checked.
struct Manifest {
    let folder: URL
    let name: String
    let summary: String
    let kind: Kind
    let ending: String
    let lines: [[String]]
    let memoryMiB: Int
    let processors: Int
    let features: [String]
    let commonSources: [String]
    let architecture: Architecture
    let code: Code

    enum Kind {
        case firmware
        case multiboot
        case flat(loadAddress: UInt64, entry: UInt64)
    }

    /// The ELF format of a guest's objects; 16-bit code may be in either.
    enum Architecture: String {
        case i386
        case amd64 = "x86_64"
    }

    /// How a guest's own files are compiled; what is common is always code for a kernel.
    enum Code: String {
        /// Small, and without vector registers.
        case kernel
        /// As programs are: optimised for speed, with SSE2, position-independent.
        case program
    }

    private struct File: Decodable {
        let summary: String
        let kind: String
        let ending: String
        var loadAddress: String?
        var entry: String?
        var architecture: String?
        var code: String?
        var common: [String]?
        var memoryMiB: Int?
        var processors: Int?
        var features: [String]?
    }

    init(folder: URL) throws {
        let file = folder.appending(path: "guest.json")
        let decoded: File
        do {
            decoded = try JSONDecoder().decode(File.self, from: Data(contentsOf: file))
        } catch let error as DecodingError {
            throw BuildError(file: file, Self.describe(error))
        }

        self.folder = folder
        name = folder.lastPathComponent
        guard name.wholeMatch(of: /[a-z][a-z0-9]*(-[a-z0-9]+)*/) != nil else {
            throw BuildError(file: folder, "a guest's name is made of a-z, 0-9 and single hyphens, a letter first")
        }
        summary = decoded.summary
        guard !summary.isEmpty, !summary.contains(where: \.isNewline) else {
            throw BuildError(file: file, "\"summary\" must be one line")
        }
        kind = try Self.kind(decoded, in: file)
        ending = try Self.ending(decoded.ending, in: file)
        guard let architecture = Architecture(rawValue: decoded.architecture ?? "x86_64") else {
            throw BuildError(file: file, "\"architecture\" is \"x86_64\" or \"i386\"")
        }
        self.architecture = architecture
        guard let code = Code(rawValue: decoded.code ?? "kernel") else {
            throw BuildError(file: file, "\"code\" is \"kernel\" or \"program\"")
        }
        self.code = code
        memoryMiB = decoded.memoryMiB ?? 16
        processors = decoded.processors ?? 1
        guard (1...4096).contains(memoryMiB), (1...255).contains(processors) else {
            throw BuildError(file: file, "\"memoryMiB\" is 1 to 4096, \"processors\" 1 to 255")
        }
        features = decoded.features ?? []
        commonSources = decoded.common ?? []
        lines = try Self.expectedLines(folder.appending(path: "expected.txt"))
    }

    private static func kind(_ decoded: File, in file: URL) throws -> Kind {
        switch decoded.kind {
        case "firmware": return .firmware
        case "multiboot": return .multiboot
        case "flat":
            guard let load = address(decoded.loadAddress), let entry = address(decoded.entry ?? decoded.loadAddress)
            else {
                throw BuildError(file: file, "a flat guest needs \"loadAddress\", as \"0x7c00\"")
            }
            return .flat(loadAddress: load, entry: entry)
        default:
            throw BuildError(file: file, "\"kind\" is \"firmware\", \"multiboot\" or \"flat\"")
        }
    }

    private static func address(_ text: String?) -> UInt64? {
        guard let text, text.hasPrefix("0x") else { return nil }
        return UInt64(text.dropFirst(2), radix: 16)
    }

    /// The Swift spelling of an ending: `exit-port 42` becomes `.exitPort(status: 42)`.
    private static func ending(_ text: String, in file: URL) throws -> String {
        let words = text.split(separator: " ")
        switch (words.first, words.count) {
        case ("exit-port", 2):
            if let status = UInt8(words[1]) { return ".exitPort(status: \(status))" }
        case ("power-off", 1): return ".powerOff"
        case ("reset", 1): return ".reset"
        case ("triple-fault", 1): return ".tripleFault"
        case ("panic", 1): return ".panic"
        case ("halts", 1): return ".halts"
        default: break
        }
        throw BuildError(
            file: file,
            "\"ending\" is \"exit-port 0...255\", \"power-off\", \"reset\", \"triple-fault\", \"panic\" or \"halts\"")
    }

    /// The lines of `expected.txt`, each with its alternatives: a line that begins with `| ` is another text of the
    /// line above it. A guest without the file prints nothing.
    private static func expectedLines(_ file: URL) throws -> [[String]] {
        guard FileManager.default.fileExists(atPath: file.path()) else { return [] }
        let text = try String(contentsOf: file, encoding: .utf8)
        guard text.isEmpty || text.hasSuffix("\n") else { throw BuildError(file: file, "the last line has no end") }
        var lines: [[String]] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            if line.hasPrefix("| ") {
                guard !lines.isEmpty else {
                    throw BuildError(file: file, "the first line is an alternative of nothing")
                }
                lines[lines.count - 1].append(String(line.dropFirst(2)))
            } else {
                lines.append([String(line)])
            }
        }
        return lines
    }

    private static func describe(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, _): "\"\(key.stringValue)\" is missing"
        case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
            "\"\(context.codingPath.map(\.stringValue).joined(separator: "."))\" is no \(type)"
        case .dataCorrupted(let context): context.underlyingError.map { "\($0)" } ?? context.debugDescription
        @unknown default: "\(error)"
        }
    }
}

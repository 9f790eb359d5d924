// Small things: the text of an error, and a folder that goes when the benchmark does.

import BenchmarkSupport
import Foundation

/// The text of an `errno` value.
func errnoText(_ code: Int32) -> String { String(cString: strerror(code)) }

/// A folder for files that the contenders read and write.
struct TemporaryFolder: ~Copyable {
    private let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "boot-benchmark-\(getpid())")
        do {
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        } catch {
            throw Failure("\(url.path): cannot be made: \(error.localizedDescription)")
        }
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(of name: String) -> String { url.appending(path: name).path }

    /// Writes a file and gives its path.
    func write(_ bytes: [UInt8], as name: String) throws -> String {
        let path = path(of: name)
        guard FileManager.default.createFile(atPath: path, contents: Data(bytes)) else {
            throw Failure("\(path): cannot be written")
        }
        return path
    }
}

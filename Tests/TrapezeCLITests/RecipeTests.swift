// The recipe of Docs/ci.md does what it says: its script is run as it stands there, with KVM hidden.

import DebianGuest
import Foundation
import Testing

@Suite struct RecipeTests {
    @Test func theRecipeWorksWithoutKVM() throws {
        do throws(DebianGuestError) {
            _ = try DebianGuest.prepare(DebianGuestOptions()) { print($0) }
        } catch {
            try Test.cancel("Debian cannot be prepared: \(error.description)")
        }
        let document = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Docs/ci.md")
        let text = try String(contentsOf: document, encoding: .utf8)
        let script = try #require(text.firstMatch(of: #/```bash\n(?<script>[^`]+)```/#)).script
        try withTemporaryFolder { folder in
            let path = folder + "/recipe"
            try script.write(toFile: path, atomically: true, encoding: .utf8)
            let output = open(folder + "/out", O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            defer { close(output) }
            let binaries = URL(filePath: trapezePath).deletingLastPathComponent().path()
            let child = try ChildProcess(
                [path], executable: "/bin/bash", output: output, errors: output,
                environment: [
                    "TRAPEZE_KVM_DEVICE": "/nonexistent",
                    "PATH": binaries + ":" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"),
                ])
            let end = try #require(child.wait(seconds: 580))
            let log = String(decoding: try Data(contentsOf: URL(filePath: folder + "/out")), as: UTF8.self)
            #expect(end.status == 0, "\(log)")
            #expect(log.contains("engine translate (not kvm: there is no /nonexistent"), "\(log)")
            #expect(log.contains("all of it passed"), "\(log)")
        }
    }
}

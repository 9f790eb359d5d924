// The kernels of the guest `compute`, run as a program of the host, come to what the guest declares: so natively and on
// every engine, which the conformance suite holds to the same declaration, they come to the same.

import Foundation
import Guests
import Testing

@Suite struct NativeKernelTests {
    @Test func checksumsAreThoseOfTheGuest() throws {
        let compute = EmbeddedGuest.compute
        let image = FileManager.default.temporaryDirectory.appending(path: "native-kernels-\(UUID().uuidString)")
        try Data(compute.image).write(to: image)
        defer { try? FileManager.default.removeItem(at: image) }
        let run = try NativeGuest.run([image.path])
        #expect(run.status == 0, "\(run.errors)")
        #expect(compute.expected.difference(from: run.output) == nil)
        #expect(run.output.split(separator: "\n").count { $0.hasPrefix("measured:") } >= 14)
    }

    @Test func kernelsAreChosenByName() throws {
        let image = FileManager.default.temporaryDirectory.appending(path: "native-kernels-\(UUID().uuidString)")
        try Data(EmbeddedGuest.compute.image).write(to: image)
        defer { try? FileManager.default.removeItem(at: image) }
        let run = try NativeGuest.run([image.path, "name scale=0 kernels=sha256,fib"])
        let results = run.output.split(separator: "\n").filter { $0.hasPrefix("result:") }
        #expect(results.map { $0.split(separator: " ")[1] } == ["sha256", "fib"])
        #expect(try NativeGuest.run([image.path, "kernels=fi"]).status == 125)
    }

    @Test func whatIsNoSuchImageIsRefused() throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "native-kernels-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(count: 10).write(to: file)
        #expect(try NativeGuest.run([file.path]).errors.contains("too short"))
        try Data(count: 4096).write(to: file)
        #expect(try NativeGuest.run([file.path]).errors.contains("no Multiboot kernel"))
        try Data(EmbeddedGuest.nano.image).write(to: file)
        #expect(try NativeGuest.run([file.path]).errors.contains("no function"))
    }
}

/// The program beside the test bundle.
private enum NativeGuest {
    static func run(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
        let bundle = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let process = Process()
        let (output, errors) = (Pipe(), Pipe())
        process.executableURL = URL(filePath: bundle).deletingLastPathComponent().appending(path: "native-guest")
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        // Neither writes more than a pipe holds.
        process.waitUntilExit()
        return (
            process.terminationStatus,
            String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self),
            String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        )
    }
}

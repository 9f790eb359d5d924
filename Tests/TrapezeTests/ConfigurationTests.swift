// What `VirtualMachineConfiguration.validate()` accepts and refuses, and what names mean.

import Foundation
import Testing
import Trapeze

@Suite struct ConfigurationTests {
    /// A flat binary that writes 7 to the exit port.
    static let bootable = FlatBinaryBootLoader(
        binary: .bytes([0xb0, 0x07, 0xe6, 0xf4, 0xf4], name: "exit with 7"))

    private func configuration() -> VirtualMachineConfiguration {
        var configuration = VirtualMachineConfiguration()
        configuration.bootLoader = Self.bootable
        return configuration
    }

    private func expectRefusal(
        _ reason: ConfigurationError.Reason, saying part: String,
        _ change: (inout VirtualMachineConfiguration) -> Void
    ) {
        var configuration = configuration()
        change(&configuration)
        do throws(ConfigurationError) {
            try configuration.validate()
            Issue.record("accepted")
        } catch {
            #expect(error.reason == reason)
            #expect(error.description.contains(part), "\(error)")
            #expect(!error.description.contains("\n"))
        }
    }

    @Test func defaultsAreValid() throws { try configuration().validate() }

    @Test func refusals() {
        expectRefusal(.invalidValue, saying: "no boot loader") { $0.bootLoader = nil }
        expectRefusal(.invalidValue, saying: "0 bytes") { $0.memorySize = 0 }
        expectRefusal(.invalidValue, saying: "1 KiB") { $0.memorySize = 1024 }
        expectRefusal(.invalidValue, saying: "1 PiB") { $0.memorySize = 1 << 50 }
        expectRefusal(.invalidValue, saying: "4-KiB pages") { $0.memorySize += 1 }
        expectRefusal(.invalidValue, saying: "1 to 64 vCPUs") { $0.cpuCount = -1 }
        expectRefusal(.invalidValue, saying: "1 to 64 vCPUs") { $0.cpuCount = 65 }
        expectRefusal(.invalidValue, saying: "did you mean 'x86-64-v2'") { $0.cpuModel = "x86-64v2" }
        expectRefusal(.unknownEngine, saying: "did you mean 'interpret'") { $0.engine = .named("interprt") }
        expectRefusal(.engineUnavailable, saying: "not built") { $0.engine = .named("static") }
        expectRefusal(.badFile, saying: "/no/such/kernel") {
            $0.bootLoader = LinuxBootLoader(kernelURL: URL(filePath: "/no/such/kernel"))
        }
        expectRefusal(.badFile, saying: "not a kernel") {
            $0.bootLoader = LinuxBootLoader(kernel: .bytes([UInt8](repeating: 7, count: 9000), name: "seven"))
        }
    }

    @Test func memoryBoundsAreInclusive() throws {
        for size in [
            VirtualMachineConfiguration.allowedMemorySizes.lowerBound,
            VirtualMachineConfiguration.allowedMemorySizes.upperBound,
        ] {
            var configuration = configuration()
            configuration.memorySize = size
            try configuration.validate()
        }
    }

    @Test(arguments: [
        (UInt32(0), UInt8(0), UInt8(1)), (1, 1, 3), (42, 42, 85), (0x7f, 0x7f, 0xff), (0x80, 0x80, 1),
        (0x100, 1, 1), (0x1ff, 0xff, 0xff), (0xffff_ffff, 0xff, 0xff), (0xffff_ff00, 1, 1),
    ])
    func exitPortModes(value: UInt32, plain: UInt8, isaDebug: UInt8) {
        #expect(ExitPortMode.value.status(of: value) == plain)
        #expect(ExitPortMode.isaDebug.status(of: value) == isaDebug)
    }

    @Test func autoTakesAnEngineThatWorksAndSaysWhy() throws {
        let decision = try EngineRegistry.decide(.auto)
        let status = try #require(EngineRegistry.statuses().first { $0.name == decision.name })
        #expect(status.availability == .available)
        #expect(!decision.reason.isEmpty)
        #expect(EngineSelection("auto") == .auto)
        #expect(EngineSelection("kvm") == .named("kvm"))
        #expect(Set(EngineRegistry.names) == ["interpret", "kvm", "translate", "static", "trap"])
    }

    @Test(arguments: [
        (UInt64(0), "0 bytes"), (1, "1 bytes"), (1024, "1 KiB"), (1 << 20, "1 MiB"), (3 << 29, "1536 MiB"),
        (1 << 50, "1 PiB"), (1 << 60, "1 EiB"),
    ])
    func sizesInWords(bytes: UInt64, words: String) { #expect(describeSize(bytes) == words) }
}

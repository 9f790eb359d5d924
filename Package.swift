// swift-tools-version: 6.3
import PackageDescription

// The law of the map: `Machine` never imports an engine and no engine imports `Machine`; they meet at `VirtualCPU`.
// `X86` (the software CPU) may be imported by any engine and imports none. Only `Trapeze` names every engine.

let strictSwift: [SwiftSetting] = [.treatAllWarnings(as: .error)]
let strictC: [CSetting] = [.enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error)]

let package = Package(
    name: "trapeze",
    products: [
        .executable(name: "trapeze", targets: ["TrapezeCLI"]),
        .library(name: "Trapeze", targets: ["Trapeze"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .target(name: "CPrimitives", cSettings: strictC),
        .target(name: "Memory", dependencies: ["CPrimitives"], swiftSettings: strictSwift),
        .target(name: "VirtualCPU", dependencies: ["Memory", "CPrimitives"], swiftSettings: strictSwift),
        .target(name: "LocalAPIC", dependencies: ["VirtualCPU"], swiftSettings: strictSwift),
        .target(
            name: "X86", dependencies: ["VirtualCPU", "LocalAPIC", "Memory", "CPrimitives"],
            swiftSettings: strictSwift),
        .target(
            name: "Translator", dependencies: ["X86", "VirtualCPU", "LocalAPIC", "Memory", "CPrimitives"],
            swiftSettings: strictSwift),
        // The kernel's interface to hardware virtualization, and the engine on top of it.
        .target(name: "CKVM", path: "CKVM", cSettings: strictC),
        .target(
            name: "KVM", dependencies: ["CKVM", "X86", "VirtualCPU", "Memory", "CPrimitives"],
            swiftSettings: strictSwift),
        .target(name: "Machine", dependencies: ["VirtualCPU", "Memory"], swiftSettings: strictSwift),
        .target(name: "GDBStub", dependencies: ["VirtualCPU", "Memory"], swiftSettings: strictSwift),
        .target(name: "Comparison", dependencies: ["VirtualCPU", "Memory"], swiftSettings: strictSwift),
        .target(
            name: "Trapeze",
            dependencies: ["Machine", "Comparison", "X86", "Translator", "KVM", "GDBStub", "VirtualCPU", "Memory"],
            swiftSettings: strictSwift),
        .target(name: "Disassembly", swiftSettings: strictSwift),
        .target(name: "CTerminal", cSettings: strictC),
        .executableTarget(
            name: "TrapezeCLI",
            dependencies: [
                "Trapeze", "CTerminal", "DebianGuest", "Disassembly", "Guests",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strictSwift),
        .target(name: "DebianGuest", swiftSettings: strictSwift),
        .target(
            name: "Guests", path: "guests", exclude: ["README.md"], sources: ["Catalog"], swiftSettings: strictSwift,
            plugins: ["GuestBuilder"]),
        // What several of the benchmarks need.
        .target(name: "BenchmarkSupport", path: "Benchmarks/Support", swiftSettings: strictSwift),
        .executableTarget(
            name: "boot-benchmark",
            dependencies: [
                "BenchmarkSupport", "DebianGuest", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/Boot", swiftSettings: strictSwift),
        .executableTarget(
            name: "cpu-benchmark",
            dependencies: ["BenchmarkSupport", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Benchmarks/CPU", swiftSettings: strictSwift),
        .executableTarget(
            name: "nano-benchmark",
            dependencies: [
                "BenchmarkSupport", "Comparison", "Guests",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/Nano", swiftSettings: strictSwift),
        .executableTarget(
            name: "exit-benchmark",
            dependencies: ["BenchmarkSupport", .product(name: "ArgumentParser", package: "swift-argument-parser")],
            path: "Benchmarks/Exits", swiftSettings: strictSwift),
        .executableTarget(
            name: "compute-benchmark",
            dependencies: [
                "BenchmarkSupport", "Comparison", "Guests", "native-guest",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/Compute", swiftSettings: strictSwift),
        .executableTarget(
            name: "userland-benchmark",
            dependencies: [
                "BenchmarkSupport", "DebianGuest", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/Userland", swiftSettings: strictSwift),
        // The guest of compute-benchmark as a program of the host.
        .executableTarget(name: "native-guest", path: "Benchmarks/NativeGuest", cSettings: strictC),
        .plugin(name: "GuestBuilder", capability: .buildTool(), dependencies: ["guest-embedder"]),
        .executableTarget(name: "guest-embedder", swiftSettings: strictSwift),
        // What several of the tests need.
        .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strictSwift),
        .testTarget(
            name: "ConformanceTests",
            dependencies: [
                "Trapeze", "Comparison", "Machine", "VirtualCPU", "Memory", "Guests", "DebianGuest", "TestSupport",
            ],
            swiftSettings: strictSwift),
        // Random instructions run natively in a child process, for the differential tests.
        .target(name: "HostCases", cSettings: strictC),
        .executableTarget(
            name: "host-executor", dependencies: ["HostCases"], path: "Sources/HostExecutor", cSettings: strictC),
        // Other people's suites, found through environment variables, against the built program.
        .testTarget(
            name: "SuiteTests", dependencies: ["TrapezeCLI", "Trapeze"], swiftSettings: strictSwift),
        .testTarget(
            name: "TranslatorTests",
            dependencies: ["Translator", "X86", "VirtualCPU", "Memory", "Disassembly", "TestSupport"],
            exclude: ["Golden"], swiftSettings: strictSwift),
        .testTarget(
            name: "KVMTests",
            dependencies: ["KVM", "CKVM", "X86", "Translator", "VirtualCPU", "Memory", "TestSupport"],
            swiftSettings: strictSwift),
        // The decoder, compared with others that the machine may have.
        .target(name: "Disassemblers", cSettings: strictC),
        .testTarget(
            name: "DecoderAgreementTests", dependencies: ["Disassemblers", "X86", "DebianGuest", "TestSupport"],
            swiftSettings: strictSwift),
        .testTarget(
            name: "DebianGuestTests", dependencies: ["DebianGuest", "TestSupport"], swiftSettings: strictSwift),
        .testTarget(name: "GuestsTests", dependencies: ["Guests", "native-guest"], swiftSettings: strictSwift),
        .testTarget(name: "MemoryTests", dependencies: ["Memory"], swiftSettings: strictSwift),
        .testTarget(
            name: "LocalAPICTests", dependencies: ["LocalAPIC", "VirtualCPU", "TestSupport"], swiftSettings: strictSwift
        ),
        .testTarget(
            name: "GDBStubTests", dependencies: ["GDBStub", "VirtualCPU", "Memory", "TestSupport"],
            swiftSettings: strictSwift),
        .testTarget(name: "TrapezeTests", dependencies: ["Trapeze"], swiftSettings: strictSwift),
        .testTarget(
            name: "TrapezeCLITests", dependencies: ["TrapezeCLI", "Trapeze", "Guests", "DebianGuest"],
            swiftSettings: strictSwift),
        .testTarget(
            name: "MachineTests", dependencies: ["Machine", "VirtualCPU", "Memory", "TestSupport"],
            swiftSettings: strictSwift),
        .testTarget(
            name: "X86Tests", dependencies: ["HostCases", "X86", "VirtualCPU", "Memory", "CPrimitives", "TestSupport"],
            swiftSettings: strictSwift),
    ],
    cLanguageStandard: .gnu17
)

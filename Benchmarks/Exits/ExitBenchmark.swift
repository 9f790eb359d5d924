// exit-benchmark: how many accesses to ports and to memory without memory behind it a guest makes in a second, under the engine
// `kvm` and under QEMU with KVM.

import ArgumentParser
import BenchmarkSupport
import Foundation

/// A Multiboot kernel of a few instructions: so many accesses of one kind, then the exit port.
private enum Accesses: String, CaseIterable {
    case port = "OUT to a port"
    case mmio = "load from a device"

    private static let base: UInt32 = 0x10_0000

    /// The image, which says itself where it belongs (Multiboot 0.6.96, section 3.1.3).
    func image(count: UInt32) -> Data {
        let (magic, flags): (UInt32, UInt32) = (0x1bad_b002, 1 << 16)
        let header = [magic, flags, 0 &- magic &- flags, Self.base, Self.base, 0, 0, Self.base + 32]
        // out 0x80, al; mov eax, [0xd0000000]
        let access: [UInt8] = self == .port ? [0xe6, 0x80] : [0xa1, 0, 0, 0, 0xd0]
        let back = UInt8(truncatingIfNeeded: -(access.count + 3))
        // mov ecx, count; 1: the access; dec ecx; jnz 1b; xor eax, eax; out 0xf4, al; 2: hlt; jmp 2b
        let code = [0xb9] + Self.bytes(count) + access + [0x49, 0x75, back, 0x31, 0xc0, 0xe6, 0xf4, 0xf4, 0xeb, 0xfd]
        return Data(header.flatMap(Self.bytes) + code)
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
}

@main
struct ExitBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "exit-benchmark",
        abstract: "Measures how fast a guest under KVM gets out to a device and back, on Trapeze and on QEMU.",
        discussion: """
            The guests are loops of a few instructions, the same images everywhere, each with few accesses and with many: the \
            difference of the two times is that of the accesses alone. How many a second the longer guest makes, from the \
            start of the process to its end, is shown beside it. The contenders take turns.

              swift run -c release exit-benchmark
              swift run -c release exit-benchmark --repeats 9 --at-least 1
            """)

    @Option(help: ArgumentHelp("The trapeze program. (default: beside this one)", valueName: "path"))
    var trapeze: String?

    @Option(help: ArgumentHelp("The QEMU program.", valueName: "path"))
    var qemu = "qemu-system-x86_64"

    @Option(help: ArgumentHelp("How often each contender runs.", valueName: "n"))
    var repeats = 5

    @Option(help: ArgumentHelp("Accesses of the longer guest; the shorter makes a tenth.", valueName: "n"))
    var accesses: UInt32 = 500_000

    @Option(help: ArgumentHelp("The longest time that one run may take.", valueName: "seconds"))
    var timeout = 60

    @Option(
        help: ArgumentHelp(
            "Makes the status 1 if Trapeze's speed is less than so many times QEMU's.", valueName: "ratio"))
    var atLeast: Double?

    func validate() throws {
        guard repeats > 0 else { throw ValidationError("--repeats must be 1 or more") }
        guard accesses >= 10 else { throw ValidationError("--accesses must be 10 or more") }
        guard timeout > 0 else { throw ValidationError("--timeout must be 1 or more") }
    }

    func run() throws {
        let trapeze = try Programs.own("trapeze", named: trapeze)
        let qemu = try Programs.qemu(qemu)
        var table = Table(
            head: [
                "", "kvm, µs", "least", "QEMU KVM, µs", "least", "QEMU/kvm", "kvm, 1000/s", "QEMU KVM, 1000/s",
                "kvm/QEMU",
            ])
        var missed = false
        for kind in Accesses.allCases {
            let (own, theirs) = try times(kind, trapeze, qemu)
            guard let mine = own.median, let other = theirs.median else { continue }
            let ratio = other.each / mine.each
            let each = [mine.each, own.least, other.each, theirs.least].map { String(format: "%.2f", $0 * 1e6) }
            let rates = [mine.rate, other.rate].map { String(format: "%.0f", $0 / 1000) }
            table.add(
                [kind.rawValue] + each + [String(format: "%.2f", ratio)] + rates
                    + [String(format: "%.2f", mine.rate / other.rate)])
            if let atLeast, ratio < atLeast { missed = true }
        }
        print("\(hostCPU); medians of \(repeats)\n\n\(table.text)")
        if missed { throw ExitCode(1) }
    }

    /// What the runs of one contender took.
    private struct Times {
        /// Seconds for an access, by the difference of the two guests' times.
        var each: [Double] = []
        /// Accesses a second, of the longer guest's whole run.
        var rates: [Double] = []

        var least: Double { each.min() ?? 0 }
        var median: (each: Double, rate: Double)? {
            guard let each = BenchmarkSupport.median(each), let rate = BenchmarkSupport.median(rates) else {
                return nil
            }
            return (each, rate)
        }
    }

    /// The runs of Trapeze and of QEMU.
    private func times(_ kind: Accesses, _ trapeze: String, _ qemu: String) throws -> (own: Times, theirs: Times) {
        let counts = [accesses / 10, accesses]
        let images = counts.map { count in
            FileManager.default.temporaryDirectory
                .appending(path: "exit-benchmark-\(ProcessInfo.processInfo.processIdentifier)-\(count)")
        }
        defer { for image in images { try? FileManager.default.removeItem(at: image) } }
        for (image, count) in zip(images, counts) { try kind.image(count: count).write(to: image) }
        let contenders = [
            images.map { image in
                ProgramRun(
                    name: "kvm", path: trapeze, arguments: ["run", "--engine", "kvm", "--kernel", image.path])
            },
            images.map { image in
                ProgramRun.qemu(
                    path: qemu, accelerator: "kvm", model: "qemu64", memoryMiB: 512, boot: ["-kernel", image.path])
            },
        ]
        var times = [Times(), Times()]
        for _ in 0..<repeats {
            for (index, guests) in contenders.enumerated() {
                let seconds = try guests.map { guest in
                    let start = ContinuousClock.now
                    _ = try guest.output(timeout: timeout)
                    return (ContinuousClock.now - start) / .seconds(1)
                }
                times[index].each.append((seconds[1] - seconds[0]) / Double(counts[1] - counts[0]))
                times[index].rates.append(Double(counts[1]) / seconds[1])
            }
        }
        return (times[0], times[1])
    }
}

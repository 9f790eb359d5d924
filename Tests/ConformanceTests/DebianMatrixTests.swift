// Debian's kernels on every number of vCPUs and every CPU model: each boots to a command that counts its CPUs, and its log
// holds no complaint that a real machine would not give rise to. TRAPEZE_DEBIAN_MATRIX=1 runs all of it, by kernels that
// are fetched as needed; without it, one boot stands for the rest.

import DebianGuest
import Foundation
import Machine
import TestSupport
import Testing
import VirtualCPU

extension MachineSuite {
    @Suite struct DebianMatrix {
        struct Boot: Sendable, CustomTestStringConvertible {
            var kernel: DebianKernel
            var processors: Int
            var model: String

            var testDescription: String { "\(kernel.rawValue), \(processors) vCPUs, \(model)" }
        }

        static let matrix: [Boot] = {
            guard setting("TRAPEZE_DEBIAN_MATRIX", default: 0) != 0 else {
                return [Boot(kernel: .cloud, processors: 2, model: "x86-64-v2")]
            }
            return DebianKernel.allCases.flatMap { kernel in
                [1, 2, 4].flatMap { processors in
                    ["host", "x86-64-v1", "x86-64-v2", "x86-64-v3"].map {
                        Boot(kernel: kernel, processors: processors, model: $0)
                    }
                }
            }
        }()

        /// What a kernel says when something is wrong with its machine, in lower case.
        static let complaints = [
            "warning:", "bug:", "oops", "call trace", "apic error", "soft lockup", "hard lockup", "rcu: info", "stall",
            "unstable", "skew", "firmware bug", "firmware warn", "acpi error", "acpi warning", "bios error",
            "unchecked msr", "spurious", "nobody cared", "unknown nmi", "disabling irq", "mce: [hardware error]",
            "not responding", "failed", "tsc adjust", "do_irq", "no irq handler", "mismatch", "timed out",
        ]

        /// The kernel's first try to measure the time-stamp counter needs a CPU that nobody else wants; its second does not.
        static let hostIsBusy = "fast tsc calibration failed"

        @Test("Debian boots and finds nothing wrong", arguments: TestEngine.all, matrix)
        func findsNothingWrong(engine: TestEngine, boot: Boot) async throws {
            try engine.require(.wholeCPU)
            var options = DebianGuestOptions()
            options.kernel = boot.kernel
            options.command = ["sh", "-c", "dmesg; echo processors=$(nproc)"].map { Array($0.utf8) }
            let guest: PreparedGuest
            do throws(DebianGuestError) {
                guest = try DebianGuest.prepare(options) { print($0) }
            } catch {
                try Test.cancel("Debian cannot be prepared: \(error.description)")
            }
            let test = try TestMachine(
                .kernel(
                    .file(guest.kernelPath), modules: [BootModule(.bytes(guest.initrd, name: "initramfs"))],
                    commandLine: guest.commandLine),
                memory: 512 << 20, cpus: boot.processors, engine: engine.engine, clock: .host, cpuModel: boot.model)
            let end = await test.run(limit: .seconds(300))
            let console = test.console.text
            #expect(end == .outcome(.exited(status: 0)), "\(console)")
            #expect(console.contains("processors=\(boot.processors)"), "\(console)")
            let suspicious = console.split(whereSeparator: \.isNewline).map { $0.lowercased() }.filter { line in
                Self.complaints.contains { line.contains($0) } && !line.contains(Self.hostIsBusy)
            }
            #expect(suspicious == [])
        }
    }
}

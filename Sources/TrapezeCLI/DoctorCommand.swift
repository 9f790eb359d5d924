// `trapeze doctor`: what this host offers, what each engine would do here, and what `run debian` needs.

import ArgumentParser
import Foundation
import Trapeze

/// Says what works on this host.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Prints what this host offers and what each engine would do here.")

    func run() {
        let facts = HostFacts.gather()
        print("Host")
        line("kernel", "Linux \(facts.kernel)")
        line("processor", "\(facts.processor), \(facts.usableCPUs) usable CPU\(facts.usableCPUs == 1 ? "" : "s")")
        line("features", HostFacts.relevantFeatures.filter(facts.features.contains).joined(separator: " "))
        let missing = HostFacts.relevantFeatures.filter { !facts.features.contains($0) }
        if !missing.isEmpty { line("lacks", missing.joined(separator: " ")) }
        line("memory", "\(gibibytes(facts.memory.total)), \(gibibytes(facts.memory.available)) available")

        print("\nEngines")
        for engine in EngineRegistry.statuses() {
            let status =
                switch engine.availability {
                case .available: "works"
                case .unavailable(let reason): "does not work here: \(reason)"
                case .notBuilt: "not built into this version"
                }
            line(engine.name, "\(status) (\(engine.summary))")
        }
        do throws(ConfigurationError) {
            let decision = try EngineRegistry.decide(.auto)
            line("auto", "takes \(decision.name): \(decision.reason)")
        } catch {
            line("auto", error.description)
        }

        print("\nKVM")
        let (summary, capabilities) = EngineRegistry.describeKVM()
        line("/dev/kvm", summary)
        if let capabilities {
            line("offers", capabilities.present)
            line("lacks", capabilities.absent.isEmpty ? "nothing that is of use" : capabilities.absent)
        }

        print("\nFor `trapeze run debian`")
        for (tool, package) in [("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg-deb", "dpkg")] {
            line(tool, HostFacts.program(tool) ?? "missing: install package \(package)")
        }
        line("zstd", HostFacts.program("zstd") ?? "missing: not needed by Debian 12's own kernel")
        line("cache", cacheFolder())
    }

    private func line(_ name: String, _ text: String) {
        print("  " + name.padding(toLength: 11, withPad: " ", startingAt: 0) + text)
    }

    private func gibibytes(_ bytes: UInt64) -> String { String(format: "%.1f GiB", Double(bytes) / Double(1 << 30)) }

    /// The folder that Debian's packages are kept in, and whether it can be written.
    private func cacheFolder() -> String {
        let environment = ProcessInfo.processInfo.environment
        var base = environment["XDG_CACHE_HOME"] ?? ""
        if !base.hasPrefix("/") { base = (environment["HOME"] ?? NSHomeDirectory()) + "/.cache" }
        let folder = base + "/trapeze"
        // The nearest folder that exists decides.
        var existing = folder
        while !FileManager.default.fileExists(atPath: existing), existing != "/" {
            existing = URL(fileURLWithPath: existing).deletingLastPathComponent().path
        }
        guard access(existing, W_OK) == 0 else { return "\(folder): \(existing) is not writable" }
        var status = statvfs()
        guard statvfs(existing, &status) == 0 else { return folder }
        return "\(folder), \(gibibytes(UInt64(status.f_bavail) * UInt64(status.f_frsize))) free"
    }
}

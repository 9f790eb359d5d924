// What this host offers to a hypervisor, as far as an ordinary user can find out: read from the kernel's files and by
// looking, changing nothing.

import Foundation

/// The facts that `trapeze doctor` prints.
struct HostFacts {
    let kernel: String
    let processor: String
    let features: Set<String>
    /// CPUs that this process may use.
    let usableCPUs: Int
    /// Bytes of memory, and how many are available now.
    let memory: (total: UInt64, available: UInt64)

    /// CPU features of the host that matter to an engine, by their names in /proc/cpuinfo.
    static let relevantFeatures = [
        "sse4_2", "popcnt", "avx", "avx2", "bmi1", "bmi2", "fma", "movbe", "f16c", "abm", "aes", "pclmulqdq", "sha_ni",
        "fsgsbase", "rdrand", "rdseed", "xsave", "xsaveopt", "xsavec", "avx512f", "vmx", "svm", "hypervisor",
    ]

    /// Looks at the host.
    static func gather() -> HostFacts {
        var name = utsname()
        uname(&name)
        let kernel = withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let cpuinfo = fields(of: "/proc/cpuinfo", separator: ":")
        let meminfo = fields(of: "/proc/meminfo", separator: ":")
        func kibibytes(_ key: String) -> UInt64 {
            UInt64(meminfo[key]?.split(separator: " ").first ?? "0").map { $0 << 10 } ?? 0
        }
        return HostFacts(
            kernel: kernel, processor: cpuinfo["model name"] ?? "unknown",
            features: Set((cpuinfo["flags"] ?? "").split(separator: " ").map(String.init)),
            usableCPUs: ProcessInfo.processInfo.activeProcessorCount,
            memory: (kibibytes("MemTotal"), kibibytes("MemAvailable")))
    }

    /// Where a program is in PATH.
    static func program(_ name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":")
            .map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
    }

    /// The first value of each key in a file of lines "key: value".
    private static func fields(of path: String, separator: Character) -> [String: String] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [:] }
        var fields: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let at = line.firstIndex(of: separator) else { continue }
            let key = line[..<at].trimmingCharacters(in: .whitespaces)
            if fields[key] == nil {
                fields[key] = line[line.index(after: at)...].trimmingCharacters(in: .whitespaces)
            }
        }
        return fields
    }
}

// CPU models by name: whose CPU the guest sees, and which features it offers. What CPUID answers for a model is in
// `CPUIDLeaves.swift`.

import CPrimitives

/// Whose manual decides where Intel's and AMD's differ.
enum CPUVendor: Sendable {
    case intel, amd

    /// The vendor string of leaf 0, as EBX, EDX, ECX.
    var signature: (ebx: UInt32, edx: UInt32, ecx: UInt32) {
        switch self {
        case .intel: (0x756e_6547, 0x4965_6e69, 0x6c65_746e)  // GenuineIntel
        case .amd: (0x6874_7541, 0x6974_6e65, 0x444d_4163)  // AuthenticAMD
        }
    }
}

/// Which instructions a model has, and whose manual they follow.
package struct InstructionSet: Sendable {
    let features: FeatureSet
    let vendor: CPUVendor

    @inline(__always) func has(_ feature: Feature) -> Bool { features.contains(feature) }
}

/// A CPU as offered to a guest.
package struct CPUModel: Sendable {
    package let name: String
    let vendor: CPUVendor
    /// EAX of leaf 1: family, model and stepping.
    let signature: UInt32
    /// The 48 characters of leaves 80000002H…80000004H.
    let brand: [UInt8]
    let features: FeatureSet
    /// Features that the model's name promises but this host cannot run.
    package let missing: [Feature]
    /// MAXPHYADDR
    let physicalBits: UInt64 = 46
    /// The CPUID registers that are made of feature bits alone, by leaf, subleaf and register.
    let featureWords: [FeatureWord: UInt32]

    struct FeatureWord: Hashable, Sendable {
        let leaf: UInt32
        let subleaf: UInt32
        let register: FeatureEntry.Register
    }

    /// The names that `init(named:)` knows.
    static let names = ["host", "x86-64-v1", "x86-64-v2", "x86-64-v3", "max"]

    /// The same model without, or with, a few features (`CPUModel+Description.swift`).
    init(_ base: CPUModel, features: FeatureSet, without removed: [Feature]) {
        name = base.name
        vendor = base.vendor
        signature = base.signature
        brand = base.brand
        missing = base.missing.filter { !removed.contains($0) }
        self.features = features
        featureWords = Self.words(of: features, vendor)
    }

    var physicalMask: UInt64 { 1 << physicalBits - 1 }
    /// The state components that XCR0 may enable: x87, SSE, AVX, PKRU.
    var xcr0Mask: UInt64 {
        has(.xsave) ? XCR0.x87 | XCR0.sse | (has(.avx) ? XCR0.avx : 0) | (has(.pku) ? XCR0.pkru : 0) : 0
    }

    @inline(__always) package func has(_ feature: Feature) -> Bool { features.contains(feature) }

    /// What choosing an instruction's handler takes to know.
    package var instructions: InstructionSet { InstructionSet(features: features, vendor: vendor) }

    /// The model of a name on the command line; nil for an unknown one. `vendor` replaces the model's own.
    init?(named name: String, vendor other: CPUVendor? = nil) {
        guard let position = Self.names.firstIndex(of: name) else { return nil }
        let isMaximum = name == "max"
        // All that the host has and this CPU can do; `max`, also what guests are better off without.
        let isHost = position == 0 || isMaximum
        self.name = name
        let leaf1 = tz_cpuid(1, 0)
        let own = isHost ? Self.hostVendor : .intel
        vendor = other ?? own
        // The named levels look the same on every host: family 6, but a model that Intel never made. Programs choose code
        // by model as well as by feature, and a real one would promise AVX-512 to them. AMD's is family 17H.
        signature = isHost && vendor == own ? leaf1.eax : vendor == .intel ? 0x0005_0601 : 0x0080_0f12
        brand = isHost ? Self.hostBrand : Self.padded("Trapeze \(name) CPU")
        var features = FeatureSet()
        var missing: [Feature] = []
        for entry in FeatureEntry.all {
            guard entry.suits(vendor) else { continue }
            if entry.level > (isMaximum ? 5 : isHost ? 4 : position) { continue }
            if entry.needsHost && !Self.hostHas(entry) {
                if !isHost { missing.append(entry.feature) }
                continue
            }
            features.insert(entry.feature)
        }
        self.features = features
        self.missing = missing
        featureWords = Self.words(of: features, vendor)
    }

    private static func words(of features: FeatureSet, _ vendor: CPUVendor) -> [FeatureWord: UInt32] {
        var words: [FeatureWord: UInt32] = [:]
        for entry in FeatureEntry.all where features.contains(entry.feature) && entry.suits(vendor) {
            let word = FeatureWord(leaf: entry.leaf, subleaf: entry.subleaf, register: entry.register)
            words[word, default: 0] |= 1 << entry.bit
        }
        return words
    }

    func word(_ leaf: UInt32, _ register: FeatureEntry.Register, subleaf: UInt32 = 0) -> UInt32 {
        featureWords[FeatureWord(leaf: leaf, subleaf: subleaf, register: register)] ?? 0
    }

    // MARK: Host

    /// The leaves that feature bits are in, read once: where the host is a virtual machine itself, CPUID is slow.
    private static let hostLeaves: [UInt64: tz_cpuid_result] = {
        var leaves: [UInt64: tz_cpuid_result] = [:]
        for entry in FeatureEntry.all where leaves[leafKey(entry.leaf, entry.subleaf)] == nil {
            guard tz_cpuid(entry.leaf & 0x8000_0000, 0).eax >= entry.leaf else { continue }
            leaves[leafKey(entry.leaf, entry.subleaf)] = tz_cpuid(entry.leaf, entry.subleaf)
        }
        return leaves
    }()

    private static func leafKey(_ leaf: UInt32, _ subleaf: UInt32) -> UInt64 { UInt64(leaf) << 32 | UInt64(subleaf) }

    /// Features whose state the host's operating system must have enabled too (OSXSAVE).
    private static let vectorState: Set<Feature> = [
        .xsave, .avx, .avx2, .fma, .f16c, .xsaveopt, .xsavec, .xgetbv1, .xsaves,
    ]

    static func hostHas(_ entry: FeatureEntry) -> Bool {
        guard let r = hostLeaves[leafKey(entry.leaf, entry.subleaf)] else { return false }
        if vectorState.contains(entry.feature), (hostLeaves[leafKey(1, 0)]?.ecx ?? 0) & 1 << 27 == 0 { return false }
        let word =
            switch entry.register {
            case .eax: r.eax
            case .ebx: r.ebx
            case .ecx: r.ecx
            case .edx: r.edx
            }
        return word >> entry.bit & 1 != 0
    }

    private static var hostVendor: CPUVendor {
        let leaf = tz_cpuid(0, 0)
        let amd = CPUVendor.amd.signature
        let isHygon = leaf.ebx == 0x6f67_7948
        return leaf.ebx == amd.ebx && leaf.edx == amd.edx && leaf.ecx == amd.ecx || isHygon ? .amd : .intel
    }

    private static var hostBrand: [UInt8] {
        guard tz_cpuid(0x8000_0000, 0).eax >= 0x8000_0004 else { return padded("Trapeze host CPU") }
        var bytes: [UInt8] = []
        for leaf: UInt32 in 0x8000_0002...0x8000_0004 {
            let r = tz_cpuid(leaf, 0)
            for word in [r.eax, r.ebx, r.ecx, r.edx] {
                for shift: UInt32 in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
            }
        }
        return bytes
    }

    private static func padded(_ text: String) -> [UInt8] {
        let bytes = Array(text.utf8.prefix(47))
        return bytes + [UInt8](repeating: 0, count: 48 - bytes.count)
    }
}

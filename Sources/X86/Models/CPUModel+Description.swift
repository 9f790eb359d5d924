// CPU models as users describe them: a name, then features to add or leave out and another vendor's name, separated by
// commas, as in "host,-x2apic,vendor=intel". Features are named as in Linux's /proc/cpuinfo or QEMU's -cpu.

import VirtualCPU

extension CPUModel {
    /// The model that a description means. Throws an error of one line that says what is wrong with it.
    package init(describedBy description: String) throws(EngineError) {
        var words = description.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        let name = words.removeFirst()
        var vendor: CPUVendor?
        var changes: [(feature: FeatureEntry, isAdded: Bool)] = []
        for word in words {
            if let value = word.removing(prefix: "vendor=") {
                vendor = try Self.vendor(value)
            } else {
                let isAdded = word.hasPrefix("+") || word.hasSuffix("=on")
                guard isAdded || word.hasPrefix("-") || word.hasSuffix("=off") else {
                    throw EngineError(
                        "'\(word)' in the CPU model '\(description)': expected +FEATURE, -FEATURE or vendor=NAME")
                }
                let spelling = word.drop { $0 == "+" || $0 == "-" }.prefix { $0 != "=" }
                changes.append((try Self.feature(String(spelling)), isAdded))
            }
        }
        guard let base = CPUModel(named: name, vendor: vendor) else {
            throw EngineError("unknown CPU model '\(name)'; known: \(Self.names.joined(separator: ", "))")
        }
        var features = base.features
        for (entry, isAdded) in changes {
            if isAdded {
                guard entry.suits(base.vendor) else {
                    throw EngineError("CPUs of this vendor have no feature '\(entry.feature)'")
                }
                guard !entry.needsHost || Self.hostHas(entry) else {
                    throw EngineError("this host's CPU lacks the feature '\(entry.feature)'")
                }
                features.insert(entry.feature)
            } else {
                features.remove(entry.feature)
            }
        }
        Self.removeDependents(&features)
        self.init(base, features: features, without: changes.filter { !$0.isAdded }.map(\.feature.feature))
    }

    /// Takes out what is nothing without a feature that is not there.
    static func removeDependents(_ features: inout FeatureSet) {
        for (feature, needed) in dependencies where !features.contains(needed) { features.remove(feature) }
    }

    /// What is nothing without something else, in an order in which one pass is enough.
    private static let dependencies: [(Feature, needs: Feature)] = [
        (.xsaveopt, .xsave), (.xsavec, .xsave), (.xgetbv1, .xsave), (.xsaves, .xsavec), (.avx, .xsave), (.avx2, .avx),
        (.fma, .avx), (.f16c, .avx),
    ]

    /// Names that are not the manuals' spelled in lower case.
    private static let aliases = [
        "pclmulqdq": "pclmul", "lahflm": "lahf", "abm": "lzcnt", "3dnowprefetch": "prefetchw", "invtsc": "invarianttsc",
        "tscdeadlinetimer": "tscdeadline", "nonstoptsc": "invarianttsc", "shani": "sha", "ibpb": "amdibpb",
        "ibrs": "amdibrs",
    ]

    private static func feature(_ spelling: String) throws(EngineError) -> FeatureEntry {
        let plain = spelling.lowercased().filter { $0.isLetter || $0.isNumber }
        let name = aliases[plain] ?? plain
        guard let entry = FeatureEntry.all.first(where: { "\($0.feature)".lowercased() == name }) else {
            throw EngineError("unknown CPU feature '\(spelling)'")
        }
        return entry
    }

    private static func vendor(_ name: String) throws(EngineError) -> CPUVendor {
        switch name.lowercased() {
        case "intel", "genuineintel": .intel
        case "amd", "authenticamd": .amd
        default: throw EngineError("unknown CPU vendor '\(name)'; known: intel, amd")
        }
    }
}

extension String {
    /// What follows a prefix; nil if it isn't there.
    fileprivate func removing(prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}

// A CPU model for an engine that does not execute every instruction itself: the model's features as far as the hardware, or
// the kernel that shares it out, lets guests have them, and CPUID as a table.

import CPrimitives
import VirtualCPU

/// The answer to CPUID with one EAX, and ECX where the leaf has subleaves.
package struct CPUIDEntry: Equatable, Sendable {
    package var leaf: UInt32
    package var subleaf: UInt32
    /// Whether ECX selects among several answers.
    package var hasSubleaves: Bool
    package var eax: UInt32
    package var ebx: UInt32
    package var ecx: UInt32
    package var edx: UInt32

    /// Makes an entry.
    package init(
        leaf: UInt32, subleaf: UInt32, hasSubleaves: Bool, eax: UInt32, ebx: UInt32, ecx: UInt32, edx: UInt32
    ) {
        self.leaf = leaf
        self.subleaf = subleaf
        self.hasSubleaves = hasSubleaves
        self.eax = eax
        self.ebx = ebx
        self.ecx = ecx
        self.edx = edx
    }
}

extension CPUModel {
    /// The model with only those features that `offered` has, or that are computation without any state of their own: the
    /// host's CPU has these, and the interpreter executes them where the hardware's keeper does not.
    ///
    /// - Throws: if the model's name, or the user, promises a feature that is not there.
    package func limited(
        to offered: [CPUIDEntry], of keeper: String, describedBy description: String
    ) throws(EngineError) -> CPUModel {
        var limited = features
        for entry in FeatureEntry.all where features.contains(entry.feature) {
            if !entry.isIn(offered), !entry.isPlainComputation || !Self.hostHas(entry) { limited.remove(entry.feature) }
        }
        Self.removeDependents(&limited)
        let gone = FeatureEntry.all.filter { features.contains($0.feature) && !limited.contains($0.feature) }
        let isHost = name == "host" || name == "max"
        // Of the host's own model only what the user has added counts as promised; of a level, the instructions that programs
        // may take for granted.
        let promised = gone.filter { entry in
            if isHost { return CPUModel(named: name, vendor: vendor).map { !$0.has(entry.feature) } ?? false }
            return entry.level <= 3 && (entry.needsHost || entry.isPlainComputation)
        }
        guard promised.isEmpty else {
            let names = promised.map { String(describing: $0.feature) }.joined(separator: ", ")
            throw EngineError("the CPU model '\(description)' needs what \(keeper) does not offer here: \(names)")
        }
        return CPUModel(self, features: limited, without: gone.map(\.feature))
    }

    /// All that CPUID answers for one vCPU, as it is after RESET.
    ///
    /// - Parameters:
    ///   - tscFrequency: of the time-stamp counter that the guest will see, in Hz.
    ///   - physicalBits: the most that the hardware can address.
    ///   - paravirtual: the features of KVM's interface (EAX of leaf 40000001H); nil hides it.
    package func cpuidTable(
        apicID: Int, vcpuCount: Int, tscFrequency: UInt64, physicalBits most: UInt32, paravirtual: UInt32?
    ) -> [CPUIDEntry] {
        let context = CPUIDContext(
            apicID: UInt32(apicID), vcpuCount: UInt32(vcpuCount), xcr0: XCR0.x87, osxsave: false, ospke: false,
            apicEnabled: true, in64BitMode: true, isParavirtual: paravirtual != nil)
        func answer(_ leaf: UInt32, _ subleaf: UInt32 = 0, hasSubleaves: Bool = false) -> CPUIDEntry {
            let r = cpuid(leaf, subleaf, context)
            var entry = CPUIDEntry(
                leaf: leaf, subleaf: subleaf, hasSubleaves: hasSubleaves, eax: r.eax, ebx: r.ebx, ecx: r.ecx, edx: r.edx
            )
            switch leaf {
            case 0x15 where r.eax != 0: entry.ecx = UInt32(clamping: tscFrequency)
            case 0x16 where r.eax != 0: entry.eax = UInt32(clamping: tscFrequency / 1_000_000)
            case 0x4000_0001: entry.eax = paravirtual ?? 0
            case 0x8000_0008: entry.eax = r.eax & ~0xff | min(r.eax & 0xff, most)
            default: break
            }
            if leaf == 0x16 { entry.ebx = entry.eax }
            return entry
        }
        let subleaves: [UInt32: [UInt32]] = [
            4: [0, 1, 2, 3, 4], 7: [0], 0xb: [0, 1, 2], 0xd: [0, 1, 2, 9], 0x8000_001d: [0, 1, 2, 3, 4],
        ]
        let hypervisor: [UInt32] = paravirtual == nil ? [0x4000_0000] : [0x4000_0000, 0x4000_0001]
        let last = cpuid(0, 0, context).eax
        let lastExtended = cpuid(0x8000_0000, 0, context).eax
        var table: [CPUIDEntry] = []
        for leaf in Array(0...last) + hypervisor + Array(0x8000_0000...lastExtended) {
            guard let each = subleaves[leaf] else {
                table.append(answer(leaf))
                continue
            }
            for subleaf in each { table.append(answer(leaf, subleaf, hasSubleaves: true)) }
        }
        return table
    }
}

extension FeatureEntry {
    /// Whether a table of CPUID answers has the feature's bit.
    fileprivate func isIn(_ table: [CPUIDEntry]) -> Bool {
        guard let entry = table.first(where: { $0.leaf == leaf && $0.subleaf == subleaf }) else { return false }
        let word =
            switch register {
            case .eax: entry.eax
            case .ebx: entry.ebx
            case .ecx: entry.ecx
            case .edx: entry.edx
            }
        return word >> bit & 1 != 0
    }

    /// Instructions on registers that every CPU has: nothing has to be switched on, and no state is added.
    fileprivate var isPlainComputation: Bool {
        switch feature {
        case .sse3, .ssse3, .sse41, .sse42, .popcnt, .pclmul, .aes, .sha, .cx16, .movbe, .rdrand, .rdseed, .bmi1, .bmi2,
            .adx, .lzcnt, .lahf, .prefetchw, .clflushopt, .clwb, .erms, .fsrm:
            true
        default: false
        }
    }
}

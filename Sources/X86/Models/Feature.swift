// The CPU features that this software CPU knows, with where CPUID reports each and which models offer it. A feature that
// is not in the table is never offered.

/// A feature by its CPUID name.
package enum Feature: UInt8, CaseIterable {
    case fpu, de, pse, tsc, msr, pae, mce, cx8, apic, sep, mtrr, pge, mca, cmov, pat, pse36, clflush, mmx, fxsr, sse,
        sse2
    case sse3, pclmul, ssse3, fma, cx16, pcid, sse41, sse42, x2apic, movbe, popcnt, tscDeadline, aes, xsave, avx, f16c
    case rdrand, hypervisor
    case fsgsbase, tscAdjust, bmi1, avx2, smep, bmi2, erms, invpcid, rdseed, adx, smap, clflushopt, clwb, sha
    case umip, rdpid, fsrm, specCtrl, archCapabilities
    case xsaveopt, xsavec, xgetbv1, xsaves
    case arat
    case lahf, cmpLegacy, cr8Legacy, lzcnt, prefetchw, topoext, syscall, nx, pdpe1gb, rdtscp, lm
    case invariantTSC
    case amdIBPB, amdIBRS, ssbNo, btcNo
    case pku, pks, pcommit
    case noNestedDataBreakpoint, lfenceSerializing, nullSelectorClearsBase, automaticIBRS, srsoNo, tsaSQNo, tsaL1No
}

/// A set of features, asked on hot paths: two words.
struct FeatureSet: Equatable, Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    @inline(__always) func contains(_ feature: Feature) -> Bool {
        let n = feature.rawValue
        return (n < 64 ? low >> UInt64(n) : high >> UInt64(n &- 64)) & 1 != 0
    }

    mutating func insert(_ feature: Feature) {
        let n = UInt64(feature.rawValue)
        if n < 64 { low |= 1 << n } else { high |= 1 << (n - 64) }
    }

    mutating func remove(_ feature: Feature) {
        let n = UInt64(feature.rawValue)
        if n < 64 { low &= ~(1 << n) } else { high &= ~(1 << (n - 64)) }
    }
}

extension CPU {
    /// Whether the vCPU's model offers a feature.
    @inline(__always) func has(_ feature: Feature) -> Bool { translation.pointee.features.contains(feature) }
}

/// Where and by whom a feature is offered.
struct FeatureEntry {
    enum Register: String { case eax, ebx, ecx, edx }
    let feature: Feature
    let leaf: UInt32
    let subleaf: UInt32
    let register: Register
    let bit: UInt32
    /// The lowest of the x86-64 levels 1…3 that offers it; 4: the models `host` and `max`; 5: `max` alone.
    let level: Int
    /// Instructions run natively: the host must have the feature too.
    let needsHost: Bool
    /// Offered by this vendor's models only.
    let vendor: CPUVendor?

    /// Whether a vendor's CPUs may have it.
    func suits(_ vendor: CPUVendor) -> Bool { self.vendor.map { $0 == vendor } ?? true }

    /// Every known feature.
    static let all: [FeatureEntry] = {
        var names: [Substring: Feature] = [:]
        let spelled = Feature.allCases.map { (String(describing: $0), $0) }
        for (name, feature) in spelled { names[Substring(name)] = feature }
        return table.split(separator: "\n").compactMap { line in
            let field = line.split(separator: " ")
            guard field.count == 7, let feature = names[field[0]], let leaf = UInt32(field[1], radix: 16),
                let subleaf = UInt32(field[2]), let register = Register(rawValue: String(field[3])),
                let bit = UInt32(field[4]), let level = Int(field[5])
            else { return nil }
            let vendor: CPUVendor? = field[6].contains("I") ? .intel : field[6].contains("A") ? .amd : nil
            return FeatureEntry(
                feature: feature, leaf: leaf, subleaf: subleaf, register: register, bit: bit, level: level,
                needsHost: field[6].contains("n"), vendor: vendor)
        }
    }()

    // Feature, leaf, subleaf, register, bit, level; n: needs the host, I: Intel only, A: AMD only, -: neither.
    private static let table = """
        fpu 1 0 edx 0 1 n
        de 1 0 edx 2 1 -
        pse 1 0 edx 3 1 -
        tsc 1 0 edx 4 1 -
        msr 1 0 edx 5 1 -
        pae 1 0 edx 6 1 -
        mce 1 0 edx 7 1 -
        cx8 1 0 edx 8 1 -
        apic 1 0 edx 9 1 -
        sep 1 0 edx 11 1 -
        mtrr 1 0 edx 12 1 -
        pge 1 0 edx 13 1 -
        mca 1 0 edx 14 1 -
        cmov 1 0 edx 15 1 -
        pat 1 0 edx 16 1 -
        pse36 1 0 edx 17 1 -
        clflush 1 0 edx 19 1 -
        mmx 1 0 edx 23 1 n
        fxsr 1 0 edx 24 1 n
        sse 1 0 edx 25 1 n
        sse2 1 0 edx 26 1 n
        sse3 1 0 ecx 0 2 n
        pclmul 1 0 ecx 1 4 n
        ssse3 1 0 ecx 9 2 n
        fma 1 0 ecx 12 3 n
        cx16 1 0 ecx 13 2 n
        pcid 1 0 ecx 17 3 -
        sse41 1 0 ecx 19 2 n
        sse42 1 0 ecx 20 2 n
        x2apic 1 0 ecx 21 1 -
        movbe 1 0 ecx 22 3 -
        popcnt 1 0 ecx 23 2 n
        tscDeadline 1 0 ecx 24 1 -
        aes 1 0 ecx 25 4 n
        xsave 1 0 ecx 26 3 n
        avx 1 0 ecx 28 3 n
        f16c 1 0 ecx 29 3 n
        rdrand 1 0 ecx 30 4 -
        hypervisor 1 0 ecx 31 1 -
        fsgsbase 7 0 ebx 0 3 -
        tscAdjust 7 0 ebx 1 1 -
        bmi1 7 0 ebx 3 3 n
        avx2 7 0 ebx 5 3 n
        smep 7 0 ebx 7 3 -
        bmi2 7 0 ebx 8 3 n
        erms 7 0 ebx 9 3 -
        invpcid 7 0 ebx 10 3 -
        rdseed 7 0 ebx 18 4 -
        adx 7 0 ebx 19 4 n
        smap 7 0 ebx 20 3 -
        pcommit 7 0 ebx 22 5 -
        clflushopt 7 0 ebx 23 4 -
        clwb 7 0 ebx 24 4 -
        sha 7 0 ebx 29 4 n
        umip 7 0 ecx 2 3 -
        rdpid 7 0 ecx 22 4 -
        pku 7 0 ecx 3 5 -
        pks 7 0 ecx 31 5 -
        fsrm 7 0 edx 4 4 -
        specCtrl 7 0 edx 26 1 I
        archCapabilities 7 0 edx 29 1 I
        xsaveopt d 1 eax 0 3 n
        xsavec d 1 eax 1 4 n
        xgetbv1 d 1 eax 2 4 n
        xsaves d 1 eax 3 4 n
        arat 6 0 eax 2 1 -
        lahf 80000001 0 ecx 0 2 -
        cmpLegacy 80000001 0 ecx 1 1 A
        cr8Legacy 80000001 0 ecx 4 1 A
        lzcnt 80000001 0 ecx 5 3 n
        prefetchw 80000001 0 ecx 8 3 -
        topoext 80000001 0 ecx 22 1 A
        syscall 80000001 0 edx 11 1 -
        nx 80000001 0 edx 20 1 -
        pdpe1gb 80000001 0 edx 26 3 -
        rdtscp 80000001 0 edx 27 3 -
        lm 80000001 0 edx 29 1 -
        invariantTSC 80000007 0 edx 8 1 -
        amdIBPB 80000008 0 ebx 12 4 A
        amdIBRS 80000008 0 ebx 14 4 A
        ssbNo 80000008 0 ebx 26 1 A
        btcNo 80000008 0 ebx 29 1 A
        noNestedDataBreakpoint 80000021 0 eax 0 1 A
        lfenceSerializing 80000021 0 eax 2 1 A
        nullSelectorClearsBase 80000021 0 eax 6 1 A
        automaticIBRS 80000021 0 eax 8 1 A
        srsoNo 80000021 0 eax 29 1 A
        tsaSQNo 80000021 0 ecx 1 1 A
        tsaL1No 80000021 0 ecx 2 1 A
        """
}

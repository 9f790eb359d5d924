// What CPUID answers for a model (SDM volume 2A, CPUID; AMD APM volume 3, appendix E).

import CPrimitives
import VirtualCPU

/// The part of a vCPU's state that shows in CPUID.
struct CPUIDContext {
    var apicID: UInt32
    var vcpuCount: UInt32
    var xcr0: UInt64
    var osxsave: Bool
    /// CR4.PKE
    var ospke: Bool
    var apicEnabled: Bool
    var in64BitMode: Bool
    /// KVM's interface is offered.
    var isParavirtual = false
}

extension CPUModel {
    /// Highest basic leaf.
    private var maximumLeaf: UInt32 { vendor == .intel ? 0x16 : 0xd }
    /// Highest extended leaf.
    private var maximumExtendedLeaf: UInt32 { vendor == .intel ? 0x8000_0008 : 0x8000_0021 }
    /// Signatures of the hypervisor leaf, 12 characters: our own, and KVM's, by which guests know the interface.
    private static let hypervisor: (UInt32, UInt32, UInt32) = (0x7061_7254, 0x5465_7a65, 0x7a70_6172)
    private static let kvm: (UInt32, UInt32, UInt32) = (0x4b4d_564b, 0x564b_4d56, 0x4d)
    /// The parts of KVM's interface that there are, by bit (Linux, Documentation/virt/kvm/x86/cpuid.rst): the clock under
    /// its old and its new MSRs, no delay after port I/O, steal time, IPIs by hypercall, and a counter that all vCPUs
    /// share.
    package static let paravirtualFeatures: UInt32 = [0, 1, 3, 5, 11, 24].reduce(0) { $0 | 1 << $1 }

    /// The answer to CPUID with the given EAX and ECX.
    func cpuid(_ leaf: UInt32, _ subleaf: UInt32, _ context: CPUIDContext) -> tz_cpuid_result {
        switch leaf {
        case 0x4000_0000:
            let (b, c, d) = context.isParavirtual ? Self.kvm : Self.hypervisor
            return tz_cpuid_result(eax: context.isParavirtual ? 0x4000_0001 : 0x4000_0000, ebx: b, ecx: c, edx: d)
        case 0x4000_0001 where context.isParavirtual:
            return tz_cpuid_result(eax: Self.paravirtualFeatures, ebx: 0, ecx: 0, edx: 0)
        case 0x4000_0001...0x4fff_ffff: return tz_cpuid_result()
        case 0x8000_0000...0xffff_ffff:
            if leaf <= maximumExtendedLeaf { return extended(leaf, subleaf, context) }
        default: if leaf <= maximumLeaf { return basic(leaf, subleaf, context) }
        }
        // Beyond the maximum, Intel answers as for the highest basic leaf, AMD with zeros.
        return vendor == .intel ? basic(maximumLeaf, subleaf, context) : tz_cpuid_result()
    }

    private func basic(_ leaf: UInt32, _ subleaf: UInt32, _ context: CPUIDContext) -> tz_cpuid_result {
        var r = tz_cpuid_result()
        switch leaf {
        case 0:
            let name = vendor.signature
            r = tz_cpuid_result(eax: maximumLeaf, ebx: name.ebx, ecx: name.ecx, edx: name.edx)
        case 1:
            r.eax = signature
            r.ebx = context.apicID << 24 | min(context.vcpuCount, 255) << 16 | 8 << 8
            r.ecx = word(1, .ecx)
            r.edx = word(1, .edx)
            if context.osxsave { r.ecx |= 1 << 27 }
            if !context.apicEnabled { r.edx &= ~(1 << 9) }
            if context.vcpuCount > 1 { r.edx |= 1 << 28 }
        case 2 where vendor == .intel: r.eax = 0x00fe_ff01  // caches: see leaf 4
        case 4 where vendor == .intel: r = cache(subleaf, context, cores: true)
        case 6: r.eax = word(6, .eax)
        case 7 where subleaf == 0:
            r.ebx = word(7, .ebx)
            r.ecx = word(7, .ecx)
            r.edx = word(7, .edx)
            if context.ospke { r.ecx |= 1 << 4 }
        case 0xb:
            r.ecx = subleaf & 0xff
            r.edx = context.apicID
            if subleaf == 0 {
                r.ebx = 1
                r.ecx |= 1 << 8
            } else if subleaf == 1 {
                r.eax = Self.bits(context.vcpuCount)
                r.ebx = context.vcpuCount
                r.ecx |= 2 << 8
            }
        case 0xd where has(.xsave): r = xsave(subleaf, context)
        case 0x15 where vendor == .intel:
            r.eax = 1
            r.ebx = 1
            r.ecx = UInt32(Clock.tscFrequency)
        case 0x16 where vendor == .intel:
            r.eax = UInt32(Clock.tscFrequency / 1_000_000)
            r.ebx = r.eax
            r.ecx = 100
        default: break
        }
        return r
    }

    private func extended(_ leaf: UInt32, _ subleaf: UInt32, _ context: CPUIDContext) -> tz_cpuid_result {
        var r = tz_cpuid_result()
        switch leaf {
        case 0x8000_0000:
            r.eax = maximumExtendedLeaf
            if vendor == .amd {
                let name = vendor.signature
                (r.ebx, r.ecx, r.edx) = (name.ebx, name.ecx, name.edx)
            }
        case 0x8000_0001:
            r.ecx = word(leaf, .ecx)
            r.edx = word(leaf, .edx)
            if vendor == .amd {
                r.eax = signature
                // AMD repeats what it shares with leaf 1.
                r.edx |= word(1, .edx) & 0x0183_f3ff
                if !context.apicEnabled { r.edx &= ~(1 << 9) }
                if context.vcpuCount == 1 { r.ecx &= ~(1 << 1) }
            } else if !context.in64BitMode {
                r.edx &= ~(1 << 11)
            }
        case 0x8000_0002...0x8000_0004:
            let first = Int(leaf - 0x8000_0002) * 16
            r = tz_cpuid_result(
                eax: brandWord(first), ebx: brandWord(first + 4), ecx: brandWord(first + 8), edx: brandWord(first + 12))
        case 0x8000_0005 where vendor == .amd:
            r.eax = 0xff40_ff40
            r.ebx = 0xff40_ff40
            r.ecx = 32 << 24 | 8 << 16 | 1 << 8 | 64
            r.edx = r.ecx
        case 0x8000_0006:
            r.ecx = 1024 << 16 | (vendor == .amd ? 6 : 8) << 12 | 1 << 8 | 64
            if vendor == .amd { r.edx = 32 << 18 | 9 << 12 | 1 << 8 | 64 }
        case 0x8000_0007: r.edx = word(leaf, .edx)
        case 0x8000_0008:
            r.eax = UInt32(physicalBits) | 48 << 8
            r.ebx = word(leaf, .ebx)
            if vendor == .amd { r.ecx = context.vcpuCount - 1 | Self.bits(context.vcpuCount) << 12 }
        case 0x8000_001d: r = cache(subleaf, context, cores: false)
        case 0x8000_001e:
            r.eax = context.apicID
            r.ebx = context.apicID & 0xff
        case 0x8000_0021:
            r.eax = word(leaf, .eax)
            r.ecx = word(leaf, .ecx)
        default: break
        }
        return r
    }

    /// Deterministic cache parameters: leaf 4, and AMD's 8000001DH in the same layout.
    private func cache(_ subleaf: UInt32, _ context: CPUIDContext, cores: Bool) -> tz_cpuid_result {
        let ways: UInt32
        let sets: UInt32
        var r = tz_cpuid_result()
        switch subleaf {
        case 0: (r.eax, ways, sets) = (1 | 1 << 5, 8, 64)  // L1 data, 32 KiB
        case 1: (r.eax, ways, sets) = (2 | 1 << 5, 8, 64)  // L1 instructions
        case 2: (r.eax, ways, sets) = (3 | 2 << 5, 8, 2048)  // L2, 1 MiB
        case 3: (r.eax, ways, sets) = (3 | 3 << 5 | (1 << Self.bits(context.vcpuCount) - 1) << 14, 16, 16384)
        default: return r
        }
        r.eax |= 1 << 8
        if cores { r.eax |= (1 << Self.bits(context.vcpuCount) - 1) << 26 }
        r.ebx = (ways - 1) << 22 | 63
        r.ecx = sets - 1
        if subleaf == 3 { r.edx = 0 }
        return r
    }

    private func xsave(_ subleaf: UInt32, _ context: CPUIDContext) -> tz_cpuid_result {
        /// Bytes of an area; in the compacted format PKRU follows whatever else there is.
        func size(_ components: UInt64, compacted: Bool = false) -> UInt32 {
            let vectors: UInt32 = components & XCR0.avx != 0 ? 832 : 576
            guard components & XCR0.pkru != 0 else { return vectors }
            return (compacted ? vectors : UInt32(XSAVEArea.pkru)) + 8
        }
        switch subleaf {
        case 0:
            return tz_cpuid_result(eax: UInt32(xcr0Mask), ebx: size(context.xcr0), ecx: size(xcr0Mask), edx: 0)
        case 1:
            let compacted = has(.xsavec) ? size(context.xcr0, compacted: true) : 0
            return tz_cpuid_result(eax: word(0xd, .eax, subleaf: 1), ebx: compacted, ecx: 0, edx: 0)
        case 2 where xcr0Mask & XCR0.avx != 0: return tz_cpuid_result(eax: 256, ebx: 576, ecx: 0, edx: 0)
        case 9 where xcr0Mask & XCR0.pkru != 0:
            return tz_cpuid_result(eax: 8, ebx: UInt32(XSAVEArea.pkru), ecx: 0, edx: 0)
        default: return tz_cpuid_result()
        }
    }

    private func brandWord(_ index: Int) -> UInt32 {
        (0..<4).reduce(0) { $0 | UInt32(brand[index + $1]) << UInt32(8 * $1) }
    }

    /// Bits that number `count` things.
    private static func bits(_ count: UInt32) -> UInt32 {
        count <= 1 ? 0 : 32 - UInt32((count - 1).leadingZeroBitCount)
    }
}

// Holds the differential tests to the decoder: every form of an instruction that the decoder knows must come up among the
// cases, or stand in the list of those that cannot be compared with the host, with the reason.

import HostCases
import Testing
import X86

@Suite struct CoverageTests {
    /// What no case may hold, by `DecodedForm.operation`.
    private static let excluded: [String: String] = [
        "cpuid": "the guest's CPU model is not the host's", "xgetbv": "the guest's XCR0 is not the host's",
        "rdtsc": "time", "rdtscp": "time", "rdpid": "the host's CPU number", "rdpmc": "the host decides who may",
        "wrpkru": "changes the host's protection keys", "rdpkru": "the host's own",
        "rdrand": "random", "rdseed": "random", "int1": "hypervisors make a fault of this trap",
        "syscall": "calls the host's kernel", "sysenter": "calls the host's kernel",
        "sysret": "privileged, and #UD by vendor", "sysexit": "privileged, and #UD by vendor",
        "vmcall": "may call the host's own hypervisor", "vmmcall": "may call the host's own hypervisor",
        "monitor": "the host decides who may", "mwait": "the host decides who may",
        "sgdt": "the host's UMIP, emulated by its kernel", "sidt": "the host's UMIP, emulated by its kernel",
        "sldt": "the host's UMIP", "str": "the host's UMIP", "smsw": "the host's UMIP, emulated by its kernel",
        "xsaveopt": "what it leaves out depends on what the host's kernel did before (SDM volume 1, section 13.9)",
    ]

    /// Every form: all opcodes with all kinds of prefixes, each value of ModRM.reg with a register and with memory, and
    /// all registers where the whole byte counts.
    private func everyForm() -> [DecodedForm: [UInt8]] {
        var found: [DecodedForm: [UInt8]] = [:]
        func add(_ bytes: [UInt8], _ mode: DecodedInstruction.Mode) {
            let padded = bytes + [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]
            let decoded = padded.withUnsafeBufferPointer { DecodedInstruction($0, mode: mode) }
            if decoded.outcome == .valid, let form = decoded.form, found[form] == nil { found[form] = bytes }
        }
        let modRMs: [UInt8] = (0..<8).map { $0 << 3 | 3 } + Array(0xc0...0xff)
        let maps: [[UInt8]] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]]
        for mode in [DecodedInstruction.Mode.code64, .code32] {
            for prefix in [[], [0x66], [0xf3], [0xf2], [0x66, 0xf3], [0x66, 0xf2], [0xf0], [0x66, 0xf0]] as [[UInt8]] {
                for rex in (mode == .code64 ? [[], [0x48]] : [[]]) as [[UInt8]] {
                    for map in maps {
                        for opcode in UInt8.min...UInt8.max {
                            if map.isEmpty, opcode == 0x0f || opcode == 0xc4 || opcode == 0xc5 { continue }
                            for modRM in modRMs { add(prefix + rex + map + [opcode, modRM], mode) }
                        }
                    }
                }
            }
            for map in [1, 2, 3] as [UInt8] {
                for last in UInt8.min...UInt8.max where last & 0x78 == 0x78 || last & 0x78 == 0x70 {
                    for opcode in UInt8.min...UInt8.max {
                        for modRM in modRMs + [0x0c] { add([0xc4, 0xe0 | map, last, opcode, modRM, 0x13], mode) }
                    }
                }
            }
        }
        // LES and LDS.
        for prefix in [[], [0x66]] as [[UInt8]] {
            for opcode in [0xc4, 0xc5] as [UInt8] { add(prefix + [opcode, 3], .code32) }
        }
        return found
    }

    @Test func everyFormIsCompared() {
        var generator = CaseGenerator(seed: 1)
        var covered: Set<DecodedForm> = []
        for encoding in Encoding.all {
            var inVain = 0
            while inVain < 1500 {
                inVain += 1
                guard let made = generator.attempt(encoding) else { continue }
                if let form = made.decoded.form, covered.insert(form).inserted { inVain = 0 }
            }
        }
        let forms = everyForm()
        var missing: [String] = []
        var excluded = 0
        for (form, bytes) in forms where !covered.contains(form) {
            if Self.excluded[form.operation] != nil || Self.isHostsOwn(form) {
                excluded += 1
                continue
            }
            let code = bytes.map { String($0, radix: 16) }.joined(separator: " ")
            missing.append("\(form.in64BitMode ? "64" : "32")-bit \(form.operation), \(code), width \(form.width)")
        }
        print("\(forms.count) forms: \(forms.count - excluded - missing.count) compared, \(excluded) excluded")
        #expect(missing.isEmpty, "\(missing.count) forms are in no case:\n\(missing.sorted().joined(separator: "\n"))")
        #expect(forms.count > 5000)
        // An exclusion that no longer stands for anything goes.
        for name in Self.excluded.keys {
            #expect(forms.keys.contains { $0.operation == name }, "\(name) is excluded for nothing")
            #expect(!covered.contains { $0.operation == name }, "\(name) is excluded and compared")
        }
    }

    /// Forms that a vendor's CPUs have and the other's have not, by width.
    private static func isHostsOwn(_ form: DecodedForm) -> Bool {
        // REX.W before far pointers in memory: ignored by AMD's CPUs, obeyed by Intel's.
        if ["lss", "lfs", "lgs", "callFarIndirect", "jmpFarIndirect"].contains(form.operation), form.width == 8 {
            return true
        }
        // MOVSXD with 66: 16 bits from memory on Intel's CPUs, 32 on AMD's.
        return form.operation == "movsxd" && form.width == 2
    }
}

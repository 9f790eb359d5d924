// Two states of a vCPU, compared as far as they have to be the same whichever engine they come from: all but what time moves.

import VirtualCPU

extension CPUState {
    /// MSRs of which every engine has the same (SDM volume 4): SYSENTER's, PAT, EFER, SYSCALL's, KERNEL_GS_BASE. Of others, which
    /// a program of today does not look at, engines keep what their CPU has after RESET.
    private static let commonMSRs: [UInt32] = [
        0x174, 0x175, 0x176, 0x277, 0xc000_0080, 0xc000_0081, 0xc000_0082, 0xc000_0084, 0xc000_0102,
    ]

    /// A line for each part that is not as in `wanted`. The local APIC has tests of its own.
    func differences(from wanted: CPUState) -> [String] {
        var found: [String] = []
        func compare<T: Equatable>(_ name: String, _ part: (CPUState) -> T) {
            let (mine, other) = (part(self), part(wanted))
            if mine != other { found.append("\(name): \(mine), not \(other)") }
        }
        compare("general registers") { $0.gpr }
        compare("RIP") { $0.rip }
        compare("RFLAGS") { $0.rflags }
        compare("segments") { $0.segments }
        compare("GDTR, IDTR") { [$0.gdtr, $0.idtr] }
        compare("control registers") { [$0.cr0, $0.cr2, $0.cr3, $0.cr4, $0.xcr0] + $0.pdptes }
        compare("debug registers") { $0.debugAddresses + [$0.dr6, $0.dr7] }
        // MXCSR_MASK is no state.
        compare("x87 and vector registers") { Array($0.xsave[0..<28]) + $0.xsave[32..<416] }
        compare("shadows") { $0.shadow }
        compare("activity") { $0.activity }
        for number in Self.commonMSRs {
            compare("MSR 0x" + String(number, radix: 16)) { $0.msrs[number] ?? 0 }
        }
        return found
    }
}

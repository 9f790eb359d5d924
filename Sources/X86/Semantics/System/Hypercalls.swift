// Hypercalls, with the numbers and registers of KVM's interface, which guests know (Linux,
// Documentation/virt/kvm/x86/hypercalls.rst): number in RAX, arguments in RBX, RCX, RDX and RSI, result in RAX. Both
// vendors' instructions, VMCALL and VMMCALL, are taken on every model. Without the interface both are #UD.

import CPrimitives
import LocalAPIC

/// KVM's hypercall numbers and errors.
private enum Hypercall {
    static let sendIPI: UInt64 = 10
    static let clockPairing: UInt64 = 9
    /// Hints that ask for no more than the host's scheduler does by itself; and the poll of a local APIC that is shared
    /// with the host, which ours is not.
    static let pollAPIC: UInt64 = 1
    static let kickCPU: UInt64 = 5
    static let yield: UInt64 = 11

    static let notPermitted: Int64 = -1
    static let invalid: Int64 = -22
    static let notSupported: Int64 = -95
    static let unknown: Int64 = -1000
}

extension CPU {
    func hypercall() throws(GuestFault) {
        guard owner.vm.isParavirtual, protectedMode else { throw .invalidOpcode }
        state.pointee.counters.hypercalls &+= 1
        let result = cpl == 0 ? perform() : Hypercall.notPermitted
        self[.rax] = in64BitMode ? UInt64(bitPattern: result) : UInt64(bitPattern: result) & 0xffff_ffff
    }

    private func perform() -> Int64 {
        let mask: UInt64 = in64BitMode ? .max : 0xffff_ffff
        switch self[.rax] & mask {
        case Hypercall.sendIPI:
            return sendIPIs(
                [self[.rbx] & mask, self[.rcx] & mask], first: self[.rdx] & mask, command: self[.rsi] & mask)
        case Hypercall.pollAPIC, Hypercall.kickCPU, Hypercall.yield: return 0
        // The date comes from no clock that a counter of the guest's could be read with.
        case Hypercall.clockPairing: return Hypercall.notSupported
        default: return Hypercall.unknown
        }
    }

    /// Sends an IPI to the APIC IDs from `first` on that have a bit in `bitmaps`; the result is how many took it.
    private func sendIPIs(_ bitmaps: InlineArray<2, UInt64>, first: UInt64, command: UInt64) -> Int64 {
        let low = UInt32(truncatingIfNeeded: command)
        let everyone = ICR(low: low, destination: 0, x2APIC: true)
        guard !everyone.logicalDestination, everyone.shorthand == .none, command >> 32 == 0 else {
            return Hypercall.invalid
        }
        let width: UInt64 = in64BitMode ? 64 : 32
        var taken: Int64 = 0
        for index in 0..<2 {
            for bit in 0..<width where bitmaps[index] >> bit & 1 != 0 {
                // The broadcast ID is no CPU's.
                let (id, beyond) = first.addingReportingOverflow(UInt64(index) * width + bit)
                guard !beyond, id < 0xff, owner.localAPIC.send(low, to: UInt32(id)) else { continue }
                taken += 1
            }
        }
        return taken
    }
}

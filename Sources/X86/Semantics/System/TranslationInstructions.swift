// INVLPG, INVPCID, and the instructions about caches, which a software CPU without caches checks and then ignores.

import CPrimitives
import Synchronization

extension CPU {
    /// INVLPG: no translation is needed, so nothing but privilege can fault.
    func invalidatePage(_ i: Instruction) throws(GuestFault) {
        guard isMemoryOperand(i) else { throw .invalidOpcode }
        try requirePrivilege()
        let linear = effectiveAddress(i) &+ effectiveBase(i.pointee.segment)
        let address = in64BitMode ? linear : linear & 0xffff_ffff
        if !longMode || isCanonical(address) { flushTLBPage(address) }
        endBlock()
    }

    /// INVPCID: every type forgets at least what the manual asks for.
    func invalidatePCID(_ i: Instruction) throws(GuestFault) {
        try require(.invpcid)
        guard isMemoryOperand(i) else { throw .invalidOpcode }
        try requirePrivilege()
        let type =
            in64BitMode
            ? register(i.pointee.reg, as: UInt64.self) : UInt64(register(i.pointee.reg, as: UInt32.self))
        guard type <= 3 else { throw .generalProtection() }
        let linear = try linearAddress(i, size: 16, .read)
        let pcid = try load(UInt64.self, linear)
        let address = try load(UInt64.self, in64BitMode ? linear &+ 8 : (linear &+ 8) & 0xffff_ffff)
        guard pcid >> 12 == 0 else { throw .generalProtection() }
        if type < 2 && state.pointee.cr4 & CR4.pcide == 0 && pcid != 0 { throw .generalProtection() }
        switch type {
        case 0:
            guard isCanonical(address) else { throw .generalProtection() }
            if pcid == state.pointee.cr3 & 0xfff || state.pointee.cr4 & CR4.pcide == 0 {
                flushTLBPage(address)
            } else {
                flushContext(pcid)
            }
        case 1: flushContext(pcid)
        case 2: flushTLB()
        default:
            owner.addressSpaces.forgetAll()
            flushNonGlobalTLB()
        }
        endBlock()
    }

    /// CLFLUSH, CLFLUSHOPT and CLWB fault like a one-byte read.
    func flushLine(_ i: Instruction) throws(GuestFault) {
        guard isMemoryOperand(i) else { throw .invalidOpcode }
        _ = try load(UInt8.self, try linearAddress(i, size: 1, .read))
    }
}

/// MFENCE: loads and stores of the guest are loads and stores of the host, so the host's fence orders them.
func fence() { atomicMemoryFence(ordering: .sequentiallyConsistent) }

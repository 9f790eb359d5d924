// Protection keys (SDM volume 3, section 4.6.2): PKRU with its instructions, and IA32_PKRS. What they forbid is looked up in
// the page walk, and TLB entries are filled with it: a change of rights forgets them.

import CPrimitives

extension CPU {
    func readProtectionKeyRights() throws(GuestFault) {
        try requireProtectionKeys()
        guard self[.rcx] & 0xffff_ffff == 0 else { throw .generalProtection() }
        self[.rax] = state.pointee.pkru
        self[.rdx] = 0
    }

    func writeProtectionKeyRights() throws(GuestFault) {
        try requireProtectionKeys()
        guard (self[.rcx] | self[.rdx]) & 0xffff_ffff == 0 else { throw .generalProtection() }
        setPKRU(UInt32(truncatingIfNeeded: self[.rax]))
        endBlock()
    }

    private func requireProtectionKeys() throws(GuestFault) {
        guard state.pointee.cr4 & CR4.pke != 0 else { throw .invalidOpcode }
    }

    /// Operating systems load the same rights again and again: only a change costs a flush.
    func setPKRU(_ value: UInt32) {
        guard UInt64(value) != state.pointee.pkru else { return }
        state.pointee.pkru = UInt64(value)
        if state.pointee.cr4 & CR4.pke != 0 { flushTLB() }
    }

    /// Bits 63:32 are reserved.
    func setPKRS(_ value: UInt64) -> Bool {
        guard value >> 32 == 0 else { return false }
        if value != state.pointee.pkrs {
            state.pointee.pkrs = value
            if state.pointee.cr4 & CR4.pks != 0 { flushTLB() }
        }
        return true
    }

    /// What the key of a page forbids for data accesses: bit 0 all of them, bit 1 writes.
    @inline(__always) func keyRights(isUserPage: Bool, key: UInt64) -> UInt64 {
        let cr4 = state.pointee.cr4
        let rights = isUserPage ? state.pointee.pkru : state.pointee.pkrs
        guard longMode, cr4 & (isUserPage ? CR4.pke : CR4.pks) != 0 else { return 0 }
        return rights >> (2 * key) & 3
    }
}

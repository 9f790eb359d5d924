// The page walk (SDM volume 3, chapter 4): from a linear address to a guest-physical one by the guest's own tables, with
// permissions, reserved bits, accessed and dirty flags, and the page fault's exact error code where there is no way.

import CPrimitives

/// Where a linear address leads.
struct PageTranslation {
    /// Guest-physical address of the byte.
    var physical: UInt64
    /// log2 of the page's size.
    var shift: UInt64
    /// Kept over MOV CR3 (G and CR4.PGE).
    var isGlobal: Bool
    /// Writing is permitted too, and the dirty flag is set already.
    var writesFreely: Bool
}

/// Bits of paging-structure entries (SDM volume 3, tables 4-2 to 4-20).
private enum PTE {
    static let present: UInt64 = 1 << 0
    static let writable: UInt64 = 1 << 1
    static let user: UInt64 = 1 << 2
    static let accessed: UInt64 = 1 << 5
    static let dirty: UInt64 = 1 << 6
    static let pageSize: UInt64 = 1 << 7
    static let global: UInt64 = 1 << 8
    static let executeDisable: UInt64 = 1 << 63
    static let address: UInt64 = 0x000f_ffff_ffff_f000
}

/// Error code bits of #PF (SDM volume 3, figure 4-12).
enum PageFaultCode {
    static let present: UInt16 = 1 << 0
    static let write: UInt16 = 1 << 1
    static let user: UInt16 = 1 << 2
    static let reserved: UInt16 = 1 << 3
    static let fetch: UInt16 = 1 << 4
    static let protectionKey: UInt16 = 1 << 5
}

extension CPU {
    /// Whether an address may be used at all in the current mode.
    @inline(__always) func isCanonical(_ linear: UInt64) -> Bool {
        UInt64(bitPattern: Int64(bitPattern: linear << 16) >> 16) == linear
    }

    /// Walks the page tables for one access. `context` says with whose rights (`TLB.user`, …).
    func walk(_ linear: UInt64, _ access: Access, context: Int) throws(GuestFault) -> PageTranslation {
        guard state.pointee.cr0 & CR0.pg != 0 else { return unpaged(linear) }
        if longMode && !isCanonical(linear) { throw .nonCanonical }
        while true {
            var walk = Walk(self, linear, access, context)
            guard let found = walk.run() else {
                state.pointee.cr2 = linear
                forgetFaultingPage(linear)
                throw .pageFault(walk.errorCode)
            }
            // A table that changed under the walk is walked again.
            if walk.setAccessedAndDirty() { return found }
        }
    }

    /// Whether the tables lead a fetch at `linear` to the page at `physical`, and say that they were used for it: a processor may
    /// have that translation from now on, without setting any flag (SDM volume 3, section 4.10.2.3).
    /// Returns the translation.
    func fetchLeads(_ linear: UInt64, to physical: UInt64, context: Int) -> PageTranslation? {
        guard let found = walkAhead(linear, .fetch, context: context), (found.physical ^ physical) >> 12 == 0 else {
            return nil
        }
        // What has been found rests on it as on an entry of the TLB: INVLPG for another part of it is for this one too.
        if found.shift > 12 { noteLargePage(linear, shift: found.shift) }
        return found
    }

    /// The translation for an access that nobody has asked for yet: nil where it would fault or set a flag.
    func walkAhead(_ linear: UInt64, _ access: Access, context: Int) -> PageTranslation? {
        guard state.pointee.cr0 & CR0.pg != 0 else { return unpaged(linear) }
        if longMode && !isCanonical(linear) { return nil }
        var walk = Walk(self, linear, access, context)
        guard let found = walk.run(), walk.areAccessed else { return nil }
        return found
    }

    private func unpaged(_ linear: UInt64) -> PageTranslation {
        PageTranslation(physical: linear & 0xffff_ffff, shift: 12, isGlobal: false, writesFreely: true)
    }
}

/// One pass through the tables.
private struct Walk {
    let cpu: CPU
    let linear: UInt64
    let access: Access
    let context: Int
    var errorCode: UInt16
    /// Addresses and contents of the entries used, from the top.
    private var addresses = InlineArray<4, UInt64>(repeating: 0)
    private var entries = InlineArray<4, UInt64>(repeating: 0)
    private var used = 0
    private let cr4: UInt64
    private let noExecute: Bool

    init(_ cpu: CPU, _ linear: UInt64, _ access: Access, _ context: Int) {
        self.cpu = cpu
        self.linear = linear
        self.access = access
        self.context = context
        cr4 = cpu.state.pointee.cr4
        noExecute = cr4 & CR4.pae != 0 && cpu.state.pointee.efer & EFER.nxe != 0
        errorCode = context == TLB.user ? PageFaultCode.user : 0
        if access == .write { errorCode |= PageFaultCode.write }
        if access == .fetch && (noExecute || cr4 & CR4.smep != 0) { errorCode |= PageFaultCode.fetch }
    }

    private var entrySize: Int { cr4 & CR4.pae != 0 ? 8 : 4 }

    /// The translation; nil for a page fault with `errorCode`.
    mutating func run() -> PageTranslation? { cr4 & CR4.pae != 0 ? runWide() : runNarrow() }

    /// 4-level paging and PAE paging: 8-byte entries.
    private mutating func runWide() -> PageTranslation? {
        let physicalMask = cpu.translation.pointee.physicalMask
        // Bits 51:M, and bit 63 without NXE; PAE paging reserves 62:52 too.
        var reserved = PTE.address & ~physicalMask | (noExecute ? 0 : PTE.executeDisable)
        var level: UInt64
        var table: UInt64
        if cpu.longMode {
            level = 4
            table = cpu.state.pointee.cr3 & PTE.address
        } else {
            reserved |= 0x7ff0_0000_0000_0000
            let pdpte = cpu.pdpte(Int(linear >> 30 & 3))
            guard pdpte & PTE.present != 0 else { return nil }
            level = 2
            table = pdpte & PTE.address
        }
        var rights = PTE.writable | PTE.user
        var disabled: UInt64 = 0
        while true {
            let shift = 12 &+ 9 &* (level &- 1)
            let entry = fetchEntry(table &+ (linear >> shift & 511) &* 8)
            guard entry & PTE.present != 0 else { return nil }
            var forbidden = reserved
            var isLeaf = level == 1
            if level == 4 {
                forbidden |= PTE.pageSize
            } else if level > 1 && entry & PTE.pageSize != 0 {
                isLeaf = true
                if level == 3 && !cpu.has(.pdpe1gb) { forbidden |= PTE.pageSize }
                forbidden |= (UInt64(1) << shift &- 1) & ~0x1fff  // bit 12 is PAT
            }
            if entry & forbidden != 0 {
                errorCode |= PageFaultCode.present | PageFaultCode.reserved
                return nil
            }
            rights &= entry
            disabled |= entry
            if isLeaf {
                let offset = UInt64(1) << shift &- 1
                return leaf(
                    entry & PTE.address & ~offset | linear & offset, shift, rights, disabled & PTE.executeDisable)
            }
            table = entry & PTE.address
            level &-= 1
        }
    }

    /// 32-bit paging: 4-byte entries, 4-MiB pages with 40-bit addresses (PSE-36).
    private mutating func runNarrow() -> PageTranslation? {
        let directory = fetchEntry(cpu.state.pointee.cr3 & 0xffff_f000 | (linear >> 22 & 1023) &* 4)
        guard directory & PTE.present != 0 else { return nil }
        if directory & PTE.pageSize != 0 && cr4 & CR4.pse != 0 {
            let high = (directory >> 13 & 0xff) << 32
            if directory & 1 << 21 != 0 || high & ~cpu.translation.pointee.physicalMask != 0 {
                errorCode |= PageFaultCode.present | PageFaultCode.reserved
                return nil
            }
            return leaf(high | directory & 0xffc0_0000 | linear & 0x3f_ffff, 22, directory, 0)
        }
        let entry = fetchEntry(directory & 0xffff_f000 | (linear >> 12 & 1023) &* 4)
        guard entry & PTE.present != 0 else { return nil }
        return leaf(entry & 0xffff_f000 | linear & 0xfff, 12, directory & entry, 0)
    }

    /// Checks permissions (SDM volume 3, section 4.6.1).
    private mutating func leaf(
        _ physical: UInt64, _ shift: UInt64, _ rights: UInt64, _ disabled: UInt64
    ) -> PageTranslation? {
        let isUser = rights & PTE.user != 0
        var permitted: Bool
        var writable = rights & PTE.writable != 0
        if context == TLB.user {
            permitted = isUser
        } else if access == .fetch {
            permitted = !(isUser && cr4 & CR4.smep != 0)
        } else {
            permitted = !(isUser && cr4 & CR4.smap != 0 && context != TLB.supervisorAC)
        }
        if context != TLB.user && cpu.state.pointee.cr0 & CR0.wp == 0 { writable = true }
        if access == .write && !writable { permitted = false }
        if access == .fetch && noExecute && disabled != 0 { permitted = false }
        let last = entries[used &- 1]
        if access != .fetch, cr4 & (CR4.pke | CR4.pks) != 0 {
            let forbidden = cpu.keyRights(isUserPage: isUser, key: last >> 59 & 15)
            // A key that forbids writes binds supervisors with CR0.WP alone.
            let bindsWrites = forbidden & 2 != 0 && (context == TLB.user || cpu.state.pointee.cr0 & CR0.wp != 0)
            if bindsWrites { writable = false }
            if forbidden & 1 != 0 || bindsWrites && access == .write {
                errorCode |= PageFaultCode.protectionKey
                permitted = false
            }
        }
        guard permitted else {
            errorCode |= PageFaultCode.present
            return nil
        }
        return PageTranslation(
            physical: physical, shift: shift, isGlobal: last & PTE.global != 0 && cr4 & CR4.pge != 0,
            writesFreely: writable && (last & PTE.dirty != 0 || access == .write))
    }

    private mutating func fetchEntry(_ address: UInt64) -> UInt64 {
        let entry = cpu.readPhysical(address, size: entrySize)
        addresses[used] = address
        entries[used] = entry
        used &+= 1
        return entry
    }

    /// All entries used have their accessed flags set.
    var areAccessed: Bool { (0..<used).allSatisfy { entries[$0] & PTE.accessed != 0 } }

    /// Sets the accessed flags of the entries used, and the dirty flag of the last for a write; false when an entry is no
    /// longer what the walk saw.
    func setAccessedAndDirty() -> Bool {
        for index in 0..<used {
            var wanted = entries[index] | PTE.accessed
            if access == .write && index == used &- 1 { wanted |= PTE.dirty }
            if wanted == entries[index] { continue }
            guard cpu.exchangePhysical(addresses[index], size: entrySize, from: entries[index], to: wanted) else {
                return false
            }
        }
        return true
    }
}

extension CPU {
    /// A page-directory-pointer-table entry as loaded with CR3 under PAE paging.
    @inline(__always) func pdpte(_ index: Int) -> UInt64 {
        let p = state.pointee.pdpte
        return switch index {
        case 0: p.0
        case 1: p.1
        case 2: p.2
        default: p.3
        }
    }
}

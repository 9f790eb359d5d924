// Process-context identifiers (SDM volume 3, section 4.10.1): MOV CR3 that says so finds the TLB entries of another address
// space as they were left. The tables that are probed hold those of one; what another has left is set aside here.

import CPrimitives

/// What the TLB held of address spaces that are not current, without global entries.
struct AddressSpaces {
    /// An entry that was in the tables.
    struct Entry {
        var index: UInt16
        var attributes: UInt8
        var entry: tz_tlb_entry
        /// The guest-physical page, of a fetch entry.
        var physical: UInt64
    }

    private struct Space {
        var pcid: UInt64
        var entries: [Entry] = []
        /// `revocations` when it was left.
        var revocations: UInt64 = 0
        var lastUse: UInt64 = 0
    }

    /// Linux uses 6 at a time.
    private static let capacity = 8

    private var spaces: [Space] = []
    private var uses: UInt64 = 0
    /// How often write entries were revoked: whose page it was is not looked for here.
    private var revocations: UInt64 = 0

    /// Keeps what `fill` adds of an address space that is left, in place of the one left longest ago.
    mutating func leave(_ pcid: UInt64, _ fill: (inout [Entry]) -> Void) {
        uses += 1
        let place: Int
        if let known = spaces.firstIndex(where: { $0.pcid == pcid }) {
            place = known
        } else if spaces.count < Self.capacity {
            place = spaces.count
            spaces.append(Space(pcid: pcid))
        } else {
            place = spaces.indices.min { spaces[$0].lastUse < spaces[$1].lastUse } ?? 0
            spaces[place].pcid = pcid
        }
        spaces[place].lastUse = uses
        spaces[place].revocations = revocations
        spaces[place].entries.removeAll(keepingCapacity: true)
        fill(&spaces[place].entries)
    }

    /// Hands out what was kept of an address space; `mayWrite` is whether its write entries still hold.
    mutating func enter(_ pcid: UInt64, _ take: (_ entries: [Entry], _ mayWrite: Bool) -> Void) {
        guard let place = spaces.firstIndex(where: { $0.pcid == pcid }) else { return }
        take(spaces[place].entries, spaces[place].revocations == revocations)
        spaces[place].entries.removeAll(keepingCapacity: true)
    }

    mutating func forget(_ pcid: UInt64) {
        guard let place = spaces.firstIndex(where: { $0.pcid == pcid }) else { return }
        spaces[place].entries.removeAll(keepingCapacity: true)
    }

    mutating func forgetAll() {
        for place in spaces.indices { spaces[place].entries.removeAll(keepingCapacity: true) }
    }

    mutating func revokeWriteEntries() { revocations += 1 }
}

extension CPU {
    /// CR3 has changed: the translations of its PCID are current now, or none if they are not to be kept (SDM volume 3, section
    /// 4.10.4.1). Without PCIDs that is forgetting all that are not global.
    func switchAddressSpace(from old: UInt64, keeps: Bool) {
        guard state.pointee.cr4 & CR4.pcide != 0 else { return flushNonGlobalTLB() }
        let (left, entered) = (old & 0xfff, state.pointee.cr3 & 0xfff)
        guard left != entered else {
            if !keeps { flushNonGlobalTLB() }
            return endBlock()
        }
        let owner = self.owner
        if translation.pointee.forgettable <= TLB.listCapacity {
            owner.addressSpaces.leave(left) { setAside(&$0) }
        } else {
            owner.addressSpaces.forget(left)
        }
        if keeps {
            clearNonGlobalTLB()
            owner.addressSpaces.enter(entered, bringBack)
            owner.reviewNonGlobalJumps()
            endBlock()
        } else {
            owner.addressSpaces.forget(entered)
            flushNonGlobalTLB()
        }
    }

    /// Forgets the translations of a PCID that are not global (INVPCID, types 0 and 1).
    func flushContext(_ pcid: UInt64) {
        if state.pointee.cr4 & CR4.pcide == 0 || pcid == state.pointee.cr3 & 0xfff {
            flushNonGlobalTLB()
        } else {
            owner.addressSpaces.forget(pcid)
        }
    }

    private func setAside(_ entries: inout [AddressSpaces.Entry]) {
        let tables = state.pointee.tlb
        for position in 0..<translation.pointee.forgettable {
            let index = Int(forgettableList[position])
            guard entryAttributes[index] & TLB.global == 0, tables[index].tag != TLB.invalid(index).tag else {
                continue
            }
            let fetches = index &- TLB.fetch &* TLB.contexts &* TLB.entries
            entries.append(
                AddressSpaces.Entry(
                    index: UInt16(truncatingIfNeeded: index), attributes: entryAttributes[index],
                    entry: tables[index], physical: fetches >= 0 ? fetchPhysical[fetches] : 0))
            // It may be in the list twice.
            tables[index] = TLB.invalid(index)
        }
    }

    private func bringBack(_ entries: [AddressSpaces.Entry], mayWrite: Bool) {
        let tables = state.pointee.tlb
        let writes = TLB.write &* TLB.contexts &* TLB.entries..<(TLB.write &+ 1) &* TLB.contexts &* TLB.entries
        for saved in entries {
            let index = Int(saved.index)
            if !mayWrite, writes.contains(index) { continue }
            tables[index] = saved.entry
            entryAttributes[index] = saved.attributes
            let fetches = index &- TLB.fetch &* TLB.contexts &* TLB.entries
            if fetches >= 0 { fetchPhysical[fetches] = saved.physical }
            noteForgettable(index)
        }
    }
}

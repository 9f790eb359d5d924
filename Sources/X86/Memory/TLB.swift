// The software TLB's bookkeeping: the tables that `MemoryAccess.swift` probes, and behind them in the same allocation
// what fills and flushes need. Nothing here knows page tables or permissions; `PageWalk.swift` does.

import CPrimitives
import Memory

/// What translation needs beside the tables.
struct TranslationState {
    /// The VM's memory map, copied so that slow paths reach it without going through objects.
    var slots: UnsafeMutablePointer<MemorySlot>?
    var slotCount = 0
    /// Page of the local APIC's registers; all ones when they are not memory-mapped.
    var apicPage: UInt64 = .max
    /// What the CPU model offers.
    var features = FeatureSet()
    var vendor = CPUVendor.intel
    /// The bits that a physical address has in this model.
    var physicalMask: UInt64 = (1 << 40) - 1
    /// Non-global entries filled since they were last flushed; more than the list holds means: look at all.
    var forgettable = 0
    /// A filter over the 1-GiB regions from whose pages entries were filled since the last full flush.
    var gigantic: UInt64 = 0
    /// Data breakpoints are enabled: every access takes the slow path.
    var watching = false
    /// A debugger watches some pages: no TLB holds read or write entries for them.
    var debugWatching = false
}

/// The layout of the allocation that `tz_cpu.tlb` points to.
enum TLB {
    static let entries = Int(TZ_TLB_ENTRIES)
    static let total = Int(TZ_TLB_TOTAL)
    static let read = Int(TZ_TLB_READ)
    static let write = Int(TZ_TLB_WRITE)
    static let fetch = Int(TZ_TLB_FETCH)
    static let supervisor = Int(TZ_TLB_SUPERVISOR)
    static let user = Int(TZ_TLB_USER)
    static let supervisorAC = Int(TZ_TLB_SUPERVISOR_AC)
    static let contexts = Int(TZ_TLB_CONTEXTS)

    static let listCapacity = 2048
    /// Bits of a filter over the 2-MiB regions that large pages were filled from.
    static let filterBits = 4096

    // Offsets: tables, one table that is never filled, physical pages of fetch entries, attributes, list, filter, state.
    static let neverOffset = total * MemoryLayout<tz_tlb_entry>.stride
    static let physicalOffset = Int(TZ_TLB_PHYSICAL_OFFSET)
    static let attributesOffset = physicalOffset + contexts * entries * 8
    static let listOffset = attributesOffset + total
    static let filterOffset = listOffset + listCapacity * 2
    static let stateOffset = filterOffset + filterBits / 8
    static let size = stateOffset + MemoryLayout<TranslationState>.size

    /// Attributes of an entry.
    static let global: UInt8 = 1
    static let large: UInt8 = 2
    static let gigantic: UInt8 = 4

    /// Makes the tables of a new vCPU, all invalid, in `size` bytes on a 64-byte boundary.
    static func initialise(_ memory: UnsafeMutableRawPointer) -> UnsafeMutablePointer<tz_tlb_entry> {
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        (memory + stateOffset).initializeMemory(as: TranslationState.self, to: TranslationState())
        let tables = memory.bindMemory(to: tz_tlb_entry.self, capacity: total + entries)
        for index in 0..<total + entries { tables[index] = invalid(index) }
        return tables
    }

    /// An entry that no address hits: its tag belongs to the neighbouring slot of the table.
    @inline(__always) static func invalid(_ index: Int) -> tz_tlb_entry {
        tz_tlb_entry(tag: TLB_INVALID | UInt64((index &+ 1) & (entries &- 1)) << 12, addend: 0)
    }

    private static let TLB_INVALID: UInt64 = 0x0000_8000_0000_0000
}

extension CPU {
    @inline(__always) private var tlbMemory: UnsafeMutableRawPointer { UnsafeMutableRawPointer(state.pointee.tlb) }

    /// Bookkeeping of this vCPU's translation.
    // SAFETY: the pieces lie in the allocation laid out by `TLB.initialise`, at its offsets.
    @inline(__always) var translation: UnsafeMutablePointer<TranslationState> {
        (tlbMemory + TLB.stateOffset).assumingMemoryBound(to: TranslationState.self)
    }
    @inline(__always) var entryAttributes: UnsafeMutablePointer<UInt8> {
        (tlbMemory + TLB.attributesOffset).assumingMemoryBound(to: UInt8.self)
    }
    @inline(__always) var forgettableList: UnsafeMutablePointer<UInt16> {
        (tlbMemory + TLB.listOffset).assumingMemoryBound(to: UInt16.self)
    }
    @inline(__always) private var largeFilter: UnsafeMutablePointer<UInt64> {
        (tlbMemory + TLB.filterOffset).assumingMemoryBound(to: UInt64.self)
    }
    /// Physical pages of the fetch entries: `contexts` tables like those of the entries.
    @inline(__always) var fetchPhysical: UnsafeMutablePointer<UInt64> {
        (tlbMemory + TLB.physicalOffset).assumingMemoryBound(to: UInt64.self)
    }

    @inline(__always) static func tlbSlot(_ linear: UInt64) -> Int {
        Int(truncatingIfNeeded: linear >> 12) & (TLB.entries &- 1)
    }

    @inline(__always) private static func tlbIndex(_ kind: Int, _ context: Int, _ linear: UInt64) -> Int {
        (kind &* TLB.contexts &+ context) &* TLB.entries &+ tlbSlot(linear)
    }

    /// The host address of [linear, linear + size) if the table of `kind` and `context` holds it.
    @inline(__always) func tlbPointer(
        _ kind: Int, context: Int, _ linear: UInt64, size: Int
    ) -> UnsafeMutableRawPointer? {
        let entry = state.pointee.tlb[Self.tlbIndex(kind, context, linear)]
        let offset = linear ^ entry.tag
        guard offset <= UInt64(4096 &- size) else { return nil }
        return UnsafeMutableRawPointer(bitPattern: UInt(offset &+ entry.addend))
    }

    // MARK: Context

    /// Makes the tables of the current privilege current. With alignment checks or data breakpoints on, loads and stores
    /// get a table that is never filled, so that all of them take the slow path, where both are looked after.
    func updateTranslationContext() {
        let context: Int
        if cpl == 3 {
            context = TLB.user
        } else if state.pointee.cr4 & CR4.smap != 0 && state.pointee.system_flags & RFLAGS.ac != 0 {
            context = TLB.supervisorAC
        } else {
            context = TLB.supervisor
        }
        let tables = state.pointee.tlb
        state.pointee.tlb_context = UInt8(truncatingIfNeeded: context)
        state.pointee.tlb_fetch = tables + (TLB.fetch &* TLB.contexts &+ fetchContext(context)) &* TLB.entries
        if state.pointee.alignment_checks != 0 || translation.pointee.watching {
            state.pointee.tlb_read = tables + TLB.total
            state.pointee.tlb_write = tables + TLB.total
        } else {
            state.pointee.tlb_read = tables + (TLB.read &* TLB.contexts &+ context) &* TLB.entries
            state.pointee.tlb_write = tables + (TLB.write &* TLB.contexts &+ context) &* TLB.entries
        }
    }

    /// SMAP doesn't apply to fetches: those of the supervisor share one table.
    @inline(__always) func fetchContext(_ context: Int) -> Int { context == TLB.user ? TLB.user : TLB.supervisor }

    // MARK: Filling

    /// Enters a page of plain memory into one table.
    func fillTLB(_ kind: Int, context: Int, linear: UInt64, host: UnsafeMutableRawPointer, _ page: PageTranslation) {
        let index = Self.tlbIndex(kind, context, linear)
        let tag = linear & ~0xfff
        if translation.pointee.debugWatching, owner.debug.watches(page: tag, kind) { return }
        let entry = tz_tlb_entry(tag: tag, addend: UInt64(UInt(bitPattern: host)))
        let old = state.pointee.tlb[index]
        // Nobody need have said that the page leads elsewhere, but what is stored there now is loaded from there.
        if old.tag == tag, old.addend != entry.addend { clearMicroTLB(page: linear) }
        state.pointee.tlb[index] = entry
        if kind == TLB.fetch { fetchPhysical[context &* TLB.entries &+ Self.tlbSlot(linear)] = page.physical & ~0xfff }
        var attributes: UInt8 = page.isGlobal ? TLB.global : 0
        if page.shift > 12 {
            attributes |= page.shift > 22 ? TLB.large | TLB.gigantic : TLB.large
            noteLargePage(linear, shift: page.shift)
        }
        entryAttributes[index] = attributes
        if !page.isGlobal { noteForgettable(index) }
    }

    /// Notes that something is known of a part of a large page.
    func noteLargePage(_ linear: UInt64, shift: UInt64) {
        let bit = Self.filterBit(linear)
        largeFilter[bit >> 6] |= 1 << UInt64(bit & 63)
        if shift > 22 { translation.pointee.gigantic |= 1 << Self.giganticBit(linear) }
    }

    /// Notes that an entry that is not global was filled.
    @inline(__always) func noteForgettable(_ index: Int) {
        let count = translation.pointee.forgettable
        if count < TLB.listCapacity { forgettableList[count] = UInt16(truncatingIfNeeded: index) }
        translation.pointee.forgettable = count &+ 1
    }

    /// Both halves of a 4-MiB page give the same bit.
    @inline(__always) private static func filterBit(_ linear: UInt64) -> Int {
        Int(truncatingIfNeeded: linear >> 22 ^ linear >> 34) & (TLB.filterBits &- 1)
    }

    @inline(__always) private static func giganticBit(_ linear: UInt64) -> UInt64 {
        (linear >> 30 ^ linear >> 36 ^ linear >> 42) & 63
    }

    /// Whether a page that was just fetched from is one that MOV CR3 leaves alone.
    func isFetchGlobal(_ linear: UInt64) -> Bool {
        let context = fetchContext(Int(state.pointee.tlb_context))
        return entryAttributes[Self.tlbIndex(TLB.fetch, context, linear)] & TLB.global != 0
    }

    // MARK: Flushing

    /// Forgets every translation.
    func flushTLB() {
        translation.pointee.apicPage = owner.localAPIC.mmioBase ?? .max
        state.pointee.counters.tlb_flushes &+= 1
        let tables = state.pointee.tlb
        for index in 0..<TLB.total { tables[index] = TLB.invalid(index) }
        clearMicroTLB()
        largeFilter.update(repeating: 0, count: TLB.filterBits / 64)
        translation.pointee.forgettable = 0
        translation.pointee.gigantic = 0
        owner.addressSpaces.forgetAll()
        owner.reviewJumps()
        endBlock()
    }

    /// Forgets every translation of the current address space that is not global.
    func flushNonGlobalTLB() {
        clearNonGlobalTLB()
        owner.reviewNonGlobalJumps()
        endBlock()
    }

    /// Takes them out of the tables.
    func clearNonGlobalTLB() {
        let count = translation.pointee.forgettable
        state.pointee.counters.tlb_flushes &+= 1
        clearMicroTLB()
        let tables = state.pointee.tlb
        if count <= TLB.listCapacity {
            for position in 0..<count {
                let index = Int(forgettableList[position])
                if entryAttributes[index] & TLB.global == 0 { tables[index] = TLB.invalid(index) }
            }
        } else {
            for index in 0..<TLB.total where entryAttributes[index] & TLB.global == 0 {
                tables[index] = TLB.invalid(index)
            }
        }
        translation.pointee.forgettable = 0
    }

    /// Forgets the translations of the 4 KiB that hold `linear`, in every context.
    private func dropTLBPage(_ linear: UInt64) {
        clearMicroTLB(page: linear)
        let tables = state.pointee.tlb
        for table in 0..<TLB.total / TLB.entries {
            let index = table &* TLB.entries &+ Self.tlbSlot(linear)
            if tables[index].tag == linear & ~0xfff { tables[index] = TLB.invalid(index) }
        }
    }

    /// A page fault forgets the translations of its page number (SDM volume 3, section 4.10.4.1). What else there is of a large page
    /// has others.
    func forgetFaultingPage(_ linear: UInt64) {
        dropTLBPage(linear)
        if owner.forgetJumps(faulting: linear) { endBlock() }
    }

    /// Forgets the translations of the page that holds `linear`, of whatever size it is, in every context (INVLPG).
    func flushTLBPage(_ linear: UInt64) {
        dropTLBPage(linear)
        let tables = state.pointee.tlb
        let bit = Self.filterBit(linear)
        if translation.pointee.gigantic >> Self.giganticBit(linear) & 1 != 0
            || largeFilter[bit >> 6] & 1 << UInt64(bit & 63) != 0
        {
            clearMicroTLB()
            for index in 0..<TLB.total where entryAttributes[index] & TLB.large != 0 {
                let shift: UInt64 = entryAttributes[index] & TLB.gigantic != 0 ? 30 : 22
                if (tables[index].tag ^ linear) >> shift == 0 { tables[index] = TLB.invalid(index) }
            }
            owner.reviewJumps()
        } else {
            owner.reviewJumps(page: linear)
        }
        endBlock()
    }

    /// Takes back write access to a page of memory: decoded code was made from it, and the next write must be seen.
    func revokeWriteEntries(host page: UnsafeMutableRawPointer) {
        owner.addressSpaces.revokeWriteEntries()
        clearMicroTLB()
        let tables = state.pointee.tlb
        let first = TLB.write &* TLB.contexts &* TLB.entries
        let address = UInt64(UInt(bitPattern: page))
        for index in first..<first + TLB.contexts * TLB.entries
        where tables[index].addend == address {
            tables[index] = TLB.invalid(index)
        }
    }

    /// Takes over the VM's memory map, CPU model and local APIC page, and forgets every translation. To be called before
    /// the vCPU first runs and after each change of the memory map.
    func memoryMapChanged() {
        let owner = self.owner
        translation.pointee.slots = owner.vm.slots.base
        translation.pointee.slotCount = owner.vm.slots.count
        translation.pointee.features = owner.vm.model.features
        translation.pointee.vendor = owner.vm.model.vendor
        translation.pointee.physicalMask = owner.vm.model.physicalMask
        flushTLB()
    }
}

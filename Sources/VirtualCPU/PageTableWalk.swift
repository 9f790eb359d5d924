// From a linear address to a guest-physical one by a vCPU's own page tables, for those who look at a guest from outside:
// engine-neutral, made of the exported state and guest RAM alone, and without any trace in the guest (no accessed flags,
// no faults, no device sees an access). Rights are reported, not enforced; reserved bits are not looked at.

import Memory

/// One translation, with every table entry on the way.
public struct PageTableWalk: Equatable, Sendable {
    /// A table entry that was read.
    public struct Step: Equatable, Sendable {
        /// The manual's name for it: PML4E, PDPTE, PDE, PTE.
        public var name: String
        /// Guest-physical address of the entry; nil for a PDPTE that PAE paging keeps in the CPU.
        public var address: UInt64?
        /// Its contents.
        public var entry: UInt64
    }

    /// Where the walk ended.
    public enum Outcome: Equatable, Sendable {
        /// At a page.
        case page(Page)
        /// At an entry whose P flag is 0: the last of `steps`.
        case notPresent
        /// At a table in no memory, at this guest-physical address.
        case noMemory(UInt64)
        /// Nowhere: 4-level paging translates canonical addresses only.
        case nonCanonical
    }

    /// What the address leads to.
    public struct Page: Equatable, Sendable {
        /// Guest-physical address of the byte.
        public var physical: UInt64
        /// Size of the page in bytes; 4096 with paging off.
        public var size: UInt64
        /// Whether all entries permit writes, accesses by CPL 3, and instruction fetches.
        public var isWritable = true
        /// See `isWritable`.
        public var isUser = true
        /// See `isWritable`.
        public var isExecutable = true
    }

    /// The address that was translated; 32 bits outside 64-bit mode.
    public private(set) var linear: UInt64
    /// The entries, from the top.
    public private(set) var steps: [Step] = []
    /// Where that led.
    public private(set) var outcome = Outcome.notPresent

    private static let present: UInt64 = 1
    private static let pageSize: UInt64 = 1 << 7
    private static let address: UInt64 = 0x000f_ffff_ffff_f000

    /// Translates an address with the tables that are current in `state`.
    public init(_ linear: UInt64, in state: CPUState, memory: GuestMemory) {
        self.linear = state.is64Bit ? linear : linear & 0xffff_ffff
        if state.cr0 >> 31 & 1 == 0 {
            outcome = .page(Page(physical: self.linear, size: 4096))
        } else if state.isLongMode {
            guard UInt64(bitPattern: Int64(bitPattern: linear << 16) >> 16) == linear || !state.is64Bit else {
                outcome = .nonCanonical
                return
            }
            outcome = walk(state.cr3 & Self.address, level: 4, width: 8, Page(physical: 0, size: 0), memory)
        } else if state.cr4 >> 5 & 1 != 0 {
            let entry = state.pdptes[Int(self.linear >> 30 & 3)]
            steps.append(Step(name: "PDPTE", address: nil, entry: entry))
            guard entry & Self.present != 0 else { return }
            outcome = walk(entry & Self.address, level: 2, width: 8, Page(physical: 0, size: 0), memory)
        } else {
            let largePages = state.cr4 >> 4 & 1 != 0
            outcome = walk(
                state.cr3 & 0xffff_f000, level: 2, width: 4, Page(physical: 0, size: 0), memory, largePages: largePages)
        }
    }

    /// Walks from a table of the given level (1 is the last), with entries of `width` bytes.
    private mutating func walk(
        _ top: UInt64, level topLevel: UInt64, width: UInt64, _ rights: Page, _ memory: GuestMemory,
        largePages: Bool = true
    ) -> Outcome {
        var (table, level, page) = (top, topLevel, rights)
        let bits: UInt64 = width == 8 ? 9 : 10
        while true {
            let shift = 12 + bits * (level - 1)
            let address = table + (linear >> shift & (1 << bits - 1)) * width
            let place = GuestPhysicalAddress(address)
            let entry: UInt64
            do throws(GuestMemoryError) {
                entry =
                    width == 8
                    ? try memory.readInteger(UInt64.self, at: place)
                    : UInt64(try memory.readInteger(UInt32.self, at: place))
            } catch {
                return .noMemory(address)
            }
            steps.append(Step(name: ["PTE", "PDE", "PDPTE", "PML4E"][Int(level) - 1], address: address, entry: entry))
            guard entry & Self.present != 0 else { return .notPresent }
            page.isWritable = page.isWritable && entry >> 1 & 1 != 0
            page.isUser = page.isUser && entry >> 2 & 1 != 0
            page.isExecutable = page.isExecutable && (width == 4 || entry >> 63 == 0)
            guard level == 1 || level < 4 && largePages && entry & Self.pageSize != 0 else {
                table = entry & (width == 8 ? Self.address : 0xffff_f000)
                level -= 1
                continue
            }
            page.size = 1 << shift
            var base = entry & (width == 8 ? Self.address : 0xffff_f000) & ~(page.size - 1)
            // PSE-36: bits 20:13 of a 4-MiB page's entry are bits 39:32 of its address.
            if width == 4, level == 2 { base |= (entry >> 13 & 0xff) << 32 }
            page.physical = base | linear & (page.size - 1)
            return .page(page)
        }
    }
}

extension CPUState {
    /// IA-32e mode is active (EFER.LMA).
    public var isLongMode: Bool { (msrs[0xc000_0080] ?? 0) >> 10 & 1 != 0 }
    /// 64-bit mode, as opposed to compatibility mode and all others.
    public var is64Bit: Bool { isLongMode && segments[1].attributes >> 13 & 1 != 0 }
    /// Real-address or virtual-8086 mode: a segment's base is its selector times 16.
    public var isRealOrVirtual8086: Bool { cr0 & 1 == 0 || rflags >> 17 & 1 != 0 }
    /// The current privilege level.
    public var cpl: UInt32 { cr0 & 1 == 0 ? 0 : rflags >> 17 & 1 != 0 ? 3 : segments[2].attributes >> 5 & 3 }
    /// The linear address of the next instruction.
    public var linearRIP: UInt64 { is64Bit ? rip : (segments[1].base &+ rip) & 0xffff_ffff }
}

// The modes of the CPU in which random streams run: registers to start from, descriptor tables, exception handlers that halt,
// and what of memory is compared.

import Memory
import VirtualCPU

enum StreamMode: CaseIterable, Sendable {
    /// 64-bit mode.
    case long64
    /// 32-bit code under a 64-bit system.
    case compatibility
    /// 32-bit protected mode with flat segments, but for FS and GS.
    case flat32
    /// The same with segments that begin, end and grow differently, and one that can't be written.
    case segmented32
    /// Real-address mode.
    case real16

    /// Default code size in bytes.
    var width: Int { self == .long64 ? 8 : self == .real16 ? 2 : 4 }
    private var isLong: Bool { self == .long64 || self == .compatibility }

    /// Linear addresses of the code, and of what the pointers point to.
    var code: UInt64 { self == .real16 ? 0x1_0000 : 0x20_0000 }
    /// The offset in its segment at which data and stack begin.
    var data: UInt64 { self == .real16 ? 0x1000 : 0x30_0000 - base(3) }
    var stack: UInt64 { self == .real16 ? 0x8000 : 0x40_8000 - base(2) }
    /// RIP at the code's first byte.
    var origin: UInt64 { self == .real16 ? 0 : code }

    /// What is compared, and set anew before each stream: address and bytes.
    var areas: [(UInt64, Int)] {
        switch self {
        case .long64: [(0x30_0000, 0xa000), (0x40_4000, 0x8000)]
        // Addresses of 16 bits reach the first 64 KiB.
        case .compatibility, .flat32, .segmented32: [(0, 0x1_0000), (0x30_0000, 0xa000), (0x40_4000, 0x8000)]
        case .real16: [(0x2_0000, 0x5_0000)]
        }
    }

    // MARK: Tables

    private static let tables: UInt64 = 0x50_0000, gdt: UInt64 = 0x50_5000, idt: UInt64 = 0x50_6000
    private static let handlers: UInt64 = 0x50_7000, realHandlers: UInt64 = 0x7000

    private static let windowTable: UInt64 = 0x50_8000
    /// In 64-bit mode, the data's first pages once more.
    static let window: UInt64 = 0x4000_0000
    static let windowSize: UInt64 = 0x8000

    private func base(_ segment: Int) -> UInt64 { segments[segment].base }

    /// ES, CS, SS, DS, FS and GS.
    private var segments: [SegmentState] {
        let flat = SegmentState(selector: 0x10, base: 0, limit: .max, attributes: 0xc093)
        func data(_ selector: UInt16, base: UInt64, limit: UInt32, attributes: UInt32 = 0x4093) -> SegmentState {
            SegmentState(selector: selector, base: base, limit: limit, attributes: attributes)
        }
        let code = SegmentState(selector: 8, base: 0, limit: .max, attributes: self == .long64 ? 0xa09b : 0xc09b)
        switch self {
        case .long64: return [flat, code, flat, flat, flat, flat]
        case .compatibility, .flat32:
            return [
                flat, code, flat, flat, data(0x18, base: 0x30_0000, limit: 0x8fff),
                data(0x20, base: 0x30_1000, limit: .max, attributes: 0xc093),
            ]
        case .segmented32:
            return [
                data(0x18, base: 0, limit: 0x30_4fff), code, data(0x20, base: 0x2_0000, limit: 0x3e_afff),
                data(0x28, base: 0x1_0000, limit: 0x2f_8fff),
                // Expand-down: what lies above the limit.
                data(0x30, base: 0, limit: 0x30_1fff, attributes: 0xc097),
                // Read-only.
                data(0x38, base: 0, limit: .max, attributes: 0xc091),
            ]
        case .real16:
            return [0x3000, 0x1000, 0x4000, 0x2000, 0x5000, 0x6000].map { selector in
                data(selector, base: UInt64(selector) << 4, limit: 0xffff, attributes: selector == 0x1000 ? 0x9b : 0x93)
            }
        }
    }

    /// The registers but for general ones, RIP and flags.
    var state: CPUState {
        var state = CPUState()
        for (number, segment) in segments.enumerated() { state.segments[number] = segment }
        state.cr4 = 0x600
        state.cr0 = 0x32
        guard self != .real16 else {
            state.idtr = TableState(base: 0, limit: 0x3ff)
            return state
        }
        state.gdtr = TableState(base: Self.gdt, limit: 0x47)
        state.idtr = TableState(base: Self.idt, limit: 0x1ff)
        state.cr0 = 0x33
        guard isLong else { return state }
        state.cr0 = 0x8001_0033
        state.cr3 = Self.tables
        state.cr4 = 0x4_0620
        state.xcr0 = 7
        state.msrs[0xc000_0080] = 0x500
        return state
    }

    func writeTables(to memory: GuestMemory) throws {
        func put(_ address: UInt64, _ value: UInt64) throws {
            try memory.writeInteger(value, at: GuestPhysicalAddress(address))
        }
        let handlers = self == .real16 ? Self.realHandlers : Self.handlers
        for vector in 0..<32 as Range<UInt64> {
            let handler = handlers + vector * 16
            try put(handler, 0xf4)
            switch self {
            case .real16: try memory.writeInteger(UInt32(handler), at: GuestPhysicalAddress(vector * 4))
            case .long64, .compatibility: try put(Self.idt + vector * 16, gate(handler, selector: 0x40))
            default: try put(Self.idt + vector * 8, gate(handler, selector: 8))
            }
        }
        guard self != .real16 else { return }
        // The first GiB is mapped to itself.
        try put(Self.tables, Self.tables + 0x1003)
        try put(Self.tables + 0x1000, Self.tables + 0x2003)
        for page in 0..<UInt64(512) { try put(Self.tables + 0x2000 + page * 8, page << 21 | 0x83) }
        // In small pages, behind which nothing is mapped.
        try put(Self.tables + 0x1008, Self.tables + 0x3003)
        try put(Self.tables + 0x3000, Self.windowTable + 3)
        for page in 0..<Self.windowSize >> 12 {
            // The upper half in pairs that have changed places: neighbours there are none in memory.
            let frame = page < 4 ? page : page ^ 1
            try put(Self.windowTable + page * 8, 0x30_0003 + frame << 12)
        }
        for segment in segments { try put(Self.gdt + UInt64(segment.selector), Self.descriptor(segment)) }
        // Code of 64 bits, for handlers.
        try put(Self.gdt + 0x40, 0x00af_9b00_0000_ffff)
    }

    private func gate(_ handler: UInt64, selector: UInt64) -> UInt64 {
        handler & 0xffff | selector << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48
    }

    /// SDM volume 3, figure 3-8.
    private static func descriptor(_ segment: SegmentState) -> UInt64 {
        let isGranular = segment.attributes & 0x8000 != 0
        let limit = UInt64(isGranular ? segment.limit >> 12 : segment.limit)
        let attributes = UInt64(segment.attributes)
        return limit & 0xffff | (segment.base & 0xff_ffff) << 16 | (attributes & 0xff) << 40 | (limit >> 16) << 48
            | (attributes >> 12) << 52 | (segment.base >> 24) << 56
    }
}

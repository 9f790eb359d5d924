// A vCPU in 64-bit mode with vector state enabled and an IDT whose handlers halt, so that a test sees which exception an
// instruction raised; and random operands that are interesting to floating-point and integer vectors alike.

import Memory
import TestSupport
import VirtualCPU
import X86

/// How an instruction ended.
enum NativeOutcome: Equatable {
    case completed
    /// The vector of the exception that was delivered.
    case raised(UInt8)
    case other(Exit)
}

struct NativeTestMachine {
    static let gdt: UInt64 = 0x3000
    static let idt: UInt64 = 0x4000
    static let handlers: UInt64 = 0x2000
    /// Where memory operands lie: three pages of 4 KiB, the third not present.
    static let data: UInt64 = 0x20_0000
    private static let pageTable: UInt64 = 0x11_0000

    let machine: TestMachine

    init(model: String = "host") throws {
        machine = try TestMachine(.long64, code: [0xf4], model: model)
        let memory = machine.memory
        try memory.writeInteger(0x00af_9b00_0000_ffff as UInt64, at: GuestPhysicalAddress(Self.gdt + 8))
        try memory.writeInteger(0x00cf_9300_0000_ffff as UInt64, at: GuestPhysicalAddress(Self.gdt + 16))
        for vector in 0..<32 as Range<UInt64> {
            let handler = Self.handlers + vector * 16
            try memory.writeInteger(0x8e00_0008_0000 | handler, at: GuestPhysicalAddress(Self.idt + vector * 16))
            try memory.write([0xf4], at: GuestPhysicalAddress(handler))
        }
        // The data's 2-MiB region in 4-KiB pages.
        try memory.writeInteger(Self.pageTable | 7, at: GuestPhysicalAddress(0x10_2000 + 8))
        for page in 0..<512 as Range<UInt64> {
            let entry = page == 2 ? 0 : Self.data + page << 12 | 7
            try memory.writeInteger(entry, at: GuestPhysicalAddress(Self.pageTable + page * 8))
        }
    }

    /// 64-bit mode, CR4.OSFXSR, OSXMMEXCPT and OSXSAVE, XCR0 = 7.
    static func state() -> CPUState {
        var state = TestMachine.state(.long64)
        state.cr0 |= 0x22  // NE, MP
        state.cr4 |= 1 << 18
        state.xcr0 = 7
        state.gdtr = TableState(base: gdt, limit: 0xff)
        state.idtr = TableState(base: idt, limit: 0x1ff)
        return state
    }

    /// Executes `count` instructions of `code`.
    func run(_ code: [UInt8], count: UInt64 = 1, _ state: CPUState) throws -> (NativeOutcome, CPUState) {
        try machine.memory.write(code + [0xf4], at: GuestPhysicalAddress(TestMachine.codeAddress))
        try machine.vcpu.importState(state)
        let exit = machine.vcpu.run(budget: count)
        var after = try machine.vcpu.exportState()
        let offset = after.rip &- Self.handlers
        if exit == .halted, offset < 512, offset % 16 == 1 { return (.raised(UInt8(offset / 16)), after) }
        // A fault spends no budget, so with some left the handler's HLT runs; a fault of the last instruction does not.
        if exit == .budgetSpent, offset < 512 {
            after.rip += 1
            return (.raised(UInt8(offset / 16)), after)
        }
        return (exit == .budgetSpent ? .completed : .other(exit), after)
    }

    func readData(_ address: UInt64, _ count: Int) throws -> [UInt8] {
        try machine.memory.read(at: GuestPhysicalAddress(address), count: count)
    }

    func writeData(_ bytes: [UInt8], _ address: UInt64) throws {
        try machine.memory.write(bytes, at: GuestPhysicalAddress(address))
    }
}

/// A reproducible source of operands.
struct OperandGenerator: RandomNumberGenerator {
    private var random: SplitMix64

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func next() -> UInt64 { random.next() }

    mutating func chance(_ n: UInt64) -> Bool { next() % n == 0 }

    private static let singles: [UInt32] = [
        0, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7fa0_0000, 1, 0x0080_0000,
        0x7f7f_ffff, 0x4f00_0000, 0x5f00_0000, 0x4040_0000, 0x3fc0_0000, 0x807f_ffff,
    ]
    private static let doubles: [UInt64] = [
        0, 1 << 63, 0x3ff0 << 48, 0xbff0 << 48, 0x7ff0 << 48, 0xfff0 << 48, 0x7ff8 << 48, 0x7ff4 << 48, 1, 0x0010 << 48,
        0x7fef_ffff_ffff_ffff, 0x41e0 << 48, 0x43e0 << 48, 0x4008 << 48, 0x36a0 << 48, 0x47f0 << 48,
    ]

    /// Eight bytes: numbers of either precision, special or ordinary, small integers, or anything.
    mutating func quadword() -> UInt64 {
        switch next() % 8 {
        case 0: Self.doubles[Int(next() % 16)]
        case 1: UInt64(Self.singles[Int(next() % 16)]) << 32 | UInt64(Self.singles[Int(next() % 16)])
        case 2: (Double(Int64(bitPattern: next()) >> 40) / 1024).bitPattern
        case 3:
            UInt64((Float(Int32(truncatingIfNeeded: next()) >> 12) / 64).bitPattern) << 32
                | UInt64((Float(Int32(truncatingIfNeeded: next()) >> 12) / 64).bitPattern)
        case 4: next() % 256
        case 5: UInt64(truncatingIfNeeded: -Int64(next() % 256))
        default: next()
        }
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        while result.count < count {
            let word = quadword()
            for shift in 0..<8 as Range<UInt64> { result.append(UInt8(truncatingIfNeeded: word >> (8 * shift))) }
        }
        return Array(result.prefix(count))
    }

    /// An 80-bit number: mostly normal, sometimes special or unsupported.
    mutating func extended() -> [UInt8] {
        let exponent: UInt16
        var significand = next() | 1 << 63
        switch next() % 8 {
        case 0: (exponent, significand) = (0, 0)
        case 1: (exponent, significand) = (0x7fff, next() % 2 == 0 ? 1 << 63 : next() | 3 << 62)
        case 2: (exponent, significand) = (0, next() >> 1)
        case 3: (exponent, significand) = (UInt16(truncatingIfNeeded: next() % 0x8000), next())
        default: exponent = UInt16(truncatingIfNeeded: 0x3fff &- 40 &+ next() % 80)
        }
        let sign: UInt16 = next() % 2 == 0 ? 0x8000 : 0
        return withUnsafeBytes(of: significand) { Array($0) } + withUnsafeBytes(of: exponent | sign) { Array($0) }
    }

    /// A complete XSAVE area. `masked`: every exception is masked, x87 and SIMD.
    mutating func xsave(masked: Bool) -> [UInt8] {
        var image = bytes(832)
        func put(_ value: UInt64, _ size: Int, at offset: Int) {
            for n in 0..<size { image[offset + n] = UInt8(truncatingIfNeeded: value >> UInt64(8 * n)) }
        }
        // x87: no exception pending at the start.
        let fcw = UInt64(masked ? 0x37f : 0x340 | next() & 0xc3f)
        let flags = next() & fcw & 0x3f
        put(fcw, 2, at: 0)
        put(next() & 0x3800 | next() & 0x4700 | flags, 2, at: 2)
        put(next() & 0xff | (chance(2) ? 0xff : 0), 1, at: 4)
        put(0, 19, at: 5)
        for n in 0..<8 {
            image.replaceSubrange(32 + 16 * n..<42 + 16 * n, with: extended())
            put(0, 6, at: 42 + 16 * n)
        }
        let control = chance(2) ? 0 : next() & 0xe040
        let masks = masked ? 0x1f80 : next() & 0x1f80
        put(control | masks | (chance(4) ? next() & 0x3f : 0), 4, at: 24)
        put(0xffff, 4, at: 28)
        for offset in 416..<576 { image[offset] = 0 }
        put(7, 8, at: 512)
        return image
    }
}

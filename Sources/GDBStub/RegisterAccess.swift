// Reading and writing registers of a vCPU's state in the form in which GDB has them. GDB sees one flat space of linear
// addresses; so outside 64-bit mode its program counter is CS.base + (E)IP, and what lies where it points is what runs.

import VirtualCPU

/// A register that cannot be written as asked; the reason for the user.
struct RegisterRefusal: Error, Equatable {
    let reason: String
    init(_ reason: String) { self.reason = reason }
}

extension CPUState {
    /// The local APIC's task-priority register, whose bits 7:4 are CR8, in its page.
    private static let taskPriority = 8
    private static let efer: UInt32 = 0xc000_0080

    /// A register's bytes, the least significant first.
    func bytes(of register: Register) -> [UInt8] {
        if let wide = wideRegister(register.kind) { return wide }
        let value = value(of: register.kind)
        return (0..<register.byteCount).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    private func value(of kind: Register.Kind) -> UInt64 {
        switch kind {
        case .general(let n): is64Bit ? gpr[n] : gpr[n] & 0xffff_ffff
        case .rip: linearRIP
        case .eflags: rflags
        case .selector(let n): UInt64(segments[n].selector)
        case .x87(let field): self[field]
        case .mxcsr: mxcsr
        case .base(let n): segments[n].base
        case .msr(let number): msrs[number] ?? 0
        case .control(0): cr0
        case .control(2): cr2
        case .control(3): cr3
        case .control(4): cr4
        case .control: UInt64(localAPIC.registers[Self.taskPriority] >> 4 & 15)
        case .st, .xmm, .ymmHigh: 0  // wide registers have been dealt with
        }
    }

    /// Writes a register. What it holds already changes nothing, so that whole register sets can be written back.
    mutating func set(_ register: Register, to bytes: [UInt8]) throws(RegisterRefusal) {
        guard bytes.count == register.byteCount else { throw RegisterRefusal("\(register.name) has another size") }
        guard bytes != self.bytes(of: register) else { return }
        if setWideRegister(register.kind, to: bytes) { return }
        try set(register, to: bytes.reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) })
    }

    private mutating func set(_ register: Register, to value: UInt64) throws(RegisterRefusal) {
        let name = register.name
        switch register.kind {
        // The upper halves are out of reach outside 64-bit mode.
        case .general(let n): gpr[n] = is64Bit ? value : gpr[n] & ~0xffff_ffff | value & 0xffff_ffff
        case .rip:
            guard !is64Bit || Self.isCanonical(value) else { throw RegisterRefusal("the address is not canonical") }
            rip = is64Bit ? value : (value &- segments[1].base) & 0xffff_ffff
        case .eflags:
            // Bit 1 is 1; VM belongs to the mode, which only the guest changes.
            rflags = value & 0x3d_7fd5 | rflags & 1 << 17 | 2
        case .selector(let n):
            guard isRealOrVirtual8086 else {
                throw RegisterRefusal("in protected mode only the guest loads \(name), from a descriptor")
            }
            segments[n].selector = UInt16(truncatingIfNeeded: value)
            segments[n].base = (value & 0xffff) << 4
        case .x87(let field): self[field] = value
        case .mxcsr: mxcsr = value
        case .base(let n):
            guard n >= 4 else { throw RegisterRefusal("\(name) follows from its segment register") }
            guard Self.isCanonical(value) else { throw RegisterRefusal("the address is not canonical") }
            segments[n].base = value
        case .msr(let number):
            if number == Self.efer {
                try check(value, against: msrs[number] ?? 0, changeable: 0x801, name)
            } else if !Self.isCanonical(value) {
                throw RegisterRefusal("the address is not canonical")
            }
            msrs[number] = value
        case .control(0):
            try check(value, against: cr0, changeable: 0x6005_002e, name)
            cr0 = value
        case .control(2): cr2 = value
        case .control(3):
            guard value >> 52 == 0 else { throw RegisterRefusal("bits 63:52 of cr3 are reserved") }
            cr3 = value
        case .control(4):
            try check(value, against: cr4, changeable: 0x30_07cf, name)
            cr4 = value
        case .control:
            guard value < 16 else { throw RegisterRefusal("cr8 is 0 to 15") }
            localAPIC.registers[Self.taskPriority] = UInt32(value) << 4
        case .st, .xmm, .ymmHigh: break
        }
    }

    /// Bits that change the CPU's mode, or that need more than a bit to be turned on, are the guest's alone.
    private func check(
        _ value: UInt64, against old: UInt64, changeable: UInt64, _ name: String
    ) throws(RegisterRefusal) {
        let forbidden = (value ^ old) & ~changeable
        guard forbidden == 0 else {
            throw RegisterRefusal("bits 0x\(Hex.text(forbidden)) of \(name) can be changed by the guest alone")
        }
    }

    private static func isCanonical(_ value: UInt64) -> Bool {
        UInt64(bitPattern: Int64(bitPattern: value << 16) >> 16) == value
    }
}

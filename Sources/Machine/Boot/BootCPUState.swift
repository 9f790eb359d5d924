// The states in which the bootstrap processor enters what was loaded: real mode, flat 32-bit protected mode, and 64-bit
// mode on identity-mapped page tables. Everything not named here is as after RESET.

import Memory
import VirtualCPU

/// Selectors of the GDT that loaders leave in memory: flat code, and flat data behind it.
package enum BootSelectors {
    /// 0x10 and 0x18: those that Linux's boot protocols ask for.
    case linux
    /// 0x08 and 0x10. Multiboot leaves them open, but kernels that can also be started otherwise tend to load a GDT with
    /// this order, the most common one, and never CS.
    case multiboot

    /// Code, flat.
    package var code: UInt16 { self == .linux ? 0x10 : 0x08 }
    /// Data, flat.
    package var data: UInt16 { code + 8 }
}

extension CPUState {
    /// Indices into `gpr`.
    package enum Register {
        package static let rax = 0
        package static let rdx = 2
        package static let rbx = 3
        package static let rsp = 4
        package static let rsi = 6
    }

    private enum Control {
        static let pe: UInt64 = 1 << 0
        static let et: UInt64 = 1 << 4
        static let pg: UInt64 = 1 << 31
        static let pae: UInt64 = 1 << 5
        static let efer: UInt32 = 0xc000_0080
        static let lme: UInt64 = 1 << 8
        static let lma: UInt64 = 1 << 10
    }

    /// Access rights of flat segments in the VMX layout.
    private enum Rights {
        static let code64: UInt32 = 0xa09b
        static let code32: UInt32 = 0xc09b
        static let data: UInt32 = 0xc093
    }

    /// Real mode at a linear address below 1 MiB, with the other segments 0 and a stack below 0x7c00, as a BIOS enters a
    /// boot sector.
    package static func real16(entry: UInt64) -> CPUState {
        var state = afterFirmware()
        let segment = entry < 0x1_0000 ? 0 : (entry & ~0xffff) >> 4
        state.segments[1] = SegmentState(selector: UInt16(segment), base: segment << 4, attributes: 0x9b)
        state.rip = entry - segment << 4
        state.gpr[Register.rsp] = 0x7c00
        state.gpr[Register.rdx] = 0x80
        state.idtr = TableState(base: 0, limit: 0x3ff)
        return state
    }

    /// Flat 32-bit protected mode without paging, interrupts disabled.
    package static func protected32(
        entry: UInt64, _ selectors: BootSelectors = .linux, in context: inout BootContext, file: String
    ) throws(BootError) -> CPUState {
        var state = afterFirmware()
        try state.loadFlatSegments(selectors, code: Rights.code32, in: &context, file: file)
        state.rip = entry
        state.cr0 = Control.pe | Control.et
        state.gpr[Register.rdx] = 0
        return state
    }

    /// 64-bit mode with the first 4 GiB mapped to themselves in 2-MiB pages, interrupts disabled.
    package static func long64(
        entry: UInt64, in context: inout BootContext, file: String
    ) throws(BootError) -> CPUState {
        var state = afterFirmware()
        try state.loadFlatSegments(.linux, code: Rights.code64, in: &context, file: file)
        state.rip = entry
        state.cr3 = try context.placeIdentityMap(file: file)
        state.cr4 = Control.pae
        state.msrs[Control.efer] = Control.lme | Control.lma
        state.cr0 = Control.pe | Control.et | Control.pg
        state.gpr[Register.rdx] = 0
        return state
    }

    /// The memory types as firmware leaves them, alike on every CPU: write-back but for the VGA window, and C0000h to FFFFFh
    /// write-protected (SDM volume 3, section 12.11). With the MTRRs off, Linux turns PAT off too.
    package static let memoryTypes: [UInt32: UInt64] = {
        var registers: [UInt32: UInt64] = [0x2ff: 0xc06, 0x259: 0]
        for number in [0x250, 0x258] as [UInt32] { registers[number] = 0x0606_0606_0606_0606 }
        for number in 0x268...0x26f as ClosedRange<UInt32> { registers[number] = 0x0505_0505_0505_0505 }
        return registers
    }()

    /// RESET, then what firmware does before it starts an operating system. The local APIC is in virtual wire mode, in which
    /// LINT0 passes the PIC pair's interrupts on (MultiProcessor Specification 1.4, section 3.6.2.1).
    private static func afterFirmware() -> CPUState {
        var state = CPUState()
        state.msrs.merge(memoryTypes) { $1 }
        state.localAPIC.registers[0x0f] = 0x1ff  // spurious vector 0xff, APIC enabled
        state.localAPIC.registers[0x35] = 0x700  // LINT0: ExtINT
        state.localAPIC.registers[0x36] = 0x400  // LINT1: NMI
        return state
    }

    private mutating func loadFlatSegments(
        _ selectors: BootSelectors, code: UInt32, in context: inout BootContext, file: String
    ) throws(BootError) {
        var gdt = ByteWriter()
        while gdt.count < Int(selectors.code) { gdt.append(UInt64(0)) }
        gdt.append(Self.flatDescriptor(code))
        gdt.append(Self.flatDescriptor(Rights.data))
        gdtr = TableState(base: try context.place(gdt.bytes, file: file), limit: UInt16(gdt.count - 1))
        idtr = TableState(base: 0, limit: 0)
        let data = SegmentState(selector: selectors.data, limit: .max, attributes: Rights.data)
        for index in [0, 2, 3, 4, 5] { segments[index] = data }
        segments[1] = SegmentState(selector: selectors.code, limit: .max, attributes: code)
        segments[7].limit = 0x67
    }

    /// The descriptor of a segment from 0 with limit 4 GiB (SDM volume 3, figure 3-8).
    private static func flatDescriptor(_ rights: UInt32) -> UInt64 {
        0x000f_0000_0000_ffff | UInt64(rights) << 40
    }
}

extension BootContext {
    /// Page tables that map the first 4 GiB to themselves (SDM volume 3, section 4.5): a PML4, a PDPT and four page
    /// directories of 2-MiB pages. The result is for CR3.
    fileprivate mutating func placeIdentityMap(file: String) throws(BootError) -> UInt64 {
        let present: UInt64 = 1 << 0
        let writable: UInt64 = 1 << 1
        let largePage: UInt64 = 1 << 7
        let tables: UInt64 = 6
        let base = try allocateHandover(Int(tables * pageSize), alignment: pageSize, file: file)
        var image = ByteWriter(count: Int(tables * pageSize))
        image.put(base + pageSize | present | writable, at: 0)
        for gigabyte in 0..<4 {
            let directory = base + pageSize * UInt64(2 + gigabyte)
            image.put(directory | present | writable, at: Int(pageSize) + 8 * gigabyte)
        }
        for page in 0..<UInt64(2048) {
            image.put(page << 21 | present | writable | largePage, at: Int(2 * pageSize + 8 * page))
        }
        try write(image.bytes, at: base)
        return base
    }
}

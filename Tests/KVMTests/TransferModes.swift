// Modes of a CPU that a moving guest runs in, and one program whose bytes mean something in each of them.

import Memory
import VirtualCPU

/// What `TestMode` has, and the modes that need tables of their own.
enum TransferMode: CaseIterable, Sendable {
    case real, virtual8086, protected16, protected32, paged, pae, compatibility, long64, user32, user64

    private var base: TestMode {
        switch self {
        case .real, .virtual8086: .real16
        case .protected16, .protected32, .paged, .pae, .user32: .protected32
        case .compatibility, .long64, .user64: .long64
        }
    }

    private static let directory: UInt64 = 0x11_0000
    private static let pointers: UInt64 = 0x11_1000
    private static let taskState: UInt64 = 0x6000

    /// Puts the mode's tables into memory: page directory, page-directory pointers, and a TSS with an I/O permission bitmap
    /// that lets all ports pass, to ring 3 too (SDM volume 1, section 19.5.2).
    static func writeTables(to memory: GuestMemory) throws {
        for entry in 0..<4 as Range<UInt64> {
            try memory.writeInteger(
                UInt32(entry << 22 | 0x87), at: GuestPhysicalAddress(directory + entry * 4))
        }
        try memory.writeInteger(TestMachine.tables + 0x2000 | 1, at: GuestPhysicalAddress(pointers))
        try memory.writeInteger(0x68 as UInt16, at: GuestPhysicalAddress(taskState + 0x66))
        try memory.writeInteger(0xff as UInt8, at: GuestPhysicalAddress(taskState + 0x68 + 32))
    }

    /// A state of the mode that is about to execute at `TestMachine.codeAddress`, interrupts off.
    var state: CPUState {
        var state = TestMachine.state(base)
        state.cr0 |= 0x20  // NE
        let user = SegmentState(selector: 0x23, base: 0, limit: .max, attributes: 0xc0f3)
        switch self {
        case .real, .protected32, .long64: break
        case .virtual8086:
            state.cr0 |= 1
            state.rflags = 0x2_3002  // VM, IOPL 3
            let segment = SegmentState(selector: 0, base: 0, limit: 0xffff, attributes: 0xf3)
            state.segments.replaceSubrange(0..<6, with: repeatElement(segment, count: 6))
        case .protected16: state.segments[1].attributes = 0x9b
        case .paged:
            state.cr3 = Self.directory
            state.cr4 |= 1 << 4  // PSE
            state.cr0 |= 1 << 31
        case .pae:
            state.cr3 = Self.pointers
            state.pdptes[0] = TestMachine.tables + 0x2000 | 1
            state.cr4 |= 1 << 5  // PAE
            state.cr0 |= 1 << 31
        case .compatibility: state.segments[1].attributes = 0xc09b
        case .user32, .user64:
            state.segments.replaceSubrange(0..<6, with: repeatElement(user, count: 6))
            state.segments[1] = SegmentState(
                selector: 0x1b, base: 0, limit: .max, attributes: self == .user64 ? 0xa0fb : 0xc0fb)
        }
        if self == .protected16 { state.segments[1].limit = 0xffff }
        if base != .real16 || self == .virtual8086 {
            state.segments[7] = SegmentState(
                selector: 0x28, base: Self.taskState, limit: 0x68 + 32, attributes: 0x8b)
        }
        return state
    }

    /// 1: mul ebx; add eax, edx; add esi, eax; rcl edi, 1; push eax; pop ebp; test cl, 15; jnz 2f; paddd xmm0, xmm1;
    /// out 0x10, al; 2: loop 1b; out 0xf4, al; jmp $, or the same on 16 or 64 bits.
    static let program: [UInt8] =
        [0xf7, 0xe3, 0x01, 0xd0, 0x01, 0xc6, 0xd1, 0xd7, 0x50, 0x5d, 0xf6, 0xc1, 0x0f, 0x75, 0x06]
        + [0x66, 0x0f, 0xfe, 0xc1, 0xe6, 0x10, 0xe2, 0xe9] + Code.exit

    /// The mode's state with operands for so many turns of the program.
    func start(turns: UInt16, seed: UInt64) -> CPUState {
        var state = state
        state.gpr[0] = seed &* 0x9e37_79b9 & 0xffff_ffff | 1
        state.gpr[1] = UInt64(turns)
        state.gpr[3] = 0x41c6_4e6d
        for byte in 0..<16 { state.xsave[160 + 16 + byte] = UInt8(truncatingIfNeeded: Int(seed) + byte) }
        state.xsave[512] = 3
        return state
    }
}

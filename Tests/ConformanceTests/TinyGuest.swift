// Guests of a few bytes, assembled by hand: each byte string has its instructions beside it.

import Machine
import TestSupport
import Testing

/// A flat binary at 0x7C00.
struct TinyGuest: Sendable, CustomTestStringConvertible {
    var name: String
    var mode: BootSource.EntryMode
    var code: [UInt8]

    var testDescription: String { name }

    var source: BootSource { .flat(.bytes(code, name: name), mode: mode) }

    // MARK: Nothing to stand on

    /// Guests that end in a triple fault (SDM volume 3, section 6.15, "Interrupt 8").
    static let lost: [TinyGuest] = [
        TinyGuest(
            name: "real mode, an IDT of limit 0", mode: .real16,
            code: [
                0x0f, 0x01, 0x1e, 0x09, 0x7c,  // lidt [0x7c09]
                0xcc,  // int3
                0xeb, 0xfe, 0x90,  // jmp $
                0, 0, 0, 0, 0, 0,
            ]),
        TinyGuest(
            name: "32 bits, an IDT where no memory is", mode: .protected32,
            code: [
                0x0f, 0x01, 0x1d, 0x0c, 0x7c, 0, 0,  // lidt [0x7c0c]
                0x0f, 0x0b,  // ud2
                0xeb, 0xfe, 0x90,  // jmp $
                0xff, 0xff, 0, 0, 0, 0xd0,  // limit ffff, base d0000000
            ]),
        TinyGuest(
            name: "32 bits, a GDT where no memory is", mode: .protected32,
            code: [
                0x0f, 0x01, 0x15, 0x13, 0x7c, 0, 0,  // lgdt [0x7c13]
                0x66, 0xb8, 0x10, 0x00,  // mov ax, 0x10
                0x8e, 0xd0,  // mov ss, ax: a descriptor of ones is no data segment: #GP
                0xeb, 0xfe, 0x90, 0x90, 0x90, 0x90,  // jmp $
                0xff, 0xff, 0, 0, 0, 0xd0,
            ]),
        TinyGuest(
            name: "32 bits, page tables where no memory is", mode: .protected32,
            code: [
                0xb8, 0, 0, 0, 0xd0,  // mov eax, 0xd0000000
                0x0f, 0x22, 0xd8,  // mov cr3, eax
                0x0f, 0x20, 0xc0,  // mov eax, cr0
                0x0d, 0, 0, 0, 0x80,  // or eax, 1 << 31
                0x0f, 0x22, 0xc0,  // mov cr0, eax
                0xeb, 0xfe,  // jmp $
            ]),
        TinyGuest(
            name: "32 bits, page tables in the I/O APIC", mode: .protected32,
            code: [
                0xb8, 0, 0, 0xc0, 0xfe,  // mov eax, 0xfec00000
                0x0f, 0x22, 0xd8,  // mov cr3, eax
                0x0f, 0x20, 0xc0,  // mov eax, cr0
                0x0d, 0, 0, 0, 0x80,  // or eax, 1 << 31
                0x0f, 0x22, 0xc0,  // mov cr0, eax
                0xeb, 0xfe,  // jmp $
            ]),
        TinyGuest(
            name: "64 bits, page tables where no memory is", mode: .long64,
            code: [
                0xb8, 0, 0, 0, 0xd0,  // mov eax, 0xd0000000
                0x0f, 0x22, 0xd8,  // mov cr3, rax
                0xeb, 0xfe,  // jmp $
            ]),
        TinyGuest(
            name: "64 bits, an IDT at the end of the address space", mode: .long64,
            code: [
                0x0f, 0x01, 0x1c, 0x25, 0x0d, 0x7c, 0, 0,  // lidt [0x7c0d]
                0x0f, 0x0b,  // ud2
                0xeb, 0xfe, 0x90,  // jmp $
                0xff, 0xff, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ]),
        TinyGuest(
            name: "64 bits, an IDT and a stack at addresses that are not canonical", mode: .long64,
            code: [
                0x48, 0xbc, 0, 0, 0, 0, 0, 0, 0, 0x80,  // mov rsp, 1 << 63
                0x50,  // push rax: #SS
                0xeb, 0xfe,  // jmp $
            ]),
        // A task state segment whose stack pointers, of ones, are not canonical: #DF's cannot be had either.
        TinyGuest(
            name: "64 bits, a TSS where no memory is", mode: .long64,
            code: [
                0xbf, 0x00, 0x00, 0x01, 0x00,  // mov edi, 0x10000: a GDT with a TSS at d0000000, then an IDT
                0x48, 0xb8, 0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0,  // mov rax, code
                0x48, 0x89, 0x47, 0x10,  // mov [rdi + 16], rax
                0x48, 0xb8, 0x67, 0, 0, 0, 0, 0x89, 0, 0xd0,  // mov rax, available TSS, base d0000000
                0x48, 0x89, 0x47, 0x20,  // mov [rdi + 32], rax
                0x48, 0xb8, 0, 0x7c, 0x10, 0, 1, 0x8e, 0, 0,  // mov rax, gate to 10:7c00, IST 1
                0x48, 0x89, 0x87, 0x60, 0x10, 0, 0,  // mov [rdi + 1060], rax: #UD
                0x48, 0x89, 0x87, 0x80, 0x10, 0, 0,  // mov [rdi + 1080], rax: #DF
                0x48, 0x89, 0x87, 0xc0, 0x10, 0, 0,  // mov [rdi + 10c0], rax: #SS
                0x0f, 0x01, 0x14, 0x25, 0x80, 0x7c, 0, 0,  // lgdt [0x7c80]
                0x0f, 0x01, 0x1c, 0x25, 0x90, 0x7c, 0, 0,  // lidt [0x7c90]
                0xb8, 0x20, 0, 0, 0,  // mov eax, 0x20
                0x0f, 0x00, 0xd8,  // ltr ax
                0x0f, 0x0b,  // ud2
                0xeb, 0xfe,  // jmp $
            ]
                + [UInt8](repeating: 0x90, count: 36)
                + [0x37, 0, 0, 0, 1, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 6)
                + [0xff, 0x0f, 0, 0x10, 1, 0, 0, 0, 0, 0]),
    ]

    // MARK: Ports

    /// Writes (and reads, if asked to) each port from `first` to 0xffff in three widths, then shuts down.
    static func sweep(from first: UInt16, value: UInt32, read: Bool) -> TinyGuest {
        let bytes = (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
        var code: [UInt8] = [0xba, UInt8(first & 0xff), UInt8(first >> 8)]  // mov dx, first
        let loop = code.count
        if read { code += [0xec, 0xed, 0x66, 0xed] }  // in al, dx; in ax, dx; in eax, dx
        code += [0x66, 0xb8] + bytes  // mov eax, value
        code += [0xee, 0xef, 0x66, 0xef]  // out dx, al; out dx, ax; out dx, eax
        code += [0x83, 0xfa, 0xff]  // cmp dx, -1
        code += [0x74, 0x03]  // je done
        code += [0x42]  // inc dx
        code += [0xeb, UInt8(truncatingIfNeeded: loop - code.count - 2)]  // jmp loop
        code += [0x0f, 0x01, 0x1e, 0x00, 0x05]  // done: lidt [0x500], which is 0
        code += [0xcc]  // int3
        return TinyGuest(name: "ports from \(first)", mode: .real16, code: code)
    }

    // MARK: Random code

    /// 16 KiB of random bytes, among them more system instructions than chance would give.
    static func random(seed: UInt64, mode: BootSource.EntryMode) -> TinyGuest {
        var generator = SplitMix64(seed: seed)
        var code: [UInt8] = []
        while code.count < 16_384 {
            switch UInt8.random(in: 0..<4, using: &generator) {
            case 0: code += interesting.randomElement(using: &generator) ?? []
            case 1: code += [0x0f, .random(in: 0...255, using: &generator)]
            default: code.append(.random(in: 0...255, using: &generator))
            }
        }
        return TinyGuest(name: "random code \(mode), seed \(seed)", mode: mode, code: code)
    }

    /// Beginnings of instructions that change how the CPU works, or that are long.
    private static let interesting: [[UInt8]] = [
        [0x0f, 0x00], [0x0f, 0x01], [0x0f, 0x20], [0x0f, 0x21], [0x0f, 0x22], [0x0f, 0x23], [0x0f, 0x30], [0x0f, 0x32],
        [0x0f, 0x05], [0x0f, 0x07], [0x48, 0x0f, 0x07], [0x0f, 0x34], [0x0f, 0x35], [0x0f, 0xa2], [0x0f, 0xae],
        [0x0f, 0xc7], [0x0f, 0xb2], [0x0f, 0xb4], [0xcf], [0x48, 0xcf], [0xcb], [0xca], [0xea], [0x9a], [0xff],
        [0x8e], [0x8c], [0xcd, 0x80], [0xcc], [0xf1], [0x9d], [0xfb], [0xfa], [0xf4], [0xf3], [0xf2], [0xf0], [0x66],
        [0x67], [0x48], [0x4f], [0xc4], [0xc5], [0x62], [0xc8], [0xc9], [0xe4], [0xe6], [0xec], [0xee], [0x6c], [0x6e],
        [0xf3, 0xa4], [0xf3, 0xab], [0xf3, 0x6c], [0xf3, 0x6e], [0xd9], [0xdb], [0xdd], [0xdf], [0x0f, 0x38],
        [0x0f, 0x3a], [0x66, 0x0f, 0x38], [0xf2, 0x0f, 0x38], [0x2e], [0x64], [0x65], [0xe2], [0xe3], [0xeb, 0x02],
    ]
}

// Protection keys: what PKRU and IA32_PKRS forbid to whom, and how their state moves.

import Testing
import VirtualCPU

@Suite struct ProtectionKeyTests {
    private static let model = "x86-64-v3,+pku,+pks"
    private static let linear: UInt64 = 0x40_0123
    private static let key: UInt64 = 5
    private static let deny: UInt64 = 1 << 10
    private static let denyWrites: UInt64 = 2 << 10

    struct Case: Sendable, CustomStringConvertible {
        let name: String
        var isStore = false
        var isUserPage = true
        var rights: UInt64 = 0
        var cr0: UInt64 = 0x8001_0011
        var cr4: UInt64 = 1 << 22 | 1 << 24
        /// The error code of the page fault; nil if there is none.
        let error: UInt64?
        var description: String { name }
    }

    static let cases: [Case] = [
        Case(name: "load, access disabled", rights: deny, error: 0x21),
        Case(name: "store, access disabled", isStore: true, rights: deny, error: 0x23),
        Case(name: "load, write disabled", rights: denyWrites, error: nil),
        Case(name: "store, write disabled", isStore: true, rights: denyWrites, error: 0x23),
        Case(name: "store, write disabled, WP = 0", isStore: true, rights: denyWrites, cr0: 0x8000_0011, error: nil),
        Case(name: "other keys do not matter", isStore: true, rights: ~(3 << 10) & 0xffff_ffff, error: nil),
        Case(name: "PKE = 0", isStore: true, rights: deny, cr4: 1 << 24, error: nil),
        Case(name: "supervisor page: load, access disabled", isUserPage: false, rights: deny, error: 0x21),
        Case(
            name: "supervisor page: store, write disabled", isStore: true, isUserPage: false, rights: denyWrites,
            error: 0x23),
        Case(name: "supervisor page: PKS = 0", isUserPage: false, rights: deny, cr4: 1 << 22, error: nil),
    ]

    /// The rights are in force on pages of that kind alone; on the others everything but key 0 is forbidden.
    @Test(arguments: cases) func rights(_ test: Case) throws {
        // mov eax, [400123h] or mov [400123h], eax; hlt
        let opcode: UInt8 = test.isStore ? 0x89 : 0x8b
        let code: [UInt8] = [opcode, 0x04, 0x25, 0x23, 0x01, 0x40, 0x00, 0xf4]
        let machine = try TrapMachine(.long64, model: Self.model, code: code) { state in
            state.cr0 = test.cr0
            state.cr4 |= test.cr4
            state.pkru = UInt32(test.isUserPage ? test.rights : 0xffff_fffc)
            state.msrs[0x6e1] = test.isUserPage ? 0xffff_fffc : test.rights
        }
        // The 2-MiB page at 400000H gets the key.
        let entry: UInt64 = 0x40_0000 | 0x83 | (test.isUserPage ? 4 : 0) | Self.key << 59
        try machine.write(entry, at: 0x10_2000 + 2 * 8)
        let outcome = try machine.run()
        #expect(outcome.vector == (test.error == nil ? nil : 14))
        #expect(outcome.error == test.error)
        if test.error != nil { #expect(outcome.state.cr2 == Self.linear) }
    }

    @Test func writingPKRUTakesEffectAtOnce() throws {
        // mov eax, [400123h]; mov eax, 400h; xor ecx, ecx; xor edx, edx; wrpkru; mov eax, [400123h]
        let load: [UInt8] = [0x8b, 0x04, 0x25, 0x23, 0x01, 0x40, 0x00]
        let code = load + movEAX(UInt32(Self.deny)) + [0x31, 0xc9, 0x31, 0xd2, 0x0f, 0x01, 0xef] + load + [0xf4]
        let machine = try TrapMachine(.long64, model: Self.model, code: code) { $0.cr4 |= 1 << 22 }
        try machine.write(0x40_0087 | Self.key << 59, at: 0x10_2000 + 2 * 8)
        let outcome = try machine.run()
        #expect(outcome.vector == 14)
        #expect(outcome.savedRIP == TestMachine.codeAddress + 19)
        #expect(outcome.state.pkru == UInt32(Self.deny))
    }

    @Test(arguments: [(1 << 22, 0, nil), (1 << 22, 1, 13), (0, 0, 6)] as [(UInt64, UInt64, Int?)])
    func instructions(cr4: UInt64, rcx: UInt64, vector: Int?) throws {
        let outcome = try TrapMachine(.long64, model: Self.model, code: [0x0f, 0x01, 0xee, 0xf4]) {
            $0.cr4 |= cr4
            $0.pkru = 0x1234_5678
            $0.gpr[1] = rcx
        }.run()
        #expect(outcome.vector == vector)
        if vector == nil { #expect(outcome.state.gpr[0] == 0x1234_5678 && outcome.state.gpr[2] == 0) }
    }

    @Test func notOfferedUnlessAskedFor() throws {
        // mov rax, cr4; or eax, 400000h; mov cr4, rax
        let code: [UInt8] = [0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x00, 0x40, 0x00, 0x0f, 0x22, 0xe0, 0xf4]
        for model in ["host", "x86-64-v3"] {
            #expect(try TrapMachine(.long64, model: model, code: code).run().vector == 13)
        }
        #expect(try TrapMachine(.long64, model: Self.model, code: code).run().vector == nil)
    }

    /// XSAVE in both formats, then XRSTOR into a changed PKRU.
    @Test(arguments: [(0x20, 832), (0x67, 832), (0x67, 576)] as [(UInt8, Int)])
    func movesByXSAVE(form: UInt8, offset: Int) throws {
        // xsave [rbx], or xsavec; xor eax, eax; xor ecx, ecx; xor edx, edx; wrpkru; mov eax, RFBM; xrstor [rbx]
        let store: [UInt8] = form == 0x67 ? [0x0f, 0xc7, 0x23] : [0x0f, 0xae, 0x23]
        let rfbm: UInt32 = offset == 832 ? 0x207 : 0x203
        let code =
            movEAX(rfbm) + [0x31, 0xd2] + store + [0x31, 0xc0, 0x31, 0xc9, 0x0f, 0x01, 0xef] + movEAX(rfbm)
            + [0x0f, 0xae, 0x2b, 0xf4]
        let machine = try TrapMachine(.long64, model: "host,+pku", code: code) {
            $0.cr4 |= 1 << 22 | 1 << 18
            $0.xcr0 = 0x207
            $0.pkru = 0xabcd_1234
            $0.gpr[3] = 0x9000
        }
        let outcome = try machine.run()
        #expect(outcome.vector == nil)
        #expect(outcome.state.pkru == 0xabcd_1234)
        #expect(try machine.read(0x9000 + 512) & 0x200 != 0)
        #expect(try machine.read(0x9000 + UInt64(offset)) & 0xffff_ffff == 0xabcd_1234)
    }
}

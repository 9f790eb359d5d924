// 32-bit and PAE paging, which guests in long mode don't reach: error codes, CR2, accessed and dirty flags, large pages,
// reserved bits.

import Testing
import VirtualCPU

@Suite struct SystemPagingTests {
    /// The page that the tests look at, and where it leads.
    private static let linear: UInt64 = 0x40_0123
    private static let frame: UInt64 = 0x30_0000

    enum Operation { case load, store, jump }

    private static func code(_ operation: Operation) -> [UInt8] {
        switch operation {
        case .load: [0xa1, 0x23, 0x01, 0x40, 0x00, 0xf4]  // mov eax, [400123h]; hlt
        case .store: [0xc6, 0x05, 0x23, 0x01, 0x40, 0x00, 0x5a, 0xf4]  // mov byte [400123h], 5ah; hlt
        case .jump: [0xb8, 0x23, 0x01, 0x40, 0x00, 0xff, 0xe0]  // mov eax, 400123h; jmp eax
        }
    }

    // MARK: 32-bit paging

    struct Case: Sendable, CustomStringConvertible {
        let name: String
        let operation: Operation
        var pde: UInt64 = 0x20_2007
        var pte: UInt64 = frame | 7
        var cr0: UInt64 = 0x8001_0011
        var cr4: UInt64 = 0x10
        var efer: UInt64 = 0
        /// The error code of the page fault; nil if there is none.
        let error: UInt64?
        var description: String { name }
    }

    static let narrow: [Case] = [
        Case(name: "load", operation: .load, error: nil),
        Case(name: "store", operation: .store, error: nil),
        Case(name: "load, PDE not present", operation: .load, pde: 0x20_2006, error: 0),
        Case(name: "load, PTE not present", operation: .load, pte: frame | 6, error: 0),
        Case(name: "store, PTE not present", operation: .store, pte: frame | 6, error: 2),
        Case(name: "store, PTE read-only", operation: .store, pte: frame | 5, error: 3),
        Case(name: "store, PDE read-only", operation: .store, pde: 0x20_2005, error: 3),
        Case(name: "store, read-only, WP = 0", operation: .store, pte: frame | 5, cr0: 0x8000_0011, error: nil),
        Case(name: "4-MiB page", operation: .load, pde: 0x87, error: nil),
        Case(name: "4-MiB page, PSE-36 address", operation: .store, pde: 0x2087, error: nil),
        Case(name: "4-MiB page, bit 21", operation: .load, pde: 0x20_0087, error: 9),
        Case(name: "store to a 4-MiB page, bit 21", operation: .store, pde: 0x20_0087, error: 0xb),
        Case(name: "PS without CR4.PSE", operation: .load, pde: 0x20_2087, cr4: 0, error: nil),
        Case(name: "fetch, supervisor, no NX: I/D is not reported", operation: .jump, pte: frame | 6, error: 0),
    ]

    /// A page fault takes the page's translations out of the TLB (SDM volume 3, section 4.10.4.1): a handler that leads the page
    /// elsewhere need not say so.
    @Test func pageFaultsForgetThePage() throws {
        let machine = try TrapMachine(
            .protected32, code: Self.code(.load).dropLast() + Self.code(.store)
        ) { state in
            state.cr0 = 0x8001_0011
            state.cr3 = 0x20_0000
            state.cr4 = 0x10
        }
        try machine.write(UInt32(0x20_1007), at: 0x20_0000)
        for page in 0..<1024 as Range<UInt32> {
            try machine.write(page << 12 | 7, at: 0x20_1000 + UInt64(page) * 4)
        }
        let other: UInt32 = 0x31_0000
        try machine.write(UInt32(0x20_2007), at: 0x20_0004)
        try machine.write(UInt32(Self.frame | 5), at: 0x20_2000)
        try machine.write(UInt32(1), at: Self.frame + 0x123)
        try machine.write(UInt32(2), at: UInt64(other) + 0x123)
        // mov dword [202000h], other | 7; mov ebx, [400123h]: 16 bytes, behind which the next vector's handler halts.
        let handler =
            [0xc7, 0x05, 0x00, 0x20, 0x20, 0x00] + littleEndian(other | 7) + [0x8b, 0x1d, 0x23, 0x01, 0x40, 0x00]
        for (offset, byte) in handler.enumerated() {
            try machine.write(byte, at: TrapMachine.handler(of: 14) + UInt64(offset))
        }
        let outcome = try machine.run()
        #expect(outcome.vector == 15 && outcome.state.cr2 == Self.linear)
        #expect(outcome.state.gpr[0] == 1 && outcome.state.gpr[3] == 2)
    }

    @Test(arguments: narrow) func narrowPaging(_ test: Case) throws {
        let machine = try TrapMachine(.protected32, code: Self.code(test.operation)) { state in
            state.cr0 = test.cr0
            state.cr3 = 0x20_0000
            state.cr4 = test.cr4
        }
        try machine.write(UInt32(0x20_1007), at: 0x20_0000)
        for page in 0..<1024 as Range<UInt32> {
            try machine.write(page << 12 | 7, at: 0x20_1000 + UInt64(page) * 4)
        }
        try machine.write(UInt32(test.pde), at: 0x20_0004)
        try machine.write(UInt32(test.pte), at: 0x20_2000)
        try check(test, machine)
        guard test.error == nil, test.pde & 0x80 == 0 else { return }
        let isStore = test.operation == .store
        #expect(try machine.read(0x20_0004) & 0x60 == 0x20, "PDE: accessed, never dirty")
        #expect(try machine.read(0x20_2000) & 0x60 == (isStore ? 0x60 : 0x20))
        if isStore { #expect(try machine.read(Self.frame + 0x123) & 0xff == 0x5a) }
    }

    private func check(_ test: Case, _ machine: TrapMachine) throws {
        let outcome = try machine.run()
        if let error = test.error {
            #expect(outcome.vector == 14)
            #expect(outcome.error == error)
            #expect(outcome.state.cr2 == Self.linear)
            #expect(outcome.savedRIP == (test.operation == .jump ? Self.linear : TestMachine.codeAddress))
            #expect(outcome.savedFlags.map { $0 & 0x10000 } == 0x10000, "RF")
        } else {
            #expect(outcome.exit == .halted)
            #expect(outcome.vector == nil)
        }
    }

    // MARK: PAE paging

    static let pae: [Case] = [
        Case(name: "load", operation: .load, pte: frame | 7, error: nil),
        Case(name: "store", operation: .store, pte: frame | 7, error: nil),
        Case(name: "2-MiB page", operation: .store, pde: 0x40_0087, error: nil),
        Case(name: "2-MiB page, bit 13", operation: .load, pde: 0x40_2087, error: 9),
        Case(name: "PTE, bit 52", operation: .load, pte: frame | 7 | 1 << 52, error: 9),
        Case(name: "PTE, bit 51", operation: .load, pte: frame | 7 | 1 << 51, error: 9),
        Case(name: "XD with NXE = 0", operation: .store, pte: frame | 7 | 1 << 63, error: 0xb),
        Case(name: "XD with NXE = 1, load", operation: .load, pte: frame | 7 | 1 << 63, efer: 0x800, error: nil),
        Case(name: "XD with NXE = 1, fetch", operation: .jump, pte: frame | 7 | 1 << 63, efer: 0x800, error: 0x11),
        Case(name: "fetch, not present, NXE = 1", operation: .jump, pte: frame | 6, efer: 0x800, error: 0x10),
        Case(name: "PDE not present", operation: .load, pde: 0x20_2006, error: 0),
        Case(name: "SMEP and a user page", operation: .jump, cr4: 0x10_0030, error: 0x11),
        Case(name: "SMAP and a user page", operation: .load, cr4: 0x20_0030, error: 1),
        Case(name: "SMAP and a supervisor page", operation: .load, pte: frame | 3, cr4: 0x20_0030, error: nil),
    ]

    @Test(arguments: pae) func paePaging(_ test: Case) throws {
        let machine = try TrapMachine(.protected32, code: Self.code(test.operation)) { state in
            state.cr0 = test.cr0
            state.cr3 = 0x21_0000
            state.cr4 = test.cr4 | 0x20
            state.msrs[0xc000_0080] = test.efer
            state.pdptes = [0x20_0001, 0, 0, 0]
        }
        // The first 2 MiB lead to themselves, for the supervisor.
        try machine.write(UInt64(0x83), at: 0x20_0000)
        try machine.write(test.pde, at: 0x20_0010)
        try machine.write(test.pte, at: 0x20_2000)
        try check(test, machine)
    }

    @Test func reservedBitOfPDPTE() throws {
        // mov eax, 210000h; mov cr3, eax
        let code = movEAX(0x21_0000) + [0x0f, 0x22, 0xd8, 0xf4]
        for (entry, vector) in [(0x20_0001, nil), (0x20_0003, 13), (0x20_0002, nil)] as [(UInt64, Int?)] {
            let machine = try TrapMachine(.protected32, code: code) { state in
                state.cr0 = 0x8001_0011
                state.cr3 = 0x22_0000
                state.cr4 = 0x20
                state.pdptes = [0x20_0001, 0, 0, 0]
            }
            try machine.write(UInt64(0x83), at: 0x20_0000)
            try machine.write(UInt64(0x20_0001), at: 0x21_0000)
            try machine.write(entry, at: 0x21_0008)
            let outcome = try machine.run()
            #expect(outcome.vector == vector)
            if vector != nil {
                #expect(outcome.error == 0)
                #expect(outcome.state.cr3 == 0x22_0000, "a MOV that faults changes nothing")
                #expect(outcome.state.pdptes[1] == 0)
            } else {
                #expect(outcome.state.pdptes[1] == entry)
            }
        }
    }

    @Test func translationsAreForgottenByCR3() throws {
        // mov ebx, [400123h]; mov dword [202000h], 303007h; mov ecx, [400123h]; mov eax, cr3; mov cr3, eax;
        // mov edx, [400123h]; hlt
        let code: [UInt8] = [
            0x8b, 0x1d, 0x23, 0x01, 0x40, 0x00, 0xc7, 0x05, 0x00, 0x20, 0x20, 0x00, 0x07, 0x30, 0x30, 0x00, 0x8b, 0x0d,
            0x23, 0x01, 0x40, 0x00, 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x8b, 0x15, 0x23, 0x01, 0x40, 0x00, 0xf4,
        ]
        let machine = try TrapMachine(.protected32, code: code) { state in
            state.cr0 = 0x8001_0011
            state.cr3 = 0x20_0000
        }
        try machine.write(UInt32(0x20_1007), at: 0x20_0000)
        for page in 0..<1024 as Range<UInt32> {
            try machine.write(page << 12 | 7, at: 0x20_1000 + UInt64(page) * 4)
        }
        try machine.write(UInt32(0x20_2007), at: 0x20_0004)
        try machine.write(UInt32(Self.frame | 7), at: 0x20_2000)
        try machine.write(UInt32(0x1111), at: Self.frame + 0x123)
        try machine.write(UInt32(0x2222), at: 0x30_3123)
        let state = try machine.run().state
        #expect(state.gpr[3] == 0x1111)
        #expect(state.gpr[1] == 0x1111 || state.gpr[1] == 0x2222)
        #expect(state.gpr[2] == 0x2222)
    }
}

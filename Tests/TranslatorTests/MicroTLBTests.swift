// The micro-TLB of generated code: it must forget what the TLB forgets, and have no page that the TLB does not have. Each program
// makes loops whose accesses go by it, changes what it knows, and makes them again; the interpreter, which has none, says what is
// right.

import Testing
import Translator
import VirtualCPU
import X86

@Suite struct MicroTLBTests {
    private let reference: HostileMachine
    private let translated: HostileMachine
    private static let page = HostileMachine.data
    private static let other = HostileMachine.data + 0x1000
    private static let entry = HostileMachine.pageTable + page >> 12 * 8

    init() throws {
        reference = try HostileMachine(InterpretEngine())
        translated = try HostileMachine(TranslateEngine(threshold: 0))
    }

    private func run(_ code: [UInt8], _ registers: [Int: UInt64] = [:]) throws -> HostileMachine.Outcome {
        let expected = try reference.run(code + [0xf4], registers: registers)
        let actual = try translated.run(code + [0xf4], registers: registers)
        if expected != actual { Issue.record("\(actual.differences(from: expected))") }
        return actual
    }

    // MARK: Code

    /// mov ecx, 6; jmp 1f; 1: ACCESS; dec ecx; jnz 1b. The jump ends the block: all accesses are the loop's.
    private static func loop(_ access: [UInt8]) -> [UInt8] {
        let body = access + [0xff, 0xc9]
        return [0xb9, 6, 0, 0, 0, 0xeb, 0] + body + [0x75, UInt8(bitPattern: -Int8(body.count + 2))]
    }

    /// add rdx, [rbx]
    private static let loads = loop([0x48, 0x03, 0x13])
    /// mov [rbx], rdx
    private static let stores = loop([0x48, 0x89, 0x13])
    /// push rdx; pop rsi
    private static let pushes = loop([0x52, 0x5e])

    /// mov rax, value
    private static func moveRAX(_ value: UInt64) -> [UInt8] { [0x48, 0xb8] + bytes(value) }

    private static func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }

    /// Sets the page-table entry of `page` and tells nobody: mov rax, value; mov [entry], rax
    private static func map(_ value: UInt64) -> [UInt8] {
        moveRAX(value) + [0x48, 0x89, 0x04, 0x25] + bytes(entry).prefix(4)
    }

    /// The same once with what it was, so that later it fills no entry of the TLB, which would empty the micro-TLB.
    private static let warm = map(page | 3)
    /// invlpg [rbx]
    private static let invalidatePage: [UInt8] = [0x0f, 0x01, 0x3b]
    /// mov rax, cr3; mov cr3, rax
    private static let writeCR3: [UInt8] = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8]
    /// mov rax, cr4; xor rax, 80h; mov cr4, rax: CR4.PGE
    private static let toggleGlobalPages: [UInt8] = [0x0f, 0x20, 0xe0, 0x48, 0x35, 0x80, 0, 0, 0, 0x0f, 0x22, 0xe0]

    private static let flushes: [[UInt8]] = [invalidatePage, writeCR3, toggleGlobalPages]

    // MARK: Tests

    @Test(arguments: flushes) func pagesThatMoveAreReadWhereTheyAre(flush: [UInt8]) throws {
        let same = try run(Self.warm + Self.loads + Self.map(Self.page | 3) + flush + Self.loads)
        let moved = try run(Self.warm + Self.loads + Self.map(Self.other | 3) + flush + Self.loads)
        #expect(same.vector == nil && moved.vector == nil && same.state.gpr[2] != moved.state.gpr[2])
    }

    @Test(arguments: flushes) func pagesThatAreProtectedAreNotWritten(flush: [UInt8]) throws {
        #expect(try run(Self.warm + Self.stores + Self.map(Self.page | 3) + flush + Self.stores).vector == nil)
        let outcome = try run(Self.warm + Self.stores + Self.map(Self.page | 1) + flush + Self.stores)
        #expect(outcome.vector == 14 && outcome.state.cr2 == Self.page)
    }

    @Test(arguments: flushes) func stacksThatAreGoneAreNotFound(flush: [UInt8]) throws {
        let stack = Self.page + 0x800
        #expect(try run(Self.warm + Self.pushes + Self.map(0) + flush + Self.pushes, [4: stack]).vector == 14)
    }

    /// Code in the page that the stores go to is executed between them: then they are seen, each for itself.
    @Test func codeThatIsOverwrittenIsExecutedAnew() throws {
        // inc r8d; ret, and dec r8d; ret, as RDX
        let (increments, decrements): (UInt64, UInt64) = (0xc3_c0ff41, 0xc3_c8ff41)
        // mov rdx, r9 or r10; mov [rbx], rdx, six times; call rbx
        func patchAndCall(_ move: [UInt8]) -> [UInt8] { move + Self.stores + [0xff, 0xd3] }
        let round = patchAndCall([0x4c, 0x89, 0xca]) + patchAndCall([0x4c, 0x89, 0xd2])
        let code = [0x45, 0x31, 0xc0] + round + round + patchAndCall([0x4c, 0x89, 0xca])
        let outcome = try run(code, [9: increments, 10: decrements])
        #expect(outcome.vector == nil && outcome.state.gpr[8] == 1)
    }

    /// A handler that leads a page elsewhere after its fault need not flush it (SDM volume 3, section 4.10.4.1): code is found
    /// there too.
    @Test func codeInPagesThatFaultIsFoundAnew() throws {
        // mov eax, number; ret, eight bytes of it
        func function(_ number: UInt64) -> UInt64 { 0xc3_0000_0000_b8 | number << 8 }
        /// mov rax, value; mov [address], rax
        func store(_ value: UInt64, at address: UInt64) -> [UInt8] {
            Self.moveRAX(value) + [0x48, 0x89, 0x04, 0x25] + Self.bytes(address).prefix(4)
        }
        // mov [entry], rax; add rsp, 8; iretq
        let handler =
            [0x48, 0x89, 0x04, 0x25] + Self.bytes(Self.entry).prefix(4) + [0x48, 0x83, 0xc4, 8, 0x48, 0xcf, 0, 0]
        func word(_ n: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(handler[n * 8 + $1]) << UInt64(8 * $1) } }
        let place = HostileMachine.handler(of: 14)
        var code = store(word(0), at: place) + store(word(1), at: place + 8)
        code += store(function(1), at: Self.page) + store(function(2), at: Self.other)
        code += Self.map(Self.page | 1) + Self.invalidatePage + [0x45, 0x31, 0xc0, 0x45, 0x31, 0xc9]
        // call rbx; add r8, rax
        code += Self.loop([0xff, 0xd3, 0x49, 0x01, 0xc0])
        // mov [rbx + 800h], rdx faults; the handler maps the other page, for writing.
        code += Self.moveRAX(Self.other | 3) + [0x48, 0x89, 0x93, 0x00, 0x08, 0x00, 0x00]
        // call rbx; add r9, rax
        code += Self.loop([0xff, 0xd3, 0x49, 0x01, 0xc1])
        let outcome = try run(code)
        #expect(outcome.vector == nil && outcome.state.gpr[8] == 6 && outcome.state.gpr[9] == 12)
    }

    /// An empty entry, and one that has another page, are not taken for that of any address.
    @Test func pointersOfEveryKindMiss() throws {
        let addresses: [UInt64] = [
            0, 0xfff, 1 << 62, 1 << 62 | 0xfff, 1 << 63, 0x8000_0000_0000, 0xffff_7fff_ffff_f000, .max, .max << 12,
            Self.page &+ 1 << 48, Self.page | 1 << 62, Self.page | 1 << 63, Self.page + 0xff9, 0x20_0000,
        ]
        for address in addresses {
            for warm in [[], Self.loads + Self.stores] {
                for access in [Self.loads, Self.stores] {
                    // mov rbx, r14
                    let outcome = try run(warm + [0x4c, 0x89, 0xf3] + access, [14: address])
                    let isMapped = address < 0x20_0000 && address & 0x1f_f000 != 0x4000
                    if address >= 1 << 47, address < .max << 47 { #expect(outcome.vector == 13) }
                    if isMapped, access == Self.loads { #expect(outcome.vector == nil) }
                }
            }
        }
    }
}

// Code that is patched before each of its executions, many times over: every one must be of the latest patch. TRAPEZE_PATCHES is how
// often (ten million for a nightly run).

import Foundation
import Testing
import Translator
import VirtualCPU
import X86

@Suite struct PatchStormTests {
    private static let patches = ProcessInfo.processInfo.environment["TRAPEZE_PATCHES"].flatMap(UInt32.init) ?? 100_000

    enum Place: String, CaseIterable, Sendable {
        /// mov [1f + 1], ecx; 1: mov eax, imm32
        case nextInstruction
        /// mov [rbx + 1], ecx; call rbx, with mov eax, imm32; ret in a page that has nothing else
        case otherPage
        /// The same before and behind that page's end: the immediate crosses it.
        case acrossPages

        /// The code that patches, and executes what it has patched.
        var code: [UInt8] {
            switch self {
            case .nextInstruction: [0x89, 0x0d, 1, 0, 0, 0, 0xb8, 0, 0, 0, 0]
            case .otherPage, .acrossPages: [0x89, 0x4b, 0x01, 0xff, 0xd3]
            }
        }

        /// RBX, which the function is at.
        var function: UInt64 { HostileMachine.data + (self == .acrossPages ? 0xffd : 0) }
    }

    @Test(arguments: Place.allCases) func everyPatchIsExecuted(at place: Place) throws {
        let machine = try HostileMachine(TranslateEngine())
        // mov byte [rbx], 0b8h; mov byte [rbx + 5], 0c3h; mov ecx, patches; xor r8d, r8d
        let count = (0..<4).map { UInt8(truncatingIfNeeded: Self.patches >> (8 * $0)) }
        let prologue: [UInt8] = [0xc6, 0x03, 0xb8, 0xc6, 0x43, 0x05, 0xc3, 0xb9] + count + [0x45, 0x31, 0xc0]
        // 1: …; add r8, rax; dec ecx; jnz 1b; hlt
        let body = place.code + [0x49, 0x01, 0xc0, 0xff, 0xc9]
        let code = prologue + body + [0x75, UInt8(bitPattern: -Int8(body.count + 2)), 0xf4]
        let outcome = try machine.run(code, registers: [3: place.function])
        let expected = UInt64(Self.patches) * (UInt64(Self.patches) + 1) / 2
        #expect(outcome.exit == .halted && outcome.vector == nil)
        #expect(outcome.state.gpr[8] == expected, "\(Self.patches) patches (TRAPEZE_PATCHES)")
    }
}

// REP MOVS and REP STOS in translated code do what the interpreter's do: of all widths, within pages and across them, upwards and
// downwards, over themselves, into code, into what is not mapped or is a device.

import Foundation
import TestSupport
import Testing
import Translator
import VirtualCPU
import X86

@Suite struct RepeatedStringTests {
    private static let seed =
        ProcessInfo.processInfo.environment["TRAPEZE_STRING_SEED"].flatMap { UInt64($0) } ?? 20_261_127
    private static let data = HostileMachine.data

    /// Reads and writes a byte where the string begins, so that the TLB has the pages; the string; then what the flags are.
    /// mov dl, [rsi]; mov [rdi], dl; cmp eax, r8d; [std;] REP; pushf; pop rbx; cld; hlt
    private static func code(_ string: [UInt8], touches: Bool, down: Bool) -> [UInt8] {
        let touch: [UInt8] = touches ? [0x8a, 0x16, 0x88, 0x17] : []
        return touch + [0x44, 0x39, 0xc0] + (down ? [0xfd] : []) + string + [0x9c, 0x5b, 0xfc, 0xf4]
    }

    @Test func stringsDoWhatTheInterpreterDoes() throws {
        let reference = try HostileMachine(InterpretEngine())
        let translated = try HostileMachine(TranslateEngine(threshold: 0))
        print("repeated strings: TRAPEZE_STRING_SEED=\(Self.seed)")
        var random = SplitMix64(seed: Self.seed)
        func below(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }
        func place(_ size: Int) -> UInt64 {
            switch below(12) {
            case 0: return HostileMachine.code + UInt64(below(64))
            case 1: return HostileMachine.device + UInt64(below(64))
            case 2: return (2 << 20) - UInt64(below(4096))  // behind it nothing is mapped
            case 3: return 0x7fff_ffff_f000 + UInt64(below(8192))
            case 4...6: return Self.data + UInt64(below(64))
            default: return Self.data + UInt64(below(3 * 4096))
            }
        }
        for number in 0..<1500 {
            let width = below(4)
            let moves = below(2) == 0
            let opcode: UInt8 = (moves ? 0xa4 : 0xaa) | (width == 0 ? 0 : 1)
            var string: [UInt8] = width == 1 ? [0x66] : []
            string.append(below(8) == 0 ? 0xf2 : 0xf3)
            if width == 3 { string.append(0x48) }
            string.append(opcode)
            let whole = 4096 >> width
            let count = [0, 1, below(32), below(32), below(whole), whole, whole + 1, below(3 * whole)][below(8)]
            let code = Self.code(string, touches: below(4) != 0, down: below(6) == 0)
            let registers: [Int: UInt64] = [
                0: random.next(), 1: UInt64(count), 6: place(width), 7: place(width), 8: random.next(),
            ]
            let counted = below(3) == 0
            let expected = try reference.run(code, registers: registers, counted: counted)
            let actual = try translated.run(code, registers: registers, counted: counted)
            guard expected != actual else { continue }
            Issue.record("case \(number), \(code), \(registers): \(actual.differences(from: expected))")
            return
        }
    }
}

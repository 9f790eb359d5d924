// Random bytes through the decoder and through Zydis and Capstone, in every mode. TRAPEZE_DECODER_CASES sets how many byte
// strings in each, TRAPEZE_DECODER_SEED which.

import Disassemblers
import Foundation
import TestSupport
import Testing
import X86

/// Random byte strings, and numbers.
struct ByteSource {
    private var random: SplitMix64
    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    mutating func next() -> UInt64 { random.next() }

    private static let prefixes: [UInt8] = [
        0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x40, 0x41, 0x48, 0x4c, 0x4f,
    ]

    /// 32 bytes: prefixes more often than chance has them, and every opcode map as often as the others.
    mutating func instruction() -> [UInt8] {
        var bytes: [UInt8] = []
        // Now and then so many that the instruction gets too long.
        let least = next() % 16 == 0 ? Int(next() % 15) : 0
        while bytes.count < least || next() % 3 == 0, bytes.count < 16 { bytes.append(Self.prefixes[Int(next() % 16)]) }
        switch next() % 8 {
        case 0, 1: break
        case 2: bytes.append(0x0f)
        case 3: bytes += [0x0f, 0x38]
        case 4: bytes += [0x0f, 0x3a]
        case 5: bytes += [0xc4, UInt8(truncatingIfNeeded: next()) & 0xe0 | UInt8(next() % 4)]
        case 6: bytes.append(0xc5)
        default: bytes.append(0xd8 + UInt8(next() % 8))
        }
        while bytes.count < 32 {
            let word = next()
            bytes += (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
        }
        return Array(bytes.prefix(32))
    }
}

/// The decoders that are compared with.
enum Other: String, CaseIterable, Sendable {
    case zydis, capstone

    /// Why it is not to be had on this machine.
    var missing: String? {
        let reason = self == .zydis ? tz_zydis_open() : tz_capstone_open()
        return reason.map { String(cString: $0) }
    }

    func decode(_ bytes: UnsafeBufferPointer<UInt8>, _ mode: DecodedInstruction.Mode) -> tz_disassembly {
        var out = tz_disassembly()
        guard let start = bytes.baseAddress else { return out }
        switch self {
        case .zydis: tz_zydis_decode(mode.code, false, start, bytes.count, &out)
        case .capstone: tz_capstone_decode(mode.code, start, bytes.count, &out)
        }
        return out
    }

    /// Compares what begins with `bytes`. Returns the length by which to go on.
    func check(_ bytes: UnsafeBufferPointer<UInt8>, _ mode: DecodedInstruction.Mode, _ tally: inout Tally) -> Int {
        let ours = DecodedInstruction(bytes, mode: mode)
        let theirs = decode(bytes, mode)
        let difference = self == .zydis ? compare(ours, theirs) : compareWithCapstone(ours, theirs)
        if let difference {
            let why =
                self == .zydis
                ? explain(bytes, mode, ours, theirs) : explainCapstone(bytes, mode, ours, theirs)
            let shown = max(1, max(ours.length, Int(theirs.length)))
            tally.note(difference, explanation: why, bytes: Array(bytes.prefix(shown))[...], mode: "\(mode)")
        } else if ours.outcome == .valid {
            tally.agreed += 1
        } else {
            tally.invalid += 1
        }
        return max(1, Int(theirs.length))
    }
}

// One at a time: the libraries behind it are called from one thread.
@Suite(.serialized) struct RandomBytesTests {
    @Test(arguments: Other.allCases, DecodedInstruction.Mode.allCases)
    func agreesOnRandomBytes(other: Other, mode: DecodedInstruction.Mode) throws {
        if let reason = other.missing {
            print("skipped: \(reason)")
            return
        }
        let count = setting("TRAPEZE_DECODER_CASES", default: 100_000)
        let seed: UInt64 = setting("TRAPEZE_DECODER_SEED", default: 20_261_126)
        print("\(other), \(mode): \(count) byte strings, TRAPEZE_DECODER_SEED=\(seed)")
        var source = ByteSource(seed: seed)
        var tally = Tally()
        for _ in 0..<count {
            let bytes = source.instruction()
            _ = bytes.withUnsafeBufferPointer { other.check($0, mode, &tally) }
        }
        tally.report("\(other), \(mode)")
        #expect(tally.unexplained.isEmpty, "\(tally.unexplained.joined(separator: "\n"))")
        // A quarter of them are instructions.
        #expect(tally.agreed > Int(count) / 8)
    }
}

// Kernels damaged at random: whatever the bytes, a boot ends with a CPU state or a one-line error, quickly and without
// more memory than the guest has. TRAPEZE_FUZZ_CASES sets the number of cases, TRAPEZE_FUZZ_SEED the seed.

import Foundation
import Machine
import Memory
import TestSupport
import Testing
import VirtualCPU

@Suite struct BootFuzzTests {
    private static let cases = fuzzCases
    private static let seed: UInt64 = setting("TRAPEZE_FUZZ_SEED", default: 20_261_123)

    /// A file to damage, and the part of it in which the headers are.
    private struct Sample {
        let name: String
        let bytes: [UInt8]
        let headers: Range<Int>
    }

    private static let samples: [Sample] = {
        let wide = makePVHKernel()
        let narrow = makePVHKernel(wide: false)
        let multiboot = makeMultibootKernel()
        let code = makeMultibootHeader(flags: 3) + [UInt8](repeating: 0xf4, count: 100)
        let elf = makeELF(wide: false, entry: 0x10_000c, [Segment(physical: 0x10_0000, contents: code)])
        return [
            Sample(name: "bzImage", bytes: makeBzImage(payload: 0x800), headers: 0x1f1..<0x270),
            Sample(name: "PVH ELF64", bytes: wide, headers: 0..<256),
            Sample(name: "PVH ELF32", bytes: narrow, headers: 0..<192),
            Sample(name: "Multiboot", bytes: multiboot, headers: 0..<32),
            Sample(name: "Multiboot ELF", bytes: elf, headers: 0..<108),
        ]
    }()

    /// Values at which arithmetic goes wrong if it can.
    private static let edges: [UInt64] = [
        0, 1, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 32, .max >> 1, 1 << 63,
        .max - 0xfff,
        .max,
    ]

    @Test func survivesDamagedHeaders() throws {
        var random = SplitMix64(seed: Self.seed)
        var loaded = 0
        let memory = try GuestMemory(size: 32 << 20)
        for number in 0..<Self.cases {
            guard let sample = Self.samples.randomElement(using: &random) else { return }
            let bytes = Self.damage(sample, using: &random)
            do throws(BootError) {
                let state = try BootSource.kernel(bytes: bytes, commandLine: "quiet").load(into: memory)
                #expect(state.rip < 1 << 32, "case \(number) of seed \(Self.seed): \(sample.name)")
                loaded += 1
            } catch {
                let message = error.description
                #expect(
                    !message.contains("\n") && message.contains("kernel"),
                    "case \(number) of seed \(Self.seed): \(sample.name): \(message)")
            }
        }
        // Damage that nothing notices (a version's text, say) must not be all there is, nor must refusals.
        #expect(loaded > Self.cases / 100 && loaded < Self.cases * 99 / 100, "\(loaded) of \(Self.cases) loaded")
    }

    /// A copy with one to four changes: a bit, a byte, an integer from the edges, or an end.
    private static func damage(_ sample: Sample, using random: inout SplitMix64) -> [UInt8] {
        var file = ByteWriter()
        file.append(sample.bytes)
        for _ in 0..<Int.random(in: 1...4, using: &random) {
            let offset = Int.random(in: sample.headers, using: &random)
            let edge = edges.randomElement(using: &random) ?? 0
            switch Int.random(in: 0..<6, using: &random) {
            case 0: file.put(file.bytes[offset] ^ 1 << UInt8.random(in: 0..<8, using: &random), at: offset)
            case 1: file.put(UInt8.random(in: 0...255, using: &random), at: offset)
            case 2: file.put(UInt16(truncatingIfNeeded: edge), at: offset)
            case 3: file.put(UInt32(truncatingIfNeeded: edge), at: offset & ~3)
            case 4: file.put(edge, at: offset & ~7)
            default: file.put(UInt32.random(in: 0...0x400_0000, using: &random), at: offset & ~3)
            }
        }
        let cut = Int.random(in: 0..<20, using: &random) == 0
        return cut ? Array(file.bytes.prefix(Int.random(in: 0...file.count, using: &random))) : file.bytes
    }
}

// The allow-list as a whole: nothing dangerous is in it, nothing is listed twice, and its stubs fit their memory.

import Testing
import X86

@Suite struct NativeAllowListTests {
    private func contains(_ map: UInt8, _ opcode: UInt8, prefixes: Range<UInt8> = 0..<4, modrm: ClosedRange<UInt8>)
        -> Bool
    {
        for prefix in prefixes {
            for vex in [false, true] {
                for l in [false, true] {
                    for w in [false, true] {
                        for byte in modrm
                        where NativeAllowList.contains(
                            map: map, prefix: prefix, vex: vex, l: l, w: w, opcode: opcode, modrm: byte)
                        {
                            return true
                        }
                    }
                }
            }
        }
        return false
    }

    /// Instructions of the two-byte map that would harm the host, leak its state, or act on more than their operands.
    @Test(arguments: [
        ("system group, XGETBV, SWAPGS, RDTSCP, RDPKRU, WRPKRU, SMSW, SGDT", 0x00), ("the same", 0x01), ("LAR", 0x02),
        ("LSL", 0x03), ("SYSCALL", 0x05), ("CLTS", 0x06), ("SYSRET", 0x07), ("INVD", 0x08), ("WBINVD", 0x09),
        ("UD2", 0x0b), ("prefetches", 0x0d), ("FEMMS", 0x0e), ("3DNow!", 0x0f), ("prefetches, NOPs", 0x18),
        ("MPX, CET", 0x1a), ("MPX, CET", 0x1b), ("CLDEMOTE", 0x1c), ("RDSSP, ENDBR", 0x1e), ("MOV CR", 0x20),
        ("MOV DR", 0x21), ("MOV CR", 0x22), ("MOV DR", 0x23), ("WRMSR", 0x30), ("RDTSC", 0x31), ("RDMSR", 0x32),
        ("RDPMC", 0x33), ("SYSENTER", 0x34), ("SYSEXIT", 0x35), ("GETSEC", 0x37), ("VMREAD, EXTRQ", 0x78),
        ("VMWRITE, INSERTQ", 0x79), ("PUSH FS", 0xa0), ("CPUID", 0xa2), ("RSM", 0xaa), ("MOVNTI", 0xc3),
        ("CMPXCHG8B, RDRAND, RDPID, VMPTRLD, XRSTORS, UINTR", 0xc7), ("UD0", 0xff), ("UD1", 0xb9),
    ])
    func excludes(_ name: String, opcode: UInt8) { #expect(!contains(1, opcode, modrm: 0...255), "\(name)") }

    /// Of group 15 (FXSAVE, WRFSBASE, RDFSBASE, XRSTOR, fences, INCSSP, …) only VLDMXCSR and VSTMXCSR, which are written
    /// out.
    @Test func excludesStateInstructions() {
        for byte in 0...255 as ClosedRange<UInt8> {
            let isMXCSR = byte < 0xc0 && [2, 3].contains(byte >> 3 & 7)
            #expect(contains(1, 0xae, modrm: byte...byte) == isMXCSR)
        }
        #expect(
            !NativeAllowList.encodings.contains { $0.map == 1 && $0.opcode == 0xae && ($0.runsNatively || !$0.vex) })
    }

    /// INVEPT, INVVPID, INVPCID, MOVBE, WRSS, WRUSS, key locker, MOVDIRI, ENQCMD, AADD.
    @Test func excludesMap2() {
        for opcode in [0x80, 0x81, 0x82, 0xf0, 0xf1, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xd8] as [UInt8] {
            #expect(!contains(2, opcode, modrm: 0...255), "\(opcode)")
        }
        #expect(!contains(3, 0xf0, prefixes: 0..<3, modrm: 0...255))  // HRESET; F2 is RORX
    }

    /// Nothing of the one-byte map but x87, and of that nothing that is written out.
    @Test func listsOnlyComputationOfX87() {
        for opcode in 0...255 as ClosedRange<UInt8> where opcode < 0xd8 || opcode > 0xdf {
            #expect(!contains(0, opcode, modrm: 0...255))
        }
        let controlWords: [(UInt8, UInt8)] = [
            (0xd9, 4), (0xd9, 5), (0xd9, 6), (0xd9, 7), (0xdd, 4), (0xdd, 6), (0xdd, 7),
        ]
        for (opcode, reg) in controlWords {
            for mod in 0..<3 as Range<UInt8> {
                #expect(!contains(0, opcode, modrm: mod << 6 | reg << 3...mod << 6 | reg << 3 | 7))
            }
        }
        for modrm in [0xe2, 0xe3] as [UInt8] { #expect(!contains(0, 0xdb, modrm: modrm...modrm)) }
        #expect(!contains(0, 0xdf, modrm: 0xe0...0xe0))
    }

    /// EVEX doesn't exist here, and maps above 3 are nobody's.
    @Test func knowsFourMaps() {
        for map in 4...255 as ClosedRange<UInt8> {
            #expect(
                !NativeAllowList.contains(map: map, prefix: 0, vex: true, l: false, w: false, opcode: 0x58, modrm: 0xc0)
            )
        }
    }

    @Test func listsNothingTwice() {
        var seen: [String: String] = [:]
        for e in NativeAllowList.encodings {
            for l in e.ls {
                for w in e.vex ? e.ws : [false] {
                    for form in [e.takesRegister ? "r" : "", e.takesMemory ? "m" : "", e.hasModRM ? "" : "n"]
                    where form != "" {
                        let key =
                            "\(e.vex) \(e.map) \(e.prefix) \(e.opcode) \(e.modrmMask) \(e.modrmValue) \(l) \(w) \(form)"
                        #expect(seen[key] == nil, "\(e.mnemonic) and \(seen[key] ?? "")")
                        seen[key] = e.mnemonic
                    }
                }
            }
        }
        #expect(seen.count > 1500)
    }

    @Test func stubsFitTheirMemory() { #expect(NativeAllowList.largestCode < NativeAllowList.codeCapacity) }
}

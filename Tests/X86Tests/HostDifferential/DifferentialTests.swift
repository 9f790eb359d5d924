// Random user-mode instructions, run by the host CPU and by the interpreter from the same state: registers, all flags
// (undefined ones too), x87 and vector state, segments, memory and exceptions must be the same. TRAPEZE_DIFFERENTIAL_CASES and TRAPEZE_DIFFERENTIAL_SEED
// choose how many and which.

import Foundation
import HostCases
import TestSupport
import Testing
import X86

@Suite struct DifferentialTests {
    @Test func instructionsDoWhatTheHostDoes() throws {
        let count = setting("TRAPEZE_DIFFERENTIAL_CASES", default: 60_000)
        let seed: UInt64 = setting("TRAPEZE_DIFFERENTIAL_SEED", default: 20_261_126)
        print("differential: \(count) cases, TRAPEZE_DIFFERENTIAL_SEED=\(seed)")
        var generator = CaseGenerator(seed: seed)
        let host = try HostExecutor()
        let guest = try GuestExecutor(engine: InterpretEngine())
        var differences: [String] = []
        var vectors: [UInt64: Int] = [:]
        var done = 0
        var kinds: [String: Int] = [:]
        while done < count, differences.count < 400 {
            let cases = (0..<min(256, count - done)).map { _ in generator.next() }
            let expected = try host.run(cases)
            for (given, expected) in zip(cases, expected) {
                let actual = try guest.run(given)
                vectors[expected.vector, default: 0] += 1
                if let difference = describe(given, expected, actual) {
                    kinds[difference.kind, default: 0] += 1
                    if kinds[difference.kind, default: 0] <= 2 { differences.append(difference.text) }
                }
            }
            done += cases.count
        }
        print("exceptions by vector:", vectors.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" })
        for (kind, count) in kinds.sorted(by: { $0.key < $1.key }) { print("    DIFFERENT \(count) × \(kind)") }
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
        // Most instructions complete, and faults of each kind occur.
        #expect(vectors[3, default: 0] > count / 2)
        for vector: UInt64 in [0, 4, 5, 6, 13, 14, 16, 17, 19] {
            #expect(vectors[vector, default: 0] > 0, "vector \(vector)")
        }
    }
}

/// What is compared of RFLAGS: the six arithmetic flags, DF, NT, AC, ID.
private let comparedFlags: UInt64 = 0x8d5 | 1 << 10 | 1 << 14 | 1 << 18 | 1 << 21

private func registers(_ outcome: tz_host_outcome) -> [UInt64] {
    withUnsafeBytes(of: outcome.gpr) { Array($0.bindMemory(to: UInt64.self)) }
}

/// Nil if the outcomes are the same.
func describe(
    _ given: tz_host_case, _ host: tz_host_outcome, _ guest: tz_host_outcome
) -> (kind: String, text: String)? {
    var lines: [String] = []
    var differing: [String] = []
    func compare(_ name: String, _ host: UInt64, _ guest: UInt64, before: UInt64? = nil) {
        guard host != guest else { return }
        let was = before.map { ", was \(hex($0))" } ?? ""
        differing.append(name)
        lines.append("    \(name): host \(hex(host)), guest \(hex(guest))\(was)")
    }
    compare("vector", host.vector, guest.vector)
    compare("RIP", host.rip, guest.rip, before: given.rip)
    let flags = comparedFlags & ~given.ignored_flags
    compare("RFLAGS", host.flags & flags, guest.flags & flags, before: given.flags)
    let names = ["RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI"] + (8..<16).map { "R\($0)" }
    let before = withUnsafeBytes(of: given.gpr) { Array($0.bindMemory(to: UInt64.self)) }
    for (index, name) in names.enumerated() {
        compare(name, registers(host)[index], registers(guest)[index], before: before[index])
    }
    if host.vector == guest.vector, [10, 11, 12, 13, 14, 17].contains(host.vector) {
        // The host's kernel hides from its programs what lies beyond their part of the address space.
        let hidden: UInt64 = host.vector == 14 && host.address >= 0x7fff_ffff_f000 ? 1 : 0
        compare("error code", host.error | hidden, guest.error | hidden)
        // Which of its two operands CMPS reads first is the processor's business, and differs with REP.
        let isUnordered = host.vector == 14 && given.decoded.mnemonic.hasPrefix("cmps")
        // Of a whole image of state any byte in the page may be the one that is told.
        let name = given.decoded.mnemonic
        let isImage =
            ["fnstenv", "fldenv", "fnsave", "frstor"].contains(name)
            || ["fxsave", "fxrstor", "xsave", "xrstor"].contains { name.hasPrefix($0) }
        let ignored: UInt64 = isImage ? 0xfff : 0
        if host.vector == 14, !isUnordered { compare("CR2", host.address & ~ignored, guest.address & ~ignored) }
    }
    let segments = ["ES", "CS", "SS", "DS", "FS", "GS"]
    for (index, name) in segments.enumerated() {
        // The way through the host's kernel makes all null selectors 0 (SDM volume 2, IRET).
        let (a, b) = (selectors(host)[index], selectors(guest)[index])
        compare(name, a < 4 ? 0 : UInt64(a), b < 4 ? 0 : UInt64(b))
    }
    compare("FS base", host.fs_base, guest.fs_base)
    compare("GS base", host.gs_base, guest.gs_base)
    compareImages(given, host, guest) { compare($0, $1, $2, before: $3) }
    compare("first changed byte", host.first, guest.first)
    compare("changed bytes", host.count, guest.count)
    compare("hash of them", host.hash, guest.hash)
    guard !lines.isEmpty else { return nil }
    let code = withUnsafeBytes(of: given.code) { $0.prefix(Int(given.code_length)).map { hex(UInt64($0)) } }
    let mode = given.compatibility != 0 ? "32-bit" : "64-bit"
    var all = ["\(mode) \(code.joined(separator: " ")) at \(hex(given.rip))"] + lines
    for (name, outcome) in [("host", host), ("guest", guest)] where host.hash != guest.hash {
        let shown = withUnsafeBytes(of: outcome.span) { $0.prefix(Int(min(outcome.count, 32))).map { hex(UInt64($0)) } }
        all.append("    \(name) memory: \(shown.joined(separator: " "))")
    }
    all.append("    before: " + zip(names, before).map { "\($0)=\(hex($1))" }.joined(separator: " "))
    let differences = differing.joined(separator: ", ")
    let name = given.decoded.mnemonic
    return ("\(name): \(differences); vectors \(host.vector), \(guest.vector)", all.joined(separator: "\n"))
}

extension tz_host_case {
    /// The instruction under test.
    var decoded: DecodedInstruction {
        withUnsafeBytes(of: code) { bytes in
            DecodedInstruction(
                UnsafeBufferPointer(rebasing: bytes.bindMemory(to: UInt8.self)[..<Int(code_length)]),
                mode: compatibility != 0 ? .code32 : .code64)
        }
    }
}

private func selectors(_ outcome: tz_host_outcome) -> [UInt16] {
    withUnsafeBytes(of: outcome.selectors) { Array($0.bindMemory(to: UInt16.self)) }
}

/// What is compared of the XSAVE area: name, offset, bytes.
private let imageParts: [(name: String, offset: Int, size: Int)] = {
    var parts: [(name: String, offset: Int, size: Int)] = [
        ("FCW", 0, 2), ("FSW", 2, 2), ("FTW", 4, 1), ("FOP", 6, 2), ("FIP", 8, 8), ("FDP", 16, 8), ("MXCSR", 24, 4),
    ]
    for n in 0..<8 {
        parts.append(("ST\(n), significand", 32 + 16 * n, 8))
        parts.append(("ST\(n), exponent", 40 + 16 * n, 2))
    }
    for n in 0..<16 {
        for (half, offset) in [("X", 160), ("Y", 576)] {
            parts.append(("\(half)MM\(n), low", offset + 16 * n, 8))
            parts.append(("\(half)MM\(n), high", offset + 8 + 16 * n, 8))
        }
    }
    return parts
}()

private func compareImages(
    _ given: tz_host_case, _ host: tz_host_outcome, _ guest: tz_host_outcome,
    _ compare: (String, UInt64, UInt64, UInt64?) -> Void
) {
    func part(_ bytes: UnsafeRawBufferPointer, _ offset: Int, _ size: Int) -> UInt64 {
        var value: UInt64 = 0
        for n in 0..<size { value |= UInt64(bytes[offset + n]) << UInt64(8 * n) }
        return value
    }
    withUnsafeBytes(of: given.xsave) { before in
        withUnsafeBytes(of: host.xsave) { host in
            withUnsafeBytes(of: guest.xsave) { guest in
                // AMD's CPUs keep x87's pointers only while an unmasked exception is pending (APM volume 2, section 11.4.4).
                let noPointers = CaseGenerator.hostIsAMD && part(host, 2, 2) & 0x80 == 0
                for (name, offset, size) in imageParts where !noPointers || !(6..<24).contains(offset) {
                    let (a, b) = (part(host, offset, size), part(guest, offset, size))
                    if a != b { compare(name, a, b, part(before, offset, size)) }
                }
            }
        }
    }
}

private func hex(_ value: UInt64) -> String { String(value, radix: 16) }

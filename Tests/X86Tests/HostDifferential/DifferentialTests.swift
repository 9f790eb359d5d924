// Random integer instructions, run by the host CPU and by the interpreter from the same state: registers, all flags
// (undefined ones too), memory and exceptions must be the same. TRAPEZE_DIFFERENTIAL_CASES and TRAPEZE_DIFFERENTIAL_SEED
// choose how many and which.

import Foundation
import HostCases
import Testing
import X86

@Suite struct DifferentialTests {
    private static func setting(_ name: String, default value: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment[name].flatMap { UInt64($0) } ?? value
    }

    @Test func integerInstructionsDoWhatTheHostDoes() throws {
        let count = Int(Self.setting("TRAPEZE_DIFFERENTIAL_CASES", default: 60_000))
        let seed = Self.setting("TRAPEZE_DIFFERENTIAL_SEED", default: UInt64(Date().timeIntervalSince1970 * 1000))
        print("integer differential: \(count) cases, TRAPEZE_DIFFERENTIAL_SEED=\(seed)")
        var generator = CaseGenerator(seed: seed)
        let host = try HostExecutor()
        let guest = try GuestExecutor(engine: InterpretEngine())
        var differences: [String] = []
        var vectors: [UInt64: Int] = [:]
        var done = 0
        while done < count, differences.count < 20 {
            let cases = (0..<min(256, count - done)).map { _ in generator.next() }
            let expected = try host.run(cases)
            for (given, expected) in zip(cases, expected) {
                let actual = try guest.run(given)
                vectors[expected.vector, default: 0] += 1
                if let difference = describe(given, expected, actual) { differences.append(difference) }
            }
            done += cases.count
        }
        print("exceptions by vector:", vectors.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" })
        #expect(differences.isEmpty, "\(differences.joined(separator: "\n"))")
        // Most instructions complete, and faults of each kind occur.
        #expect(vectors[3, default: 0] > count / 2)
        for vector: UInt64 in [0, 6, 13, 14] { #expect(vectors[vector, default: 0] > 0) }
    }
}

/// What is compared of RFLAGS: the six arithmetic flags, DF, NT, AC, ID.
private let comparedFlags: UInt64 = 0x8d5 | 1 << 10 | 1 << 14 | 1 << 18 | 1 << 21

private func registers(_ outcome: tz_host_outcome) -> [UInt64] {
    withUnsafeBytes(of: outcome.gpr) { Array($0.bindMemory(to: UInt64.self)) }
}

/// Nil if the outcomes are the same.
func describe(_ given: tz_host_case, _ host: tz_host_outcome, _ guest: tz_host_outcome) -> String? {
    var lines: [String] = []
    func compare(_ name: String, _ host: UInt64, _ guest: UInt64, before: UInt64? = nil) {
        guard host != guest else { return }
        let was = before.map { ", was \(hex($0))" } ?? ""
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
        if host.vector == 14 { compare("CR2", host.address, guest.address) }
    }
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
    return all.joined(separator: "\n")
}

private func hex(_ value: UInt64) -> String { String(value, radix: 16) }

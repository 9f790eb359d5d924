// One vCPU of an engine for code that tries to break out: 64-bit supervisor code under 4-KiB page tables that it may change,
// device memory, handlers for every exception with a stack of their own that none of its pointers reach.

import Memory
import VirtualCPU

/// Reads as a pattern, and counts.
private final class PatternBus: Bus, @unchecked Sendable {
    func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }
    func writePort(_ port: UInt16, size: Int, value: UInt32) {}
    func readMMIO(_ address: UInt64, size: Int) -> UInt64 { address &* 0x0101_0101_0101_0101 ^ 0x5a }
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 { 0xff }
    func endOfInterrupt(vector: UInt8) {}
}

struct HostileMachine {
    /// Linear and guest-physical alike, in 4-KiB pages.
    static let code: UInt64 = 0x10_0000
    static let data: UInt64 = 0x14_0000
    static let stack: UInt64 = 0x18_0000
    /// Where page-table entries are that map the first 2 MiB, 8 bytes for each page.
    static let pageTable: UInt64 = 0x4000
    /// Linear addresses with a device behind them.
    static let device: UInt64 = 0x100_0000
    private static let handlers: UInt64 = 0x7000
    /// Where the handler of an exception is, 16 bytes.
    static func handler(of vector: UInt64) -> UInt64 { handlers + vector * 16 }
    private static let size: UInt64 = 2 << 20
    private static let pattern = (0..<Int(size)).map { UInt8(truncatingIfNeeded: $0 &* 13 &+ $0 >> 12) }
    private static let longestRun: UInt64 = 200_000

    private let memory: GuestMemory
    private let vm: any EngineVM
    private let cpu: any VirtualCPU
    private let initial: CPUState

    init(_ engine: any Engine) throws {
        memory = try GuestMemory(size: Self.size)
        vm = try engine.makeVM(
            EngineConfiguration(
                cpuModel: "host", vcpuCount: 1, clock: Clock(source: .host), memory: memory, bus: PatternBus()))
        for region in memory.regions { try vm.map(region) }
        cpu = try vm.makeVCPU(id: 0)
        var state = CPUState()
        let data = SegmentState(selector: 0x10, base: 0, limit: .max, attributes: 0xc093)
        for segment in [0, 2, 3, 4, 5] { state.segments[segment] = data }
        state.segments[1] = SegmentState(selector: 8, base: 0, limit: .max, attributes: 0xa09b)
        state.segments[7] = SegmentState(selector: 0x18, base: 0x6800, limit: 0x67, attributes: 0x8b)
        state.gdtr = TableState(base: 0x5000, limit: 0x27)
        state.idtr = TableState(base: 0x6000, limit: 0x1ff)
        state.cr0 = 0x8001_0033
        state.cr3 = 0x1000
        state.cr4 = 0x620
        state.msrs[0xc000_0080] = 0x500
        initial = state
    }

    private func put(_ address: UInt64, _ value: UInt64) throws {
        try memory.writeInteger(value, at: GuestPhysicalAddress(address))
    }

    /// Page tables, descriptor tables and handlers; everything else is a pattern.
    private func reset() throws {
        try memory.write(Self.pattern, at: GuestPhysicalAddress(0))
        for address in stride(from: UInt64(0x1000), to: 0x8000, by: 8) { try put(address, 0) }
        try put(0x1000, 0x2003)
        try put(0x2000, 0x3003)
        try put(0x3000, Self.pageTable | 3)
        for page in 0..<UInt64(512) { try put(Self.pageTable + page * 8, page << 12 | 3) }
        // 16 MiB: a device, where no memory is.
        try put(0x3000 + (Self.device >> 21) * 8, 0x4000_0083)
        try put(0x5008, 0x00af_9b00_0000_ffff)
        try put(0x5010, 0x00cf_9300_0000_ffff)
        try put(0x6800 + 0x24, 0x8000)  // IST1
        for vector in 0..<UInt64(32) {
            let handler = Self.handler(of: vector)
            try put(0x6000 + vector * 16, handler & 0xffff | 8 << 16 | 0x8e01 << 32)
            try put(handler, 0xf4)
        }
    }

    /// What code leaves behind.
    struct Outcome: Equatable {
        var exit: Exit
        var state: CPUState
        var memory: [UInt8]

        /// The exception whose handler halted; nil if the code halted itself.
        var vector: UInt64? {
            state.rip > handlers && state.rip < handlers + 0x200 ? (state.rip - handlers) >> 4 : nil
        }

        /// The first differences.
        func differences(from other: Outcome) -> String {
            var lines: [String] = []
            if exit != other.exit { lines.append("exit \(exit), expected \(other.exit)") }
            for n in 0..<16 where state.gpr[n] != other.state.gpr[n] {
                lines.append(
                    "r\(n): \(String(state.gpr[n], radix: 16)), expected \(String(other.state.gpr[n], radix: 16))")
            }
            func compare(_ name: String, _ value: UInt64, _ expected: UInt64) {
                if value != expected {
                    lines.append("\(name): \(String(value, radix: 16)), expected \(String(expected, radix: 16))")
                }
            }
            compare("rip", state.rip, other.state.rip)
            compare("rflags", state.rflags, other.state.rflags)
            compare("cr2", state.cr2, other.state.cr2)
            if let n = memory.indices.first(where: { memory[$0] != other.memory[$0] }) {
                lines.append("memory at \(String(n, radix: 16))")
            }
            if state.xsave != other.state.xsave { lines.append("floating-point or vector state") }
            return lines.joined(separator: "\n")
        }
    }

    /// Runs code at `code` to a HLT, its own or a handler's, or to a shutdown; or for a number of instructions, if it
    /// has neither.
    func run(_ code: [UInt8], registers: [Int: UInt64] = [:], counted: Bool = false) throws -> Outcome {
        try reset()
        try memory.write(code, at: GuestPhysicalAddress(Self.code))
        var state = initial
        state.gpr = (0..<16).map { 0x1111_1111 &* UInt64($0) }
        state.gpr[3] = Self.data
        state.gpr[4] = Self.stack
        for (number, value) in registers { state.gpr[number] = value }
        state.rip = Self.code
        try cpu.importState(state)
        let exit = cpu.run(budget: counted ? Self.longestRun : nil)
        var left = try cpu.exportState()
        left.tsc = 0
        return Outcome(
            exit: exit, state: left, memory: try memory.read(at: GuestPhysicalAddress(0), count: Int(Self.size)))
    }
}

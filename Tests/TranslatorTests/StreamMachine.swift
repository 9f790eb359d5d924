// One vCPU of an engine in 64-bit mode with memory, a bus without devices, and exception handlers that halt: runs a stream
// and says what it left behind.

import Memory
import Testing
import VirtualCPU

/// Reads as all ones.
private final class EmptyBus: Bus {
    func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }
    func writePort(_ port: UInt16, size: Int, value: UInt32) {}
    func readMMIO(_ address: UInt64, size: Int) -> UInt64 { .max }
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 { 0xff }
    func endOfInterrupt(vector: UInt8) {}
}

struct StreamMachine {
    static let code: UInt64 = 0x20_0000
    static let data: UInt64 = 0x30_0000
    static let stack: UInt64 = 0x40_8000
    private static let size: UInt64 = 8 << 20
    private static let longestRun = 20
    private static let tables: UInt64 = 0x1000, gdt: UInt64 = 0x5000, idt: UInt64 = 0x6000, handlers: UInt64 = 0x7000
    /// The code lies near the end of a page, so that streams cross into the next.
    private static let entry = code + 0xfc0

    private let memory: GuestMemory
    private let vm: any EngineVM
    private let cpu: any VirtualCPU
    private let initial: CPUState
    private var dirty: [UInt8] = []

    init(_ engine: any Engine) throws {
        memory = try GuestMemory(size: Self.size)
        vm = try engine.makeVM(
            EngineConfiguration(
                cpuModel: "host", vcpuCount: 1, clock: Clock(source: .host), memory: memory, bus: EmptyBus()))
        for region in memory.regions { try vm.map(region) }
        cpu = try vm.makeVCPU(id: 0)
        var state = CPUState()
        let data = SegmentState(selector: 0x10, base: 0, limit: .max, attributes: 0xc093)
        for segment in [0, 2, 3, 4, 5] { state.segments[segment] = data }
        state.segments[1] = SegmentState(selector: 8, base: 0, limit: .max, attributes: 0xa09b)
        state.gdtr = TableState(base: Self.gdt, limit: 0x17)
        state.idtr = TableState(base: Self.idt, limit: 0x1ff)
        state.cr0 = 0x8001_0033
        state.cr3 = Self.tables
        state.cr4 = 0x620
        state.msrs[0xc000_0080] = 0x500
        initial = state
        try writeTables()
    }

    private func writeTables() throws {
        func put(_ address: UInt64, _ value: UInt64) throws {
            try memory.writeInteger(value, at: GuestPhysicalAddress(address))
        }
        // The first GiB is mapped to itself.
        try put(Self.tables, Self.tables + 0x1003)
        try put(Self.tables + 0x1000, Self.tables + 0x2003)
        for page in 0..<UInt64(512) { try put(Self.tables + 0x2000 + page * 8, page << 21 | 0x83) }
        try put(Self.gdt + 8, 0x00af_9b00_0000_ffff)
        try put(Self.gdt + 16, 0x00cf_9300_0000_ffff)
        for vector in 0..<UInt64(32) {
            let handler = Self.handlers + vector * 16
            try put(Self.idt + vector * 16, handler & 0xffff | 8 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48)
            try put(handler, 0xf4)
        }
    }

    /// What a stream leaves behind.
    struct Outcome: Equatable {
        var state: CPUState
        var memory: [UInt8]
        /// How many runs it took.
        var runs: Int

        /// What differs, a line each.
        func differences(from other: Outcome) -> String {
            var lines: [String] = []
            func compare(_ name: String, _ value: UInt64, _ expected: UInt64) {
                if value != expected {
                    lines.append("\(name): \(String(value, radix: 16)), expected \(String(expected, radix: 16))")
                }
            }
            for n in 0..<16 { compare("r\(n)", state.gpr[n], other.state.gpr[n]) }
            compare("runs", UInt64(runs), UInt64(other.runs))
            compare("rip", state.rip, other.state.rip)
            compare("rflags", state.rflags, other.state.rflags)
            compare("cr2", state.cr2, other.state.cr2)
            if state.xsave != other.state.xsave { lines.append("floating-point or vector state") }
            for n in memory.indices where memory[n] != other.memory[n] {
                compare("memory + \(String(n, radix: 16))", UInt64(memory[n]), UInt64(other.memory[n]))
                if lines.count > 12 { break }
            }
            return lines.joined(separator: "\n")
        }
    }

    /// Runs a stream to its HLT, or to that of the handler that it faulted to: `budget` instructions at a time, or at once.
    /// Stops after some runs, wherever it is then.
    func run(_ code: [UInt8], registers: [UInt64], flags: UInt64, budget: UInt64?) throws -> Outcome {
        let areas: [(UInt64, Int)] = [(Self.data, 0xa000), (Self.stack - 0x4000, 0x8000)]
        for (address, count) in areas {
            try memory.write(
                (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }, at: GuestPhysicalAddress(address))
        }
        try memory.write(code, at: GuestPhysicalAddress(Self.entry))
        var state = initial
        state.gpr = registers
        state.rip = Self.entry
        state.rflags = flags
        try cpu.importState(state)
        var runs = 1
        var exit = cpu.run(budget: budget)
        while exit == .budgetSpent, runs < Self.longestRun {
            exit = cpu.run(budget: budget)
            runs += 1
        }
        try #require(exit == .halted || runs == Self.longestRun)
        var left = try cpu.exportState()
        left.tsc = 0
        var bytes: [UInt8] = []
        for (address, count) in areas { bytes += try memory.read(at: GuestPhysicalAddress(address), count: count) }
        return Outcome(state: left, memory: bytes, runs: runs)
    }
}

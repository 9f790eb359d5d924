// One vCPU of an engine in some mode with memory, a bus without devices, and exception handlers that halt: runs a stream
// and says what it left behind.

import Foundation
import Memory
import Synchronization
import Testing
import VirtualCPU

/// Reads as all ones.
final class EmptyBus: Bus {
    func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }
    func writePort(_ port: UInt16, size: Int, value: UInt32) {}
    func readMMIO(_ address: UInt64, size: Int) -> UInt64 { .max }
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 { 0xff }
    func endOfInterrupt(vector: UInt8) {}
}

struct StreamMachine {
    private static let size: UInt64 = 8 << 20
    private static let longestRun = 20

    let mode: StreamMode
    private let memory: GuestMemory
    private let vm: any EngineVM
    private let cpu: any VirtualCPU
    private let watch: Watch

    init(_ engine: any Engine, _ mode: StreamMode) throws {
        self.mode = mode
        memory = try GuestMemory(size: Self.size)
        vm = try engine.makeVM(
            EngineConfiguration(
                cpuModel: "host", vcpuCount: 1, clock: Clock(source: .host), memory: memory, bus: EmptyBus()))
        for region in memory.regions { try vm.map(region) }
        cpu = try vm.makeVCPU(id: 0)
        watch = Watch(cpu)
        try mode.writeTables(to: memory)
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
            if state.activity != other.state.activity {
                lines.append("\(state.activity), expected \(other.state.activity)")
            }
            if state.xsave != other.state.xsave { lines.append("floating-point or vector state") }
            for n in memory.indices where memory[n] != other.memory[n] {
                compare("memory + \(String(n, radix: 16))", UInt64(memory[n]), UInt64(other.memory[n]))
                if lines.count > 12 { break }
            }
            return lines.joined(separator: "\n")
        }
    }

    /// Runs a stream at an offset from the mode's code to its HLT, or to that of the handler that it faulted to: `budget`
    /// instructions at a time, or at once. Stops after some runs, wherever it is then. Nil for a stream that goes on for ever,
    /// as one may that has jumped to anywhere.
    func run(_ stream: Stream, at offset: UInt64, budget: UInt64?) throws -> Outcome? {
        for (address, count) in mode.areas {
            try memory.write(Self.filling(count), at: GuestPhysicalAddress(address))
        }
        try memory.write(stream.code, at: GuestPhysicalAddress(mode.code + offset))
        var state = mode.state
        state.gpr = stream.registers
        state.rip = mode.origin + offset
        state.rflags = stream.flags
        try cpu.importState(state)
        watch.streams.wrappingAdd(1, ordering: .relaxed)
        var runs = 1
        var kicks = 0
        var exit = cpu.run(budget: budget)
        while exit == .budgetSpent && runs < Self.longestRun || exit == .kicked && kicks < 3 {
            if exit == .kicked { kicks += 1 } else { runs += 1 }
            exit = cpu.run(budget: budget)
        }
        var left = try cpu.exportState()
        guard exit != .kicked else { return nil }
        // One may have overwritten the handlers.
        let hasEnded = exit == .halted || exit == .shutdown || runs == Self.longestRun
        try #require(hasEnded, "ended by \(exit) at \(left.rip)")
        left.tsc = 0
        var bytes: [UInt8] = []
        for (address, count) in mode.areas { bytes += try memory.read(at: GuestPhysicalAddress(address), count: count) }
        return Outcome(state: left, memory: bytes, runs: runs)
    }

    private static func filling(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    }
}

/// Kicks a vCPU that has been in one stream for seconds: it would be in it for ever.
private final class Watch: Sendable {
    let streams = Atomic<UInt64>(0)

    init(_ cpu: any VirtualCPU) {
        let thread = Thread { [weak self] in
            var seen: UInt64 = 0
            while let streams = self?.streams.load(ordering: .relaxed) {
                if streams == seen, streams != 0 { cpu.kick() }
                seen = streams
                Thread.sleep(forTimeInterval: 5)
            }
        }
        thread.start()
    }
}

/// Code, and the registers that it starts from.
struct Stream {
    var code: [UInt8]
    var registers: [UInt64]
    var flags: UInt64
}

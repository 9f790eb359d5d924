// What is left of a run: its console, its end, its counters and the machine's last state. Two runs of one guest in
// counted time must leave the same.

import Foundation
import Machine
import VirtualCPU

/// The remains of a run that was not disturbed.
struct FinishedRun: Sendable {
    var console: [UInt8]
    var end: TestMachine.End
    var counters: [Counters]
    var state: MachineState

    /// Runs a machine to its end.
    init(_ test: TestMachine, limit: Duration) async throws {
        end = await test.run(limit: limit)
        console = test.console.bytes
        counters = test.machine.counters()
        state = try test.machine.exportState()
    }
}

extension MachineState {
    /// The state after a way through text: what a snapshot file would hold.
    func throughJSON() throws -> MachineState {
        try JSONDecoder().decode(MachineState.self, from: JSONEncoder().encode(self))
    }

    /// The names of the parts in which two states differ, with their values where they are short; empty for none.
    func differences(from other: MachineState) -> [String] {
        var found: [String] = []
        if time != other.time { found.append("time: \(time), \(other.time)") }
        if engineChips != other.engineChips { found.append("the engine's chips") }
        for (index, (a, b)) in zip(cpus, other.cpus).enumerated() {
            found += differingFields(a, b).map { "vCPU \(index): \($0)" }
        }
        for name in Set(devices.devices.keys).union(other.devices.devices.keys).sorted() {
            let (a, b) = (devices.devices[name], other.devices.devices[name])
            func text(_ data: Data?) -> String { data.map { String(decoding: $0, as: UTF8.self) } ?? "none" }
            if a != b { found.append("\(name): \(text(a)), \(text(b))") }
        }
        if memory.map(\.address) != other.memory.map(\.address) { found.append("which pages are in use") }
        for (a, b) in zip(memory, other.memory) where a.bytes != b.bytes {
            let offset = zip(a.bytes, b.bytes).enumerated().first { $1.0 != $1.1 }?.offset ?? 0
            found.append("memory at 0x" + String(a.address + UInt64(offset), radix: 16))
        }
        return found
    }
}

/// The fields that two vCPUs' states do not have alike, with the values of both.
private func differingFields(_ a: CPUState, _ b: CPUState) -> [String] {
    zip(Mirror(reflecting: a).children, Mirror(reflecting: b).children).compactMap { first, second in
        let (x, y) = (inOrder(first.value), inOrder(second.value))
        return x == y ? nil : "\(first.label ?? "?"): \(x), \(y)"
    }
}

/// The text of a value; a dictionary's is in an order of its own in every run.
private func inOrder(_ value: Any) -> String {
    guard let registers = value as? [UInt32: UInt64] else { return "\(value)" }
    return "\(registers.sorted { $0.key < $1.key })"
}

// The whole state of a machine as a value: vCPUs, chips, devices, time and memory. A machine that was made for it goes on
// from there, on the same engine or another.

import Foundation
import Memory
import VirtualCPU

/// The state of a machine between two instructions.
public struct MachineState: Codable, Sendable {
    /// Clock time in nanoseconds.
    public var time: UInt64
    /// In counted time, the vCPU whose turn it is.
    public var turn: Int
    /// One state for each vCPU.
    public var cpus: [CPUState]
    /// Chips that the engine hosts outside its vCPUs.
    public var engineChips: ChipStates
    /// Everything else on the board.
    package var devices: DeviceStates
    /// RAM in bytes.
    public var memorySize: UInt64
    /// The contents of memory: every region, with its runs of non-zero pages.
    public var memory: [MemoryContents]

    /// A run of pages.
    public struct MemoryContents: Codable, Sendable {
        /// Guest-physical address of the first byte.
        public var address: UInt64
        /// Whole pages.
        public var bytes: Data
        /// Whether it lies in read-only memory, which is made anew by loading it.
        public var readOnly: Bool
    }
}

extension Machine {
    /// The whole state. Only while the machine is paused.
    public func exportState() throws(MachineError) -> MachineState {
        // Devices tell from the time what has happened; what has not been done about it yet would be lost.
        clock.settle()
        do {
            let (devices, (cpus, chips)) = try board.exportStates {
                (try vcpus.map { try $0.exportState() }, try engineVM.exportChips())
            }
            return MachineState(
                time: clock.now(), turn: countedThread?.turn ?? 0, cpus: cpus, engineChips: chips, devices: devices,
                memorySize: memory.size, memory: memory.regions.flatMap(contents))
        } catch {
            throw .state("\(error)")
        }
    }

    /// Makes a machine that goes on from a state when it starts. What the configuration boots is not loaded.
    public convenience init(
        _ configuration: MachineConfiguration, engine: any Engine, restoring state: MachineState
    ) throws(MachineError) {
        guard configuration.memorySize == state.memorySize, state.cpus.count == configuration.cpuCount else {
            throw .state("the state belongs to a machine with other memory or vCPUs")
        }
        try self.init(configuration, engine: engine, loading: false)
        do {
            for contents in state.memory where contents.readOnly {
                try memory.addROM(base: GuestPhysicalAddress(contents.address), contents: Array(contents.bytes))
            }
            for region in memory.regions where region.readOnly { try engineVM.map(region) }
            for contents in state.memory where !contents.readOnly {
                try memory.write(Array(contents.bytes), at: GuestPhysicalAddress(contents.address))
            }
            clock.set(to: state.time)
            try board.importStates(state.devices)
            try engineVM.importChips(state.engineChips)
            for (vcpu, cpu) in zip(vcpus, state.cpus) { try vcpu.importState(cpu) }
            if vcpus.indices.contains(state.turn) { countedThread?.turn = state.turn }
            board.restored()
        } catch {
            throw .state("\(error)")
        }
    }

    /// The runs of pages in a region that hold anything but zeros; a ROM is one run.
    private func contents(of region: MemoryRegion) -> [MachineState.MemoryContents] {
        func run(_ first: UInt64, _ end: UInt64) -> MachineState.MemoryContents {
            MachineState.MemoryContents(
                address: region.base.rawValue + first,
                bytes: Data(bytes: region.host + Int(first), count: Int(end - first)), readOnly: region.readOnly)
        }
        if region.readOnly { return [run(0, region.size)] }
        var runs: [MachineState.MemoryContents] = []
        // Looking at a page that nobody wrote would make the host provide it.
        for range in memory.populatedRanges(of: region) {
            var start: UInt64?
            for page in stride(from: range.lowerBound, to: range.upperBound, by: Int(pageSize)) {
                let words = UnsafeRawBufferPointer(start: region.host + Int(page), count: Int(pageSize))
                let used = words.bindMemory(to: UInt64.self).contains { $0 != 0 }
                if used, start == nil { start = page }
                if !used, let first = start {
                    runs.append(run(first, page))
                    start = nil
                }
            }
            if let first = start { runs.append(run(first, range.upperBound)) }
        }
        return runs
    }
}

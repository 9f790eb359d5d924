// A vCPU with memory and no devices, set up in a given mode: what the CPU's tests run guest code on.

import Foundation
import Memory
import Synchronization
import VirtualCPU
import X86

/// A bus that records what is written to it.
final class RecordingBus: Bus {
    let writes = Mutex<[(port: UInt16, value: UInt32)]>([])
    /// Microseconds that a write takes.
    let delay = Mutex<UInt32>(0)
    func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }
    func writePort(_ port: UInt16, size: Int, value: UInt32) {
        writes.withLock { $0.append((port, value)) }
        let delay = delay.withLock { $0 }
        if delay > 0 { usleep(delay) }
    }
    func readMMIO(_ address: UInt64, size: Int) -> UInt64 { .max }
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 { 0xff }
    func endOfInterrupt(vector: UInt8) {}
}

/// The modes that tests start in.
enum TestMode: CaseIterable, Sendable {
    case real16, protected32, long64
}

/// One vCPU of the interpreter with 16 MiB of memory; code lies at `codeAddress`, and all memory is mapped to itself.
struct TestMachine {
    static let codeAddress: UInt64 = 0x1000
    static let stackTop: UInt64 = 0x8000
    /// Page tables for long mode: one page each of PML4, PDPT and page directory with 2-MiB pages for 1 GiB.
    private static let tables: UInt64 = 0x10_0000

    let memory: GuestMemory
    let bus = RecordingBus()
    let vm: any EngineVM
    let vcpu: any VirtualCPU

    init(
        _ mode: TestMode, code: [UInt8], model: String = "host", clock: Clock = Clock(source: .host),
        isParavirtual: Bool = false, startDate: UInt64 = 0
    ) throws {
        memory = try GuestMemory(size: 16 << 20)
        vm = try InterpretEngine().makeVM(
            EngineConfiguration(
                cpuModel: model, vcpuCount: 1, clock: clock, memory: memory, bus: bus,
                isParavirtual: isParavirtual, startDate: startDate))
        for region in memory.regions { try vm.map(region) }
        vcpu = try vm.makeVCPU(id: 0)
        try memory.write(code, at: GuestPhysicalAddress(Self.codeAddress))
        if mode == .long64 { try writePageTables() }
        try vcpu.importState(Self.state(mode))
    }

    private func writePageTables() throws {
        let tables = Self.tables
        try memory.writeInteger(tables + 0x1000 | 7, at: GuestPhysicalAddress(tables))
        try memory.writeInteger(tables + 0x2000 | 7, at: GuestPhysicalAddress(tables + 0x1000))
        for index in 0..<512 as Range<UInt64> {
            try memory.writeInteger(index << 21 | 0x87, at: GuestPhysicalAddress(tables + 0x2000 + index * 8))
        }
    }

    /// A flat CPU state that is about to execute at `codeAddress`, interrupts off.
    static func state(_ mode: TestMode) -> CPUState {
        var state = CPUState()
        state.rip = codeAddress
        state.gpr[4] = stackTop
        guard mode != .real16 else {
            state.segments[1] = SegmentState(selector: 0, base: 0, limit: 0xffff, attributes: 0x9b)
            return state
        }
        let long = mode == .long64
        let data = SegmentState(selector: 0x10, base: 0, limit: .max, attributes: 0xc093)
        for segment in [0, 2, 3, 4, 5] { state.segments[segment] = data }
        state.segments[1] = SegmentState(selector: 8, base: 0, limit: .max, attributes: long ? 0xa09b : 0xc09b)
        state.cr0 = 0x11
        guard long else { return state }
        state.cr0 = 0x8000_0011
        state.cr3 = tables
        state.cr4 = 0x620  // PAE, OSFXSR, OSXMMEXCPT
        state.msrs[0xc000_0080] = 0x500  // LME, LMA
        return state
    }
}

// The guest's side of the comparison: a VM of the interpreter whose page tables put the same memory at the same linear
// addresses as in the executor's process, ring 3 included. Every exception vector leads to a HLT of its own.

import HostCases
import Memory
import Testing
import VirtualCPU
import X86

/// No devices.
private final class NoBus: Bus {
    func readPort(_ port: UInt16, size: Int) -> UInt32 { 0 }
    func writePort(_ port: UInt16, size: Int, value: UInt32) {}
    func readMMIO(_ address: UInt64, size: Int) -> UInt64 { 0 }
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 { 0 }
    func endOfInterrupt(vector: UInt8) {}
}

final class GuestExecutor {
    private let memory: GuestMemory
    private let vm: any EngineVM
    private let cpu: any VirtualCPU
    private var initial: CPUState
    private let data: UnsafeMutableRawPointer
    private let clean: UnsafeMutableRawPointer

    // Guest-physical layout
    private static let codePages: UInt64 = 0x10_0000
    private static let dataPages: UInt64 = 0x20_0000
    private static let system: UInt64 = 0x1_0000
    /// Where `system` is mapped for the supervisor: tables, handlers, stack, a page each.
    private static let kernel: UInt64 = 0xffff_8000_0000_0000
    private static let gdt = kernel, idt = kernel + 0x1000, tss = kernel + 0x2000
    private static let handlers = kernel + 0x3000, stackTop = kernel + 0x6000

    init(engine: any Engine) throws {
        memory = try GuestMemory(size: 4 << 20)
        let clock = Clock(source: .instructions)
        vm = try engine.makeVM(
            EngineConfiguration(cpuModel: "host", vcpuCount: 1, clock: clock, memory: memory, bus: NoBus()))
        for region in memory.regions { try vm.map(region) }
        cpu = try vm.makeVCPU(id: 0)
        initial = CPUState()
        data = try memory.hostPointer(GuestPhysicalAddress(Self.dataPages), count: Int(TZ_HOST_DATA_SIZE))
        clean = UnsafeMutableRawPointer.allocate(byteCount: Int(TZ_HOST_DATA_SIZE), alignment: 64)
        tz_host_fill(data)
        tz_host_fill(clean)
        try writePageTables()
        try writeSystemTables()
        initial = Self.userState()
    }

    deinit { clean.deallocate() }

    private func writePageTables() throws {
        func put(_ table: UInt64, _ index: UInt64, _ value: UInt64) throws {
            try memory.writeInteger(value, at: GuestPhysicalAddress(table + index * 8))
        }
        // Present, writable, user, accessed, dirty
        let user: UInt64 = 0x67
        let noExecute: UInt64 = 1 << 63
        try put(0x1000, 0, 0x2000 | user)
        try put(0x1000, 256, 0x6000 | user)
        try put(0x2000, 0, 0x3000 | user)
        try put(0x3000, UInt64(TZ_HOST_CODE) >> 21, 0x4000 | user)
        try put(0x3000, UInt64(TZ_HOST_DATA) >> 21, 0x5000 | user)
        try put(0x6000, 0, 0x7000 | user)
        try put(0x7000, 0, 0x8000 | user)
        for page in 0..<UInt64(TZ_HOST_CODE_SIZE) >> 12 {
            try put(0x4000, page, Self.codePages + page << 12 | user & ~2)
        }
        for page in 0..<UInt64(TZ_HOST_DATA_SIZE) >> 12 {
            let readOnly: UInt64 = page << 12 >= UInt64(TZ_HOST_DATA_WRITABLE) ? 2 : 0
            try put(0x5000, page, Self.dataPages + page << 12 | (user & ~readOnly) | noExecute)
        }
        for page in 0..<UInt64(8) { try put(0x8000, page, Self.system + page << 12 | 0x63) }
    }

    private func writeSystemTables() throws {
        func put(_ address: UInt64, _ value: UInt64) throws {
            try memory.writeInteger(value, at: GuestPhysicalAddress(address - Self.kernel + Self.system))
        }
        let descriptors: [UInt64] = [
            0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff,
            0x00af_fb00_0000_ffff,
        ]
        for (index, descriptor) in descriptors.enumerated() { try put(Self.gdt + UInt64(index) * 8, descriptor) }
        try put(Self.tss + 0x24, Self.stackTop)  // IST1
        try put(Self.tss + 0x60, 0xffff << 48)  // no I/O permission bit map
        for vector in UInt64(0)..<32 {
            let handler = Self.handlers + vector * 16
            // As in Linux, programs may call INT3 and INTO's gates.
            let rights: UInt64 = [3, 4].contains(vector) ? 0xee : 0x8e
            let low = handler & 0xffff | 8 << 16 | 1 << 32 | rights << 40 | (handler >> 16 & 0xffff) << 48
            try put(Self.idt + vector * 16, low)
            try put(Self.idt + vector * 16 + 8, handler >> 32)
            try put(handler, 0xf4)
        }
        try memory.write(
            [UInt8](repeating: 0xcc, count: Int(TZ_HOST_CODE_SIZE)), at: GuestPhysicalAddress(Self.codePages))
    }

    private static func userState() -> CPUState {
        var state = CPUState()
        let flat = SegmentState(selector: 0x2b, limit: .max, attributes: 0xc0f3)
        state.segments = [
            flat, SegmentState(), flat, flat, flat, flat, SegmentState(attributes: 0x1_0000), SegmentState(),
        ]
        state.segments[4] = SegmentState(selector: 0, base: UInt64(TZ_HOST_FS_BASE), limit: 0, attributes: 0x1_0000)
        state.segments[5] = SegmentState(selector: 0, base: UInt64(TZ_HOST_GS_BASE), limit: 0, attributes: 0x1_0000)
        state.segments[7] = SegmentState(selector: 0x40, base: tss, limit: 0x67, attributes: 0x8b)
        state.gdtr = TableState(base: gdt, limit: 0x7f)
        state.idtr = TableState(base: idt, limit: 0x1ff)
        state.cr0 = 0x8005_0033
        state.cr3 = 0x1000
        state.cr4 = 0x4_06a0 | (tz_host_has_fsgsbase() != 0 ? 1 << 16 : 0)
        state.xcr0 = 7
        state.msrs = [0xc000_0080: 0xd01]
        return state
    }

    // MARK: Running

    func run(_ given: tz_host_case) throws -> tz_host_outcome {
        var given = given
        var state = initial
        state.gpr = withUnsafeBytes(of: given.gpr) { Array($0.bindMemory(to: UInt64.self)) }
        state.rip = given.rip
        state.rflags = given.flags
        state.segments[1] =
            given.compatibility != 0
            ? SegmentState(selector: 0x23, limit: .max, attributes: 0xc0fb)
            : SegmentState(selector: 0x33, limit: .max, attributes: 0xa0fb)
        state.xsave = withUnsafeBytes(of: given.xsave) { Array($0) }
        let code = withUnsafeBytes(of: given.code) { Array($0.prefix(Int(given.code_length))) }
        let place = GuestPhysicalAddress(Self.codePages + given.rip - UInt64(TZ_HOST_CODE))
        try memory.write(code, at: place)
        tz_host_poke_all(data, &given)
        try cpu.importState(state)
        let exit = cpu.run(budget: 1_000_000)
        guard exit == .halted else { throw HostExecutorError(description: "the guest ended with \(exit)") }
        var outcome = try readOutcome()
        tz_host_compare(data, clean, &given, &outcome)
        tz_host_restore(data, clean, &given, &outcome)
        try memory.write([UInt8](repeating: 0xcc, count: code.count), at: place)
        return outcome
    }

    private func readOutcome() throws -> tz_host_outcome {
        let state = try cpu.exportState()
        var outcome = tz_host_outcome()
        withUnsafeMutableBytes(of: &outcome.gpr) { target in
            state.gpr.withUnsafeBytes { target.copyMemory(from: $0) }
        }
        outcome.vector = (state.rip - Self.handlers) >> 4
        func frame(_ slot: UInt64) throws -> UInt64 {
            try memory.readInteger(
                UInt64.self, at: GuestPhysicalAddress(Self.stackTop - 8 * slot - Self.kernel + Self.system))
        }
        outcome.gpr.4 = try frame(2)
        outcome.flags = try frame(3)
        outcome.rip = try frame(5)
        outcome.selectors = (
            state.segments[0].selector, UInt16(truncatingIfNeeded: try frame(4)),
            UInt16(truncatingIfNeeded: try frame(1)), state.segments[3].selector, state.segments[4].selector,
            state.segments[5].selector
        )
        outcome.fs_base = state.segments[4].base
        outcome.gs_base = state.segments[5].base
        withUnsafeMutableBytes(of: &outcome.xsave) { target in
            state.xsave.withUnsafeBytes { target.copyMemory(from: $0) }
        }
        if [10, 11, 12, 13, 14, 17].contains(outcome.vector) { outcome.error = try frame(6) }
        if outcome.vector == 14 { outcome.address = state.cr2 }
        return outcome
    }
}

// What the software CPU tells a trace. Sites on slow paths ask `traces` first, so that a run without a trace pays for a
// look at a mask; tracing single instructions makes the run loop go one by one.

import CPrimitives
import VirtualCPU

extension CPU {
    /// Whether events of a kind are traced.
    @inline(__always) func traces(_ events: TraceKinds) -> Bool { !owner.traced.isDisjoint(with: events) }

    /// Hands over an event that belongs to the instruction that executes, or lies between two.
    @inline(never) func trace(_ event: TraceEvent) { owner.vm.trace?.record(traceRecord(event)) }

    private func traceRecord(_ event: TraceEvent) -> TraceRecord {
        let place = exactPlace
        return TraceRecord(
            vcpu: owner.id, instructions: place.instructions, cs: segment(.cs).pointee.selector, rip: place.rip,
            mode: traceMode, cpl: cpl, event: event)
    }

    private var traceMode: TraceMode {
        guard protectedMode else { return .real }
        if virtual8086 { return .virtual8086 }
        let wide = state.pointee.code_width == 4
        if longMode { return in64BitMode ? .long : wide ? .compatibility32 : .compatibility16 }
        return wide ? .protected32 : .protected16
    }

    // MARK: Control registers

    /// CR0 to CR4 and CR8 as a trace knows them.
    private func tracedControlRegister(_ number: UInt8) -> (name: StaticString, value: UInt64) {
        switch number {
        case 0: ("CR0", state.pointee.cr0)
        case 2: ("CR2", state.pointee.cr2)
        case 3: ("CR3", state.pointee.cr3)
        case 4: ("CR4", state.pointee.cr4)
        default: ("CR8", UInt64(owner.localAPIC.taskPriority >> 4))
        }
    }

    /// Traces a register that `write` changes; not if that faults.
    @inline(__always)
    func tracingControlRegister(_ number: UInt8, _ write: () throws(GuestFault) -> Void) throws(GuestFault) {
        guard traces(.controlRegisters) else { return try write() }
        let (name, old) = tracedControlRegister(number)
        // In the mode of before.
        var record = traceRecord(.controlRegister(name: name, old: old, new: old))
        try write()
        record.event = .controlRegister(name: name, old: old, new: tracedControlRegister(number).value)
        owner.vm.trace?.record(record)
    }

    // MARK: Single instructions

    /// What is known of an instruction before it executes.
    struct InstructionTrace {
        fileprivate var record: TraceRecord
        fileprivate var bytes: [UInt8]
        fileprivate var gpr: [UInt64]
        fileprivate var rflags: UInt64
    }

    func beginInstructionTrace(_ i: Instruction) -> InstructionTrace {
        var bytes: [UInt8] = []
        var linear = in64BitMode ? rip : (rip &+ segment(.cs).pointee.base) & 0xffff_ffff
        for _ in 0..<i.pointee.length {
            // The block was decoded from these bytes, so fetching them cannot fault.
            guard let page = try? fetchPointer(linear) else { break }
            bytes.append(page.host.pointee)
            linear &+= 1
        }
        return InstructionTrace(
            record: traceRecord(.instruction(bytes: bytes, changes: [])), bytes: bytes, gpr: registers, rflags: rflags)
    }

    /// Hands over an instruction that has retired.
    func finishInstructionTrace(_ before: InstructionTrace) {
        var changes: [(name: StaticString, value: UInt64)] = []
        for (index, value) in registers.enumerated() where value != before.gpr[index] {
            changes.append((Self.registerNames[index], value))
        }
        if rflags != before.rflags { changes.append(("rflags", rflags)) }
        var record = before.record
        record.event = .instruction(bytes: before.bytes, changes: changes)
        owner.vm.trace?.record(record)
    }

    private var registers: [UInt64] {
        withUnsafeBytes(of: &state.pointee.gpr) { Array($0.bindMemory(to: UInt64.self)) }
    }

    private static let registerNames: [StaticString] = [
        "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    ]
}

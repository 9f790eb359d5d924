// The interpreter's loop: look up, execute a block, look whether anything needs attention, again.

import CPrimitives
import LocalAPIC
import VirtualCPU

extension SoftwareCPU {
    /// Runs until something needs a decision, or exactly `budget` instructions have retired.
    package func run(budget: UInt64?) -> Exit {
        beginRunning()
        defer { endRunning() }
        let limit = budget.map { state.pointee.instructions &+ $0 } ?? .max
        while true {
            // The budget comes first: an interrupt that waits when it ends is delivered by the next run.
            let remaining = limit &- state.pointee.instructions
            if remaining == 0 { return .budgetSpent }
            if tz_atomic_load(&state.pointee.attention) != 0, let exit = attend() { return exit }
            if let exit = step(remaining) { return exit }
        }
    }

    /// Executes the block at RIP, or its first `remaining` instructions, and delivers what they raise. Returns an exit when a
    /// debugger has a breakpoint there.
    @inline(__always) func step(_ remaining: UInt64) -> Exit? {
        do throws(GuestFault) {
            guard let block = try currentBlock() else { return takeDebugStop() }
            try execute(block, remaining: remaining)
        } catch { deliver(error) }
        return nil
    }

    /// Executes a block that was found at RIP, or its first `remaining` instructions.
    @inline(__always) func execute(_ block: UnsafeMutablePointer<Block>, remaining: UInt64) throws(GuestFault) {
        let special =
            state.pointee.shadow & Self.instructionShadow | state.pointee.breakpoints | state.pointee.debugging
            | state.pointee.tracing
        if _fastPath(special == 0 && remaining >= UInt64(block.pointee.count) && CPU(state).in64BitMode) {
            execute(block.pointee.instructions, count: Int(block.pointee.count))
        } else {
            try executeCarefully(block, remaining: remaining)
            noteStep()
        }
    }

    /// Delivers a fault that came up between instructions.
    func deliver(_ fault: GuestFault) {
        let cpu = CPU(state)
        cpu.raise(fault)
        cpu.deliverPendingFault()
        noteStep()
    }

    /// Blocking by STI and MOV SS lasts for one instruction.
    static let instructionShadow = UInt8(TZ_SHADOW_STI | TZ_SHADOW_MOV_SS)

    /// Executes instructions of a block from its beginning; leaves early when one of them ends the block or faults.
    @inline(__always)
    private func execute(_ first: UnsafeMutablePointer<tz_instruction>, count: Int) {
        let state = state
        var i = UnsafePointer(first)
        state.pointee.block_start = i
        state.pointee.block_end = i + count
        var rip = state.pointee.rip
        state.pointee.block_rip = rip
        repeat {
            rip &+= UInt64(i.pointee.length)
            state.pointee.rip = rip
            i.pointee.handler.unsafelyUnwrapped(state, i)
            i += 1
        } while UInt(bitPattern: i) < UInt(bitPattern: state.pointee.block_end)
        state.pointee.block_start = nil
        state.pointee.instructions &+= UInt64(i - UnsafePointer(first))
        if _slowPath(state.pointee.fault_pending != 0) {
            state.pointee.instructions &-= 1
            state.pointee.rip &-= UInt64((i - 1).pointee.length)
            CPU(state).deliverPendingFault(i - 1)
        }
    }

    /// The slow way into a block: one instruction at a time under a shadow, with breakpoints, TF or a debugger that steps;
    /// fewer than all when the budget ends or the code segment does.
    @inline(never)
    private func executeCarefully(_ block: UnsafeMutablePointer<Block>, remaining: UInt64) throws(GuestFault) {
        let cpu = CPU(state)
        var count = Int(min(UInt64(block.pointee.count), remaining))
        if !cpu.in64BitMode { count = min(count, try instructionsWithinLimit(block)) }
        cpu.beginInstruction()
        let stepping = state.pointee.breakpoints != 0
        let shadow = state.pointee.shadow & Self.instructionShadow
        let tracing = state.pointee.tracing != 0
        if stepping || tracing || shadow != 0 || state.pointee.debugging != 0 { count = 1 }
        // MOV SS holds instruction breakpoints back on Intel's CPUs, and not on AMD's.
        if stepping, shadow & UInt8(TZ_SHADOW_MOV_SS) == 0 || cpu.translation.pointee.vendor == .amd {
            try cpu.checkInstructionBreakpoint()
        }
        let trapFlag = state.pointee.system_flags & RFLAGS.tf != 0
        state.pointee.shadow &= ~Self.instructionShadow
        let before = state.pointee.instructions
        let start = state.pointee.rip
        let trace = tracing ? cpu.beginInstructionTrace(block.pointee.instructions) : nil
        execute(block.pointee.instructions, count: count)
        if let trace, state.pointee.instructions != before { cpu.finishInstructionTrace(trace) }
        if stepping || state.pointee.trap_after != 0, state.pointee.instructions != before {
            cpu.finishStep(block.pointee.instructions, start: start, trapFlag: trapFlag)
        }
    }

    /// How many of a block's instructions end within CS.limit; #GP(0) when the first does not (SDM volume 3, section 6.3).
    private func instructionsWithinLimit(_ block: UnsafeMutablePointer<Block>) throws(GuestFault) -> Int {
        let limit = UInt64(state.pointee.segments.1.limit)
        var end = state.pointee.rip
        if end &+ UInt64(block.pointee.size) &- 1 <= limit { return Int(block.pointee.count) }
        for index in 0..<Int(block.pointee.count) {
            end += UInt64(block.pointee.instructions[index].length)
            if end - 1 > limit {
                if index == 0 { throw .generalProtection() }
                return index
            }
        }
        return Int(block.pointee.count)
    }

    // MARK: Attention

    /// Looks at what happened between blocks. Returns an exit when the machine has to decide.
    @inline(never)
    func attend() -> Exit? {
        let cpu = CPU(state)
        if let exit = takeDebugStop() { return exit }
        if tz_atomic_load(&state.pointee.attention) & UInt64(TZ_ATTENTION_KICK) != 0 {
            _ = take(TZ_ATTENTION_KICK)
            state.pointee.counters.kicks += 1
            return .kicked
        }
        // Flags are taken before anything is looked at, so that what is posted meanwhile sets them again.
        let attention = take(
            TZ_ATTENTION_INVALIDATE | TZ_ATTENTION_STOP | TZ_ATTENTION_NMI | TZ_ATTENTION_INTERRUPT)
        if attention & UInt64(TZ_ATTENTION_INVALIDATE) != 0 { serveRequests() }
        takeStartupMessages()
        if state.pointee.activity == UInt8(TZ_SHUTDOWN) { return .shutdown }
        // Interrupts wait in the local APIC until after the startup IPI.
        if state.pointee.activity == UInt8(TZ_WAIT_FOR_SIPI) { return .waitingForStartup }
        let due = attention & UInt64(TZ_ATTENTION_NMI | TZ_ATTENTION_INTERRUPT)
        if due != 0, stealTime.isKept { cpu.updateStealTime() }
        if due != 0, holdsInterrupts {
            _ = tz_atomic_or(&state.pointee.attention, due)
        } else if due != 0, cpu.deliverDueInterrupt() {
            noteStep()
            return takeDebugStop()
        }
        return state.pointee.activity == UInt8(TZ_HALTED) ? .halted : nil
    }

    /// INIT and startup IPIs (SDM volume 3, sections 9.4 and 11.4.7.3).
    private func takeStartupMessages() {
        if localAPIC.takeINIT() {
            CPU(state).syncClock()
            if CPU(state).traces(.interrupts) { CPU(state).trace(.initialise) }
            initialise()
        }
        guard let vector = localAPIC.takeSIPI(), state.pointee.activity == UInt8(TZ_WAIT_FOR_SIPI) else { return }
        if CPU(state).traces(.interrupts) { CPU(state).trace(.startup(vector: vector)) }
        let cs = CPU(state).segment(.cs)
        cs.pointee.selector = UInt16(vector) << 8
        cs.pointee.base = UInt64(vector) << 12
        state.pointee.rip = 0
        state.pointee.activity = UInt8(TZ_ACTIVE)
        CPU(state).refreshDerivedState()
        _ = tz_atomic_or(&state.pointee.attention, UInt64(TZ_ATTENTION_NMI | TZ_ATTENTION_INTERRUPT))
    }

    /// Clears attention flags; what all were before.
    private func take(_ bits: Int) -> UInt64 { tz_atomic_and(&state.pointee.attention, ~UInt64(bits)) }
}

extension CPU {
    /// Delivers an NMI or the external interrupt with the highest priority if one may be taken now (SDM volume 3,
    /// section 6.9). True if one was.
    fileprivate func deliverDueInterrupt() -> Bool { withLocalAPIC { deliverDueInterrupt($0) } }

    private func deliverDueInterrupt(_ apic: LocalAPIC) -> Bool {
        let shadow = state.pointee.shadow
        if shadow & UInt8(TZ_SHADOW_NMI) != 0 { apic.mergeNMIs() }
        // MOV SS blocks NMIs, and STI does too, as on most CPUs (SDM volume 3, table 25-3, blocking by STI).
        if shadow == 0, apic.takeNMI() {
            state.pointee.activity = UInt8(TZ_ACTIVE)
            deliverNMI()
            _ = tz_atomic_or(&state.pointee.attention, UInt64(TZ_ATTENTION_INTERRUPT))
            return true
        }
        // A blocked NMI is looked for before every block until IRET, or until the shadow of STI or MOV SS
        // has passed.
        if apic.hasNMI, state.pointee.activity != UInt8(TZ_HALTED) {
            _ = tz_atomic_or(&state.pointee.attention, UInt64(TZ_ATTENTION_NMI))
        }
        guard let pending = apic.pendingInterrupt() else {
            state.pointee.interrupt_waits = 0
            return false
        }
        let isEnabled = state.pointee.system_flags & RFLAGS.if != 0
        guard isEnabled, shadow & ~UInt8(TZ_SHADOW_NMI) == 0 else {
            // A shadow passes with the next instruction; RFLAGS.IF is set by some that look again themselves.
            if isEnabled { _ = tz_atomic_or(&state.pointee.attention, UInt64(TZ_ATTENTION_INTERRUPT)) }
            if state.pointee.interrupt_waits == 0 { state.pointee.counters.interrupt_windows += 1 }
            state.pointee.interrupt_waits = 1
            return false
        }
        state.pointee.interrupt_waits = 0
        let vector: UInt8
        switch pending {
        case .fixed(let fixed):
            vector = fixed
            apic.acknowledge(fixed)
        case .external:
            syncClock()
            vector = owner.bus.acknowledgeInterrupt()
        }
        state.pointee.activity = UInt8(TZ_ACTIVE)
        deliverInterrupt(vector: vector)
        _ = tz_atomic_or(&state.pointee.attention, UInt64(TZ_ATTENTION_INTERRUPT))
        return true
    }
}

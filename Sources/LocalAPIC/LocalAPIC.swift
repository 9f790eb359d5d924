// The local APIC of one vCPU (SDM volume 3, chapter 11), shared by the software engines: storage, reset and state.
// Behaviour is in the extensions: +Delivery (any thread), +Interrupts, +Registers, +BaseMSR and +Timer.

import Synchronization
import VirtualCPU

/// What the local APIC offers its CPU.
public enum PendingInterrupt: Equatable, Sendable {
    /// A vector of its own: `LocalAPIC.acknowledge(_:)` takes it.
    case fixed(UInt8)
    /// The PIC pair's: `Bus.acknowledgeInterrupt()` gives the vector.
    case external
}

// Sendable: other threads touch the inbox, the routing words (atomics) and the timer (mutex) only.

/// A local APIC. What is marked "any thread" may be called from anywhere; everything else belongs to the vCPU's thread.
///
/// `attention` is called whenever something may have become deliverable, whichever thread made it so.
public final class LocalAPIC: @unchecked Sendable {
    /// What belongs to the vCPU's thread beside the register page.
    struct Core {
        /// The ID after RESET, which CPUID and x2APIC mode go by.
        var id: UInt32
        /// IA32_APIC_BASE.
        var base: UInt64 = 0
        /// Highest vector in IRR and in ISR; 0 for none.
        var highestRequest: UInt8 = 0
        var highestService: UInt8 = 0
        var processorPriority: UInt8 = 0
        /// LINT0 passes the PIC pair's INTR on.
        var passesINTR = false
        /// Errors seen since ESR was last written.
        var pendingErrors: UInt8 = 0
        /// The guest's time-stamp counter minus the clock.
        var tscOffset: UInt64 = 0
        var tscDeadline: UInt64 = 0
    }

    let clock: Clock
    let attention: @Sendable () -> Void
    let endOfInterrupt: @Sendable (UInt8) -> Void
    // SAFETY: allocated in init and freed in deinit; the vCPU's thread alone reads and writes the pointee.
    let core: UnsafeMutablePointer<Core>
    let page: RegisterPage
    let inbox = Inbox()
    /// ID in bits 31:0 and `Routing` flags above, for senders on other threads.
    let routing = Atomic<UInt64>(0)
    /// LDR, likewise.
    let routingLogical = Atomic<UInt32>(0)
    let timer = Mutex(TimerState())

    /// Where interprocessor interrupts go; the receiver passes them to `route(_:from:among:)`. Without it, an APIC that
    /// is alone delivers to itself. Set before the vCPU runs.
    public var sendIPI: (@Sendable (ICR) -> Bool)?

    /// Makes a local APIC after RESET. `attention` is called, on any thread, when something was posted that the vCPU must
    /// look at (it sets a flag and wakes the vCPU's thread); `endOfInterrupt` on the vCPU's thread for an EOI of a
    /// level-triggered vector.
    public init(
        id: UInt32, clock: Clock, attention: @escaping @Sendable () -> Void,
        endOfInterrupt: @escaping @Sendable (UInt8) -> Void
    ) {
        self.clock = clock
        self.attention = attention
        self.endOfInterrupt = endOfInterrupt
        core = .allocate(capacity: 1)
        core.initialize(to: Core(id: id))
        page = RegisterPage(base: .allocate(capacity: RegisterPage.count))
        page.base.initialize(repeating: 0, count: RegisterPage.count)
        timer.withLock { state in
            state.timer = ClockTimer(clock: clock) { [weak self] in self?.timerFired() }
        }
        reset()
    }

    deinit {
        timer.withLock { $0.timer?.disarm() }
        core.deallocate()
        page.base.deallocate()
    }

    // MARK: Reset

    /// The state after RESET; what was posted and not taken is gone.
    public func reset() {
        let fresh = LocalAPICState(id: core.pointee.id)
        core.pointee.base = fresh.base
        inbox.clear()
        resetRegisters()
    }

    /// The registers as RESET and INIT leave them (SDM volume 3, sections 11.4.7.1 and 11.4.7.3).
    func resetRegisters() {
        let fresh = LocalAPICState(id: core.pointee.id)
        for (index, value) in fresh.registers.enumerated() { page[index] = value }
        core.pointee.pendingErrors = 0
        core.pointee.tscDeadline = 0
        stopTimer()
        refresh()
    }

    /// Recomputes what is derived from the registers.
    func refresh() {
        core.pointee.highestRequest = page.highest(in: APICRegister.interruptRequest)
        core.pointee.highestService = page.highest(in: APICRegister.inService)
        updatePriority()
        updateRouting()
    }

    // MARK: State

    /// The whole state; the timer runs on.
    public func exportState() -> LocalAPICState {
        // An expiry meanwhile moves the deadline and is in the inbox at once: it is exported as the one or as the other.
        var deadline: UInt64?
        repeat {
            deadline = timer.withLock { $0.deadline }
            drain()
        } while deadline != timer.withLock { $0.deadline }
        var state = LocalAPICState(id: core.pointee.id)
        state.base = core.pointee.base
        page[APICRegister.currentCount] = currentCount()
        page[APICRegister.processorPriority] = UInt32(core.pointee.processorPriority)
        state.registers = (0..<RegisterPage.count).map { page[$0] }
        state.timerDeadline = deadline
        state.tscDeadline = core.pointee.tscDeadline
        state.pendingErrors = core.pointee.pendingErrors
        inbox.export(to: &state)
        return state
    }

    /// Takes a state in; false, with nothing changed, if it is malformed.
    @discardableResult public func importState(_ state: LocalAPICState) -> Bool {
        guard state.registers.count == RegisterPage.count, state.base & BaseMSR.invalid == 0 else { return false }
        core.pointee.id = state.id
        core.pointee.base = state.base
        for (index, value) in state.registers.enumerated() { page[index] = value }
        // No vector below 16 can be requested or in service.
        for group in [APICRegister.interruptRequest, APICRegister.inService] { page[group] &= 0xffff_0000 }
        core.pointee.tscDeadline = state.tscDeadline
        core.pointee.pendingErrors = state.pendingErrors
        inbox.import(state)
        restoreTimer(deadline: state.timerDeadline)
        refresh()
        attention()
        return true
    }
}

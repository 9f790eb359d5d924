// One software vCPU: owner of the hot state, its TLB, its decoded code and its local APIC.

import CPrimitives
import Foundation
import LocalAPIC
import Synchronization
import VirtualCPU

/// A vCPU of the software engines.
// Sendable: all but `kick`, the attention flags and the posted pages belongs to the one thread that runs the vCPU.
package final class SoftwareCPU: VirtualCPU, @unchecked Sendable {
    package let id: Int
    package unowned let vm: SoftwareVM
    /// Of the VM's model.
    let instructionSet: InstructionSet
    /// The VM's.
    let bus: any Bus
    private let clock: Clock
    // SAFETY: allocated here on a 64-byte boundary, freed by `deinit`; other threads touch `attention` only, atomically.
    package let state: UnsafeMutablePointer<tz_cpu>
    let localAPIC: LocalAPIC
    /// The same, for `CPU.withLocalAPIC`.
    let localAPICReference: Unmanaged<LocalAPIC>
    let codeCache = CodeCache()
    let cpuidAnswers = CPUIDAnswers()
    var joinedPages = JoinedPages()
    // Of one thread, and of functions that do not call each other back.
    @exclusivity(unchecked) var jumpCache = JumpCache()
    @exclusivity(unchecked) var jumpPages = JumpPages()
    var addressSpaces = AddressSpaces()
    @exclusivity(unchecked) var codeBytes = CodeBytes()
    /// What a debugger wants of this vCPU.
    var debug = DebugWork()
    /// MSRs that are stored, with no effect on a software CPU.
    var storedRegisters = StoredRegisters()
    /// The account of steal time.
    @exclusivity(unchecked) var stealTime = StealTime()
    /// A state was imported: the guest's clock page may tell another time than the counter does now.
    var paravirtualClockIsStale = false
    /// The time of a clock that counts instructions.
    private let countedTime: UnsafeMutablePointer<UInt64>?
    /// The same while this vCPU runs: set whenever something may look (`CPU.syncClock`), and when the run ends.
    private(set) var runningTime: UnsafeMutablePointer<UInt64>?
    /// That time minus this vCPU's instructions.
    private(set) var timeBase: UInt64 = 0
    /// What is traced.
    let traced: TraceKinds

    /// Whoever keeps something that was made from decoded code.
    package weak var codeObserver: (any CodeObserver)? {
        didSet { codeCache.observer = codeObserver }
    }
    /// What a block's code depends on beside its bytes: the mode, and for generated code the TLB context too.
    package var blockModeMask: UInt64 = 15

    /// Where the TLB and a table for indirect jumps of generated code lie, from the state in bytes.
    package static let tlbOffset = (MemoryLayout<tz_cpu>.size + 63) & ~63
    package static let jumpTableOffset = (tlbOffset + TLB.size + 63) & ~63
    /// Bytes reserved for it; nothing here touches them.
    package static let jumpTableSize = Int(TZ_JUMP_ENTRIES) * MemoryLayout<tz_jump_entry>.stride
    private static let stackSize = Int(TZ_STACK_BELOW_STATE)

    /// What other threads ask of this vCPU's decoded code and TLB.
    let requests = CodeRequests()
    private let alarm: Alarm

    init(id: Int, vm: SoftwareVM) {
        self.id = id
        self.vm = vm
        instructionSet = vm.model.instructions
        bus = vm.bus
        clock = vm.clock
        let alarm = Alarm()
        self.alarm = alarm
        let stateSize = Self.tlbOffset
        // Generated code finds everything at fixed distances from the state, its stack included.
        let memory =
            UnsafeMutableRawPointer.allocate(
                byteCount: Self.stackSize + Self.jumpTableOffset + Self.jumpTableSize, alignment: 64) + Self.stackSize
        memory.initializeMemory(as: UInt8.self, repeating: 0, count: stateSize)
        let state = memory.bindMemory(to: tz_cpu.self, capacity: 1)
        self.state = state
        let tlb = TLB.initialise(memory + Self.tlbOffset)
        state.pointee.tlb = tlb
        state.pointee.tlb_read = tlb
        state.pointee.tlb_write = tlb
        state.pointee.tlb_fetch = tlb
        countedTime = vm.clock.source == .instructions ? vm.clock.counted : nil
        traced = vm.trace?.events ?? []
        state.pointee.tracing = traced.contains(.instructions) ? 1 : 0
        let flags = AttentionFlags(state)
        localAPIC = LocalAPIC(
            id: UInt32(id), clock: vm.clock,
            attention: {
                flags.set(TZ_ATTENTION_INTERRUPT | TZ_ATTENTION_NMI)
                alarm.ring()
            },
            endOfInterrupt: { [bus = vm.bus] vector in bus.endOfInterrupt(vector: vector) })
        localAPICReference = .passUnretained(localAPIC)
        state.pointee.context = Unmanaged.passUnretained(self).toOpaque()
        CPU(state).initialiseMicroTLB()
        CPU(state).memoryMapChanged()
        reset()
    }

    deinit {
        (UnsafeMutableRawPointer(state) - Self.stackSize).deallocate()
    }

    /// RESET: everything but memory.
    func reset() { load(CPUState(apicID: UInt32(id))) }

    // MARK: Other threads

    package func kick() {
        AttentionFlags(state).set(TZ_ATTENTION_KICK)
        alarm.ring()
    }

    /// The run loop looks up between blocks: the vCPU's own thread asks for it.
    func requestAttention() { AttentionFlags(state).set(TZ_ATTENTION_STOP) }

    /// Something was added to `requests`. Any thread.
    func noteRequest() { AttentionFlags(state).set(TZ_ATTENTION_INVALIDATE) }

    package func waitForEvent(nanoseconds: UInt64?) {
        alarm.wait(nanoseconds: nanoseconds) { tz_atomic_load(&state.pointee.attention) != 0 }
    }

    // MARK: Time and counters

    /// From here on retired instructions are time, if the clock counts them.
    func startCounting() {
        guard let countedTime else { return }
        runningTime = countedTime
        timeBase = countedTime.pointee &- state.pointee.instructions
    }

    func stopCounting() {
        CPU(state).syncClock()
        runningTime = nil
    }

    /// The time-stamp counter now, offset applied.
    func timeStampCounter() -> UInt64 {
        CPU(state).syncClock()
        return clock.now() &+ state.pointee.tsc_offset
    }

    package func counters() -> Counters {
        let raw = state.pointee.counters
        var counters = Counters()
        counters.instructions = state.pointee.instructions
        counters.portAccesses = raw.port_accesses
        counters.mmioAccesses = raw.mmio_accesses
        counters.halts = raw.halts
        counters.exceptions = raw.exceptions
        counters.pageFaults = raw.page_faults
        counters.interrupts = raw.interrupts
        counters.interruptWindows = raw.interrupt_windows
        counters.controlRegisterAccesses = raw.control_register_accesses
        counters.msrAccesses = raw.msr_accesses
        counters.cpuidInstructions = raw.cpuid_instructions
        counters.hypercalls = raw.hypercalls
        counters.tlbMisses = raw.tlb_misses
        counters.tlbFlushes = raw.tlb_flushes
        counters.blocksDecoded = raw.blocks_decoded
        counters.codeInvalidations = raw.code_invalidations
        counters.kicks = raw.kicks
        return counters
    }
}

/// The one part of the hot state that other threads touch.
private struct AttentionFlags: @unchecked Sendable {
    // SAFETY: used only while the vCPU lives: its local APIC, its VM and its machine hold it.
    private let state: UnsafeMutablePointer<tz_cpu>

    init(_ state: UnsafeMutablePointer<tz_cpu>) { self.state = state }

    func set(_ bits: Int) { tz_request_attention(state, UInt64(bits)) }
}

/// Wakes a halted vCPU's thread.
private final class Alarm: Sendable {
    private let condition = NSCondition()
    /// Somebody waits. Who rings has set its flag before it looks here, and who waits looks at the flags after saying so.
    private let waiting = Atomic<Bool>(false)

    func ring() {
        guard waiting.load(ordering: .sequentiallyConsistent) else { return }
        condition.lock()
        condition.broadcast()
        condition.unlock()
    }

    /// Sleeps until `done`, looked at after each ring, or for the given time.
    func wait(nanoseconds: UInt64?, until done: () -> Bool) {
        condition.lock()
        waiting.store(true, ordering: .sequentiallyConsistent)
        defer {
            waiting.store(false, ordering: .sequentiallyConsistent)
            condition.unlock()
        }
        guard let nanoseconds else {
            while !done() { condition.wait() }
            return
        }
        let deadline = Date(timeIntervalSinceNow: Double(nanoseconds) / 1e9)
        while !done(), condition.wait(until: deadline) {}
    }
}

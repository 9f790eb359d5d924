// Lockstep: two engines run one machine. The leader owns the devices; the follower has memory of its own and is told what
// the leader was told. After every slice their states are compared, and from time to time their memory.
//
// To the machine the pair is one engine. It must run in counted time, where a machine depends on nothing but its guest
// and its devices; all of this file then happens on the machine's one vCPU thread.

import Foundation
import Memory
import Synchronization
import VirtualCPU

/// How closely two engines are compared.
public struct LockstepOptions: Sendable {
    /// After how much of the guest's code states are compared.
    public enum Grain: Sendable, Equatable {
        /// Whenever the machine decides something: at timers, at the end of a vCPU's turn, when a vCPU halts.
        case event
        /// After each block of straight-line code that the leader knows.
        case block
        /// After each instruction.
        case instruction
        /// After so many instructions, 1 or more.
        case every(UInt64)
    }

    /// The grain from `fromInstruction` on; before, it is that of events.
    public var grain = Grain.event
    /// Instructions of all vCPUs after which the grain begins to count.
    public var fromInstruction: UInt64 = 0
    /// Memory is compared after so many instructions, and at the end.
    public var memoryInterval: UInt64 = 1 << 24

    /// The coarsest grain.
    public init() {}
}

/// What a lockstep run has come to.
public struct LockstepSummary: Sendable {
    /// Instructions of all vCPUs that both engines have executed.
    public var instructions: UInt64 = 0
    /// How often a vCPU's states were compared.
    public var comparisons: UInt64 = 0
    /// How often all of memory that was written was compared.
    public var memoryComparisons: UInt64 = 0
    /// The first difference.
    public var difference: Difference?
    /// Why there is no verdict: an error of an engine's or of the host's.
    public var failure: EngineError?
}

// Sendable: everything belongs to the machine's vCPU thread, and to the caller once the machine has ended; what others
// touch is atomic or under a mutex.
/// Two engines on one way.
public final class Lockstep: @unchecked Sendable {
    let reference: any Engine
    let against: any Engine
    let options: LockstepOptions

    private var model: EngineConfiguration?
    private var leaderVM: (any EngineVM)?
    private var leaders: [any VirtualCPU] = []
    private var follower: Replica?
    private(set) var recorder: Recorder?
    private var checkpoint: Checkpoint?
    private var eventsBefore = 0
    private var summary = LockstepSummary()
    private let executed = Atomic<UInt64>(0)

    /// The vCPU whose leader runs, and the thread that runs it.
    private let running = Mutex<(vcpu: Int, thread: pthread_t)?>(nil)
    private let kicked = Mutex<Set<Int>>([])

    /// Prepares a comparison of `against` with `reference`. For one machine.
    public init(reference: any Engine, against: any Engine, options: LockstepOptions = LockstepOptions()) {
        self.reference = reference
        self.against = against
        self.options = options
    }

    /// The pair as an engine, for the machine.
    public var engine: any Engine { LockstepEngine(lockstep: self) }

    /// Instructions so far. Any thread.
    public var instructions: UInt64 { executed.load(ordering: .relaxed) }

    // MARK: Making

    func makeVM(_ configuration: EngineConfiguration) throws(EngineError) -> any EngineVM {
        guard model == nil else { throw EngineError("a lockstep is for one machine") }
        guard configuration.clock.source == .instructions else {
            throw EngineError("lockstep needs a clock that counts instructions")
        }
        let recorder = Recorder(clock: configuration.clock)
        var own = configuration
        own.bus = RecordingBus(configuration.bus, recorder)
        let vm = try reference.makeVM(own)
        let follower = try Replica(against, like: configuration)
        (model, leaderVM, self.follower, self.recorder) = (configuration, vm, follower, recorder)
        configuration.memory.observeWrites { [weak self] address, count in self?.memoryWritten(address, count) }
        return LockstepVM(lockstep: self, leader: vm, recorder: recorder)
    }

    func map(_ region: MemoryRegion) throws(EngineError) {
        try leaderVM?.map(region)
        // The follower has RAM of the same size already.
        if region.readOnly { try follower?.addROM(like: region) }
    }

    func makeVCPU(_ id: Int) throws(EngineError) -> any VirtualCPU {
        guard let leaderVM else { throw EngineError("no VM") }
        let leader = try leaderVM.makeVCPU(id: id)
        leaders.append(leader)
        return LockstepVCPU(id: id, lockstep: self, leader: leader)
    }

    func importState(_ state: CPUState, vcpu: Int) throws(EngineError) {
        try leaders[vcpu].importState(state)
        if let model { follower?.clock.set(to: model.clock.now()) }
        try follower?.vcpus[vcpu].importState(state)
    }

    /// A loader or a device has written to memory.
    private func memoryWritten(_ address: GuestPhysicalAddress, _ count: UInt64) {
        guard let model, let follower, let bytes = try? model.memory.read(at: address, count: Int(count)) else {
            return
        }
        if checkpoint == nil {
            // Read-only memory that the follower does not have yet comes with its mapping.
            try? follower.memory.write(bytes, at: address)
        } else {
            recorder?.note(.write(address: address.rawValue, bytes: bytes))
        }
    }

    // MARK: Running

    func run(_ vcpu: Int, budget: UInt64?) -> Exit {
        do throws(EngineError) {
            if checkpoint == nil { try takeFirstCheckpoint() }
            var left = budget ?? .max
            while left > 0 {
                if let failure = summary.failure { throw failure }
                guard summary.difference == nil else { throw EngineError("the engines differ") }
                if kicked.withLock({ $0.remove(vcpu) }) != nil { return .kicked }
                let (exit, done) = try runSlice(vcpu, size: min(left, sliceSize(vcpu)))
                left -= done
                if exit != .budgetSpent, summary.difference == nil { return exit }
            }
            return .budgetSpent
        } catch {
            if summary.difference == nil { summary.failure = error }
            return .failed(error)
        }
    }

    /// How far to go before states are compared.
    private func sliceSize(_ vcpu: Int) -> UInt64 {
        let untilMemory = options.memoryInterval - min(recorder?.journal.instructions ?? 0, options.memoryInterval - 1)
        // A kick from outside waits for the end of a slice.
        let longest = min(untilMemory, 1 << 20)
        guard summary.instructions >= options.fromInstruction else {
            return min(longest, options.fromInstruction - summary.instructions)
        }
        switch options.grain {
        case .event: return longest
        case .instruction: return 1
        case .every(let count): return min(longest, max(count, 1))
        case .block: return min(longest, UInt64(max((leaders[vcpu] as? any BlockExecution)?.nextBlockLength ?? 1, 1)))
        }
    }

    private func runSlice(_ vcpu: Int, size: UInt64) throws(EngineError) -> (Exit, UInt64) {
        guard let model, let follower, let recorder else { throw EngineError("no VM") }
        let start = model.clock.now()
        let before = recorder.journal.between
        recorder.journal.between = []
        running.withLock { $0 = (vcpu, pthread_self()) }
        let exit = leaders[vcpu].run(budget: size)
        running.withLock { $0 = nil }
        if case .failed(let error) = exit { throw error }
        let done = model.clock.now() - start
        let slice = Slice(
            vcpu: vcpu, before: before, start: start, instructions: done, end: Slice.End(exit) ?? .count,
            exchanges: recorder.journal.exchanges.count)
        recorder.journal.slices.append(slice)
        recorder.journal.instructions += done
        summary.instructions += done
        executed.store(summary.instructions, ordering: .relaxed)

        var found = newDifference(vcpu)
        found.departure = follower.follow(slice, recorder.journal.exchanges)
        let (mine, other) = (try leaders[vcpu].exportState(), try follower.vcpus[vcpu].exportState())
        if mine != other { found.cpus.append((vcpu, mine, other)) }
        summary.comparisons += 1
        if found.isThere {
            try narrow(found)
        } else if recorder.journal.instructions >= options.memoryInterval || recorder.journal.isLong {
            try compareAll(vcpu)
        }
        return (exit, done)
    }

    private func newDifference(_ vcpu: Int) -> Difference {
        Difference(
            lastSame: checkpoint?.instructions ?? 0, firstDifferent: summary.instructions, isExact: false,
            time: model?.clock.now() ?? 0, events: eventsBefore + (recorder?.journal.exchanges.count ?? 0), vcpu: vcpu)
    }

    // MARK: Checkpoints

    private func takeFirstCheckpoint() throws(EngineError) {
        guard let model, let follower, let recorder else { throw EngineError("no VM") }
        let copy: GuestMemory
        do throws(GuestMemoryError) {
            copy = try GuestMemory(size: model.memory.size)
            for region in model.memory.regions where region.readOnly {
                let contents = [UInt8](UnsafeRawBufferPointer(start: region.host, count: Int(region.size)))
                try copy.addROM(base: region.base, contents: contents)
            }
        } catch {
            throw EngineError(error.description)
        }
        for region in model.memory.regions where !region.readOnly { copy.copyPages(of: region) { $0 != 0 } }
        // What the devices did while they were wired.
        follower.clock.set(to: model.clock.now())
        follower.begin(
            Slice(
                vcpu: 0, before: recorder.journal.between, start: model.clock.now(), instructions: 0, end: .count,
                exchanges: 0))
        recorder.journal.between = []
        checkpoint = Checkpoint(memory: copy, cpus: [], time: 0, instructions: 0)
        try compareAll(0)
    }

    /// Compares all states and all memory that was written. What is the same becomes the next checkpoint.
    private func compareAll(_ vcpu: Int) throws(EngineError) {
        guard let model, let leaderVM, let follower, let recorder else { throw EngineError("no VM") }
        var found = newDifference(vcpu)
        var cpus: [CPUState] = []
        for leader in leaders { cpus.append(try leader.exportState()) }
        found.compare(cpus, try follower.states())
        var written: [(MemoryRegion, Set<Int>)] = []
        for region in model.memory.regions where !region.readOnly {
            guard let own = follower.memory.regions.first(where: { $0.base == region.base }) else { continue }
            let pages = Set(try leaderVM.takeDirtyPages(region)).union(try follower.vm.takeDirtyPages(own))
            for page in pages.sorted() {
                if let page = model.memory.difference(page, of: region, from: follower.memory) { found.add(page) }
            }
            written.append((region, pages))
        }
        summary.memoryComparisons += 1
        if found.isThere { return try narrow(found) }
        for (region, pages) in written { for page in pages { checkpoint?.memory.copyPage(page, of: region) } }
        checkpoint?.cpus = cpus
        checkpoint?.time = model.clock.now()
        checkpoint?.instructions = summary.instructions
        eventsBefore += recorder.journal.exchanges.count
        recorder.journal = Journal()
        follower.exchangesUsed = 0
    }

    /// Finds the very instruction, if the difference comes up again.
    private func narrow(_ coarse: Difference) throws(EngineError) {
        guard let model, let checkpoint, let recorder, !checkpoint.cpus.isEmpty else {
            summary.difference = coarse
            return
        }
        let narrowing = Narrowing(
            reference: reference, against: against, model: model, checkpoint: checkpoint, journal: recorder.journal,
            eventsBefore: eventsBefore)
        summary.difference = (try? narrowing.find()) ?? coarse
    }

    /// After the machine's end: the last comparison, and what has come of it all.
    public func finish() -> LockstepSummary {
        guard checkpoint != nil, summary.difference == nil, summary.failure == nil, let follower, let recorder,
            let model
        else { return summary }
        do throws(EngineError) {
            let last = Slice(
                vcpu: recorder.journal.slices.last?.vcpu ?? 0, before: recorder.journal.between,
                start: model.clock.now(),
                instructions: 0, end: .count, exchanges: recorder.journal.exchanges.count)
            recorder.journal.between = []
            recorder.journal.slices.append(last)
            var found = newDifference(last.vcpu)
            found.departure = follower.follow(last, recorder.journal.exchanges)
            if found.isThere { try narrow(found) } else { try compareAll(last.vcpu) }
        } catch {
            summary.failure = error
        }
        return summary
    }

    // MARK: Kicks

    /// Stops a vCPU: if it kicks itself, by what it asked a device, after its instruction, as in any run; otherwise at the
    /// end of a slice, so that the follower can stop at the same place.
    func kick(_ vcpu: Int) {
        let isOwn = running.withLock { $0.map { $0.vcpu == vcpu && pthread_equal($0.thread, pthread_self()) != 0 } }
        if isOwn == true { leaders[vcpu].kick() } else { kicked.withLock { _ = $0.insert(vcpu) } }
    }

    func isKicked(_ vcpu: Int) -> Bool { kicked.withLock { $0.contains(vcpu) } }
}

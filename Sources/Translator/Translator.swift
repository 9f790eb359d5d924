// Dynamic binary translation of one vCPU's code: the loop through the pipeline's stages, in their order. Blocks that ran
// a few times are translated; everything else, and whatever an instruction needs that generated code does not do, is
// the interpreter's.

import CPrimitives
import VirtualCPU
import X86

/// The translator of one vCPU, on whose thread all of it runs.
final class Translator {
    let cpu: SoftwareCPU
    let state: UnsafeMutablePointer<tz_cpu>
    let lowering: Lowering
    // All of it belongs to one thread and to functions that do not call each other back: looking for overlapping accesses at run
    // time would take a tenth of a fault's time.
    @exclusivity(unchecked) var code: CodeMemory
    let jumps: JumpTable
    @exclusivity(unchecked) var index: TranslationIndex
    @exclusivity(unchecked) var operations: [Operation] = []
    /// What the last encoder has left.
    @exclusivity(unchecked) private var room = BlockEncoder.Room()
    /// The operations of the trace whose flags were worked out last.
    @exclusivity(unchecked) var recovered: (trace: UnsafeMutablePointer<Block>?, count: Int, operations: [Operation]) =
        (nil, 0, [])
    /// What holds until addresses lead elsewhere.
    @exclusivity(unchecked) var mobility = Mobility()
    @exclusivity(unchecked) var statistics = TranslationStatistics()
    @exclusivity(unchecked) private(set) var times: StageTimes
    /// Takes what is translated, if anybody wants it.
    private(set) var journal: TranslationJournal?
    let performanceMap: PerformanceMap?
    /// The link that generated code was left by, to be led to the next block.
    @exclusivity(unchecked) var pendingLink: Int32 = -1

    /// The address of what polls load from, the same for all; 0 if the host gave no memory.
    private static let pollPages = UInt(bitPattern: tz_translated_poll_pages())

    /// Instructions that nobody lives to see: what has no budget ends there.
    private static let longestRun: UInt64 = 1 << 62
    private let threshold: UInt32
    /// Generated code counts instructions.
    @exclusivity(unchecked) private var counts = false
    /// Instructions have retired that nobody counted.
    @exclusivity(unchecked) private(set) var hasRunUncounted = false

    /// After so many failed probes for groups of its accesses a block gets code for that.
    private static let tolerated: UInt8 = 2

    /// Makes a translator for a vCPU, whose blocks are translated after they were interpreted `threshold` times.
    init(_ cpu: SoftwareCPU, threshold: UInt32, _ observation: TranslationObservation) throws(EngineError) {
        self.cpu = cpu
        self.threshold = threshold
        times = StageTimes(isOn: observation.timesStages)
        performanceMap = observation.performanceMap
        state = cpu.state
        lowering = Lowering(model: cpu.vm.model)
        code = try CodeMemory()
        jumps = JumpTable(cpu.state)
        index = TranslationIndex(cpu.state)
        state.pointee.translated.follows = code.follows
        operations.reserveCapacity(Block.maximumCount)
        guard let pages = UnsafeRawPointer(bitPattern: Self.pollPages) else {
            throw EngineError("the host gives no memory for translated code")
        }
        state.pointee.translated.poll_calm = pages
        state.pointee.translated.poll_trap = pages + 4096
        state.pointee.translated.vector_gates.0 = unsafeBitCast(
            tz_translated_load_sse as @convention(c) () -> Void, to: UnsafeRawPointer.self)
        state.pointee.translated.vector_gates.1 = unsafeBitCast(
            tz_translated_load_avx as @convention(c) () -> Void, to: UnsafeRawPointer.self)
        state.pointee.translated.x87_gate = unsafeBitCast(
            tz_translated_load_x87 as @convention(c) () -> Void, to: UnsafeRawPointer.self)
        state.pointee.translated.translator = Unmanaged.passUnretained(self).toOpaque()
        state.pointee.translated.deliver_fault = { state in
            // SAFETY: the translator owns the code that called, and runs it.
            Unmanaged<Translator>.fromOpaque(state.pointee.translated.translator.unsafelyUnwrapped)
                ._withUnsafeGuaranteedRef { $0.deliverFaultAtGate() }
        }
        state.pointee.translated.reach = { state, linear, size, writes in
            // SAFETY: as above.
            Unmanaged<Translator>.fromOpaque(state.pointee.translated.translator.unsafelyUnwrapped)
                ._withUnsafeGuaranteedRef { $0.cpu.reachAhead(linear, size: Int(size), writes: writes) }
        }
        cpu.describeSystemCalls()
        tz_calm_polls(state)
        // Generated code holds the TLB tables of its context.
        cpu.blockModeMask = 0xff
        cpu.codeObserver = self
        journal = observation.recorder?.makeJournal(self)
    }

    /// Runs the guest until the machine has to decide, or exactly `budget` instructions have retired.
    func run(budget: UInt64?) -> Exit {
        cpu.beginRunning()
        defer { cpu.endRunning() }
        pendingLink = -1
        count(budget != nil || cpu.isTraced)
        times.begin()
        let limit = state.pointee.instructions &+ min(budget ?? .max, Self.longestRun)
        while true {
            let remaining = limit &- state.pointee.instructions
            if remaining == 0 { return .budgetSpent }
            if cpu.isWanted {
                // An interrupt may lead elsewhere than the jump that left generated code.
                pendingLink = -1
                let exit = cpu.attendToEvents()
                times.end(.events)
                if let exit { return exit }
            }
            cpu.beginInstruction()
            guard cpu.runsPlainly else {
                interpretBlock(remaining)
                continue
            }
            // Lookup.
            let decoded = state.pointee.counters.blocks_decoded
            statistics.lookups += 1
            let found = cpu.lookUpBlock()
            times.end(state.pointee.counters.blocks_decoded == decoded ? .lookup : .decode)
            guard let block = found else {
                pendingLink = -1
                continue
            }
            guard code.hasRoom else {
                pendingLink = -1
                cpu.forgetAllBlocks()
                continue
            }
            // Translation: decoded already; lower, optimise, encode.
            guard remaining >= UInt64(block.pointee.count), let translation = translation(of: block),
                isWithinLimit(translation)
            else {
                pendingLink = -1
                statistics.blocksInterpreted += 1
                cpu.interpret(block, remaining)
                times.end(.interpret)
                continue
            }
            // Link.
            if pendingLink >= 0 {
                link(pendingLink, to: translation)
                times.end(.link)
            }
            pendingLink = -1
            // Execute, which is left through a context switch.
            if let error = execute(translation, limit) { return .failed(error) }
        }
    }

    /// Interprets the block at RIP, or as much of it as the budget permits.
    private func interpretBlock(_ remaining: UInt64) {
        pendingLink = -1
        statistics.blocksInterpreted += 1
        cpu.interpretBlock(remaining)
        times.end(.interpret)
    }

    /// Whether all of a translation's code at RIP lies where every code segment of its mode reaches.
    private func isWithinLimit(_ translation: UnsafeMutablePointer<Translation>) -> Bool {
        let mode = translation.pointee.mode
        return mode.width == 8 || state.pointee.rip + translation.pointee.span - 1 <= mode.branchMask
    }

    /// From now on generated code counts instructions, or does not.
    private func count(_ counts: Bool) {
        guard counts != self.counts else { return }
        self.counts = counts
        cpu.forgetAllBlocks()
    }

    /// The translation of a block, made when it has run often enough; nil before that.
    private func translation(of block: UnsafeMutablePointer<Block>) -> UnsafeMutablePointer<Translation>? {
        if let known = block.pointee.translation { return known.assumingMemoryBound(to: Translation.self) }
        block.pointee.runs += 1
        guard block.pointee.runs > threshold else { return nil }
        return translate(block)
    }

    private func translate(_ block: UnsafeMutablePointer<Block>) -> UnsafeMutablePointer<Translation> {
        code.prepare()
        let trace = trace(from: block)
        Passes.apply(to: &operations)
        times.end(.lower)
        var encoder = BlockEncoder(
            at: code.next, gates: code.gates, mode: BlockMode(block.pointee.mode), counts: counts,
            firstLink: code.linkCount, hasProbesApart: block.pointee.failures >= Self.tolerated,
            room: takeRoom())
        if let journal {
            encoder.marks = []
            encoder.executions = journal.nextCounter
        }
        let landing = code.next
        let firstLink = code.linkCount
        encoder.encode(operations, of: block)
        let stubs = encoder.code.cursor
        precondition(stubs - landing <= CodeMemory.largestBlock, "the code of a block is larger than any can be")
        for site in encoder.sites { code.add(site) }
        for edge in encoder.edges {
            let stub = encoder.emitStub(edge, link: Int32(code.linkCount))
            code.addLink(
                Link(
                    displacement: edge.displacement, stub: stub, target: Int16(edge.target & 0xfff),
                    flags: edge.flags,
                    isMobile: edge.crossesPages || encoder.mode.width == 2, isFollowed: encoder.isFollowed(edge),
                    ripWidth: UInt8(edge.mask.bitWidth - edge.mask.leadingZeroBitCount),
                    gates: encoder.openedGates)
            )
        }
        let translation = code.add(
            Translation(
                trace: trace, entries: encoder.entries, gates: encoder.openedGates,
                headRegisters: FlagPlan.headRegisters(operations),
                landingRegisters: encoder.headRegisters(operations), landing: landing, end: encoder.code.cursor,
                page: index.page(of: block)))
        block.pointee.translation = UnsafeMutableRawPointer(translation)
        statistics.blocksTranslated += 1
        let linear = state.pointee.rip
        if let journal {
            let source = HostCodeSource(encoder, from: landing, stubs: stubs, operations, block: block)
            journal.note(
                trace, linear: linear, counts: counts, edges: encoder.edges, firstLink: firstLink, source)
        }
        performanceMap?.add(
            ObjectIdentifier(self), host: UInt(bitPattern: code.executable(landing)),
            size: encoder.code.cursor - landing,
            linear: linear, isUser: translation.pointee.isUser)
        room = encoder.leaveRoom()
        times.end(.encode)
        return translation
    }

    private func takeRoom() -> BlockEncoder.Room {
        var taken = BlockEncoder.Room()
        swap(&taken, &room)
        return taken
    }

    /// Runs generated code from a block on, and sees to what it was left for.
    private func execute(_ translation: UnsafeMutablePointer<Translation>, _ limit: UInt64) -> EngineError? {
        let rip = state.pointee.rip
        let mode = translation.pointee.block.pointee.mode
        place(translation, at: rip)
        index.insert(translation, landing: code.executable(translation.pointee.landing))
        let base = rip &- UInt64(translation.pointee.offset)
        jumps.insert(
            code.executable(translation.pointee.landing), headRegisters: translation.pointee.landingRegisters, at: rip,
            base: base, mode: mode)
        guard tz_open_lookups(state) else {
            // Attention is asked for again, perhaps until the guest has got on: a blocked NMI does that.
            interpretBlock(limit &- state.pointee.instructions)
            return nil
        }
        state.pointee.translated.code_base = base
        statistics.entries += 1
        if !counts { hasRunUncounted = true }
        state.pointee.translated.limit = limit
        state.pointee.translated.counted = Int64(bitPattern: state.pointee.instructions &- limit)
        state.pointee.translated.behind = 0
        let entry = code.executable(translation.pointee.entries.entry)
        let left = tz_translated_enter(state, entry)
        let reason = Int(left & UInt32(TZ_LEFT_REASON))
        times.end(.execute)
        state.pointee.block_start = nil
        if reason != Int(TZ_LEFT_BY_STEP), reason != Int(TZ_LEFT_BY_FAULT) { noteRetired() }
        let hadX87 = state.pointee.translated.x87_loaded != 0
        state.pointee.translated.x87_loaded = 0
        switch reason {
        case Int(TZ_LEFT_BY_LINK):
            pendingLink = Int32(truncatingIfNeeded: state.pointee.translated.exit_value)
            let target = code.links[Int(pendingLink)].target
            state.pointee.rip =
                (state.pointee.translated.code_base &+ UInt64(target)) & code.links[Int(pendingLink)].mask
        case Int(TZ_LEFT_BY_STEP):
            // The gate has counted what came before the instruction.
            if hadX87 { recoverX87AtGate() }
            if state.pointee.translated.flags_lost != 0 { recoverFlagsAtGate() }
            if state.pointee.fault_pending == 0 {
                state.pointee.instructions &+= counts ? 1 : 0
            } else if let instruction = UnsafePointer<tz_instruction>(
                bitPattern: UInt(state.pointee.translated.exit_value))
            {
                cpu.deliverFault(of: instruction)
            }
        case Int(TZ_LEFT_BY_FAULT): break
        case Int(TZ_LEFT_BY_LANDING):
            state.pointee.rip = state.pointee.translated.exit_value &+ UInt64(left >> UInt32(TZ_LEFT_OFFSET_SHIFT))
            recoverFlagsAtLanding()
        case Int(TZ_LEFT_BY_BUDGET):
            guard let block = UnsafePointer<Block>(bitPattern: UInt(state.pointee.translated.exit_value)) else { break }
            state.pointee.instructions &-= UInt64(block.pointee.count)
            state.pointee.rip = state.pointee.translated.code_base &+ block.pointee.address & 0xfff
        default: return leftBySignal(reason, limit, hadX87: hadX87)
        }
        return nil
    }

    /// Delivers the fault of a gate's instruction, before the gate goes on with the guest's handler.
    private func deliverFaultAtGate() {
        if state.pointee.translated.flags_lost != 0 {
            recoverFlagsAtGate()
            state.pointee.translated.flags_lost = 0
        }
        let place = UInt(state.pointee.translated.exit_value)
        guard let instruction = UnsafePointer<tz_instruction>(bitPattern: place) else { return }
        cpu.deliverFault(of: instruction)
    }

    /// Counts the instructions of all blocks that generated code has begun.
    private func noteRetired() {
        guard counts else { return }
        let translated = state.pointee.translated
        state.pointee.instructions = translated.limit &+ UInt64(bitPattern: translated.counted)
    }

    /// Generated code was stopped at an instruction that is to be executed (again): by the interpreter, which raises what
    /// is due, if it was not a poll.
    private func leftBySignal(_ reason: Int, _ limit: UInt64, hadX87: Bool) -> EngineError? {
        guard let site = code.site(at: state.pointee.translated.exit_address) else {
            return EngineError("generated code faulted at an unexpected place")
        }
        // A poll on a jump's way is at its target, which may have wrapped.
        let mask = code.translation(at: state.pointee.translated.exit_address)?.pointee.mode.branchMask ?? .max
        state.pointee.rip = (state.pointee.translated.code_base &+ UInt64(bitPattern: Int64(site.offset))) & mask
        if reason == Int(TZ_LEFT_BY_VECTORS) {
            interpretBlock(limit &- state.pointee.instructions)
            return nil
        }
        if site.isFailedGroup, let block = code.translation(at: state.pointee.translated.exit_address)?.pointee.block {
            // Most often the TLB did not have the page. If not, it will not be the last time.
            block.pointee.failures += 1
            if block.pointee.failures == Self.tolerated { retire(block) }
        }
        if counts { state.pointee.instructions &-= UInt64(site.behind) }
        // At a jump's poll the block is done, and all of it is stored.
        if hadX87, site.behind > 0, let (instruction, trace) = place(of: site) {
            recoverX87(before: instruction, in: trace)
        }
        switch site.flags {
        case .host: state.pointee.arithmetic = state.pointee.translated.exit_arithmetic
        case .saved: break
        case .lost: recoverFlags(at: site)
        }
        guard limit != state.pointee.instructions else { return nil }
        // Behind STI nothing may come in before the next instruction is done, which a failed group may have been left at.
        guard site.isFailedGroup || tz_atomic_load(&state.pointee.attention) == 0 else { return nil }
        cpu.interpretInstruction()
        return nil
    }
}

/// What the translator has done.
struct TranslationStatistics {
    var lookups: UInt64 = 0
    var blocksTranslated: UInt64 = 0
    var blocksInterpreted: UInt64 = 0
    var entries: UInt64 = 0
    var linksMade: UInt64 = 0
    var linksCut: UInt64 = 0
}

// From operations to host code: the stage's state, and its walk over a block. How operands, memory accesses and jumps are
// encoded is in the files beside this one.
//
// Where the guest's arithmetic flags are is tracked along the block: in the host's flags, saved in the state, or both. An
// access saves them before its check destroys them, and they come back when something needs them.

import CPrimitives
import X86

/// A jump to code out of line, for an access that its check does not settle.
struct SlowPath {
    /// The displacement of the jump there.
    var displacement: UnsafeMutablePointer<UInt8>
    var operation: Operation
    /// Where the arithmetic flags are.
    var flags: FlagPlace
    /// Where to go on afterwards; nil: the block ends.
    var rejoin: UnsafeMutablePointer<UInt8>?
    /// The block ends after the handler though the operation does not end blocks.
    var leaves = false
    /// The micro-TLB was tried, and the TLB was not yet.
    var micro: MicroMiss?
    /// A probe that may have failed because the bytes reach into a second page.
    var span: FailedSpan?
    /// The jump table has no answer, but a gate may: where to go on then.
    var found: UnsafeMutablePointer<UInt8>?
}

/// A probe of the micro-TLB that failed.
struct MicroMiss {
    /// The entry, from the state.
    var entry: Int32
    /// Bytes.
    var size: Int32
    var writes: Bool
    /// Where the code goes on with the host address in the address register.
    var resume: UnsafeMutablePointer<UInt8>
}

/// A probe for bytes of which many reach into a second page.
struct FailedSpan {
    /// Bytes.
    var size: Int32
    var writes: Bool
    /// Where the code goes on with their host address in the address register.
    var resume: UnsafeMutablePointer<UInt8>
}

/// Where the arithmetic flags are at a place in generated code.
enum FlagPlace: UInt8 {
    case host
    /// In the state.
    case saved
    /// Nowhere: they follow from registers.
    case lost
}

/// A jump to another block.
struct Edge {
    /// The displacement of the jump.
    var displacement: UnsafeMutablePointer<UInt8>
    var target: Int32
    var crossesPages: Bool
    /// What the target's RIP is truncated to.
    var mask: UInt64
    var flags: EdgeFlags
    /// The jump is conditional and leads to code out of line that prepares for the target.
    var needsPreparation = false
    var isBackward = false
    /// No jump: a lookup, which flags come from.
    var isLookup = false
}

/// The gates to registers that blocks call before their first instruction.
struct OpenGates: OptionSet {
    let rawValue: UInt8
    static let sse = OpenGates(rawValue: 1 << 0)
    static let avx = OpenGates(rawValue: 1 << 1)
    static let x87 = OpenGates(rawValue: 1 << 2)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// What operations need. AVX registers contain those of SSE.
    init(_ operations: ArraySlice<Operation>) {
        self = []
        if operations.contains(where: { $0.usesX87 }) { insert(.x87) }
        if operations.contains(where: { $0.usesAVX }) {
            insert(.avx)
        } else if operations.contains(where: { $0.usesSSE }) {
            insert(.sse)
        }
    }
}

/// Encodes one trace.
struct BlockEncoder: ~Copyable {
    var code: HostAssembler
    let gates: CodeMemory.Gates
    let mode: BlockMode
    /// The TLB tables of the block's context, from the state.
    let readTable: Int32
    let writeTable: Int32

    /// The number of the link that the trace's first edge becomes.
    let firstLink: Int

    var hostFlags = true
    var savedFlags = false
    var slowPaths: [SlowPath]
    var edges: [Edge]
    /// The registers from which the flags follow at the lookup at hand; 0 if they are in the state.
    var lookupRegisters: UInt16 = 0
    /// Jumps to where flags are saved before a lookup's target is entered.
    struct FlagRescue {
        var displacement: UnsafeMutablePointer<UInt8>
        var rejoin: UnsafeMutablePointer<UInt8>
        var producer: FlagProducer
    }

    var flagRescues: [FlagRescue]
    var sites: [Site]
    /// Retired instructions are counted, and a budget ends the run.
    let counts: Bool

    /// A place in the code at which a signal may stop it: see `Translator`'s `Site`.
    struct Site {
        var host: UnsafePointer<UInt8>
        var offset: Int32
        var flags: FlagPlace
        var behind: UInt8
        /// The probe for a group has failed.
        var isFailedGroup = false
    }

    /// The counter of the block's executions, if they are counted, and the code that does it.
    var executions: UnsafeMutablePointer<UInt64>?
    private(set) var counting: (start: UnsafeMutablePointer<UInt8>, end: UnsafeMutablePointer<UInt8>)?
    /// Where the first operation's code begins, and where each one's in line ends, if anybody wants to know.
    var marks: [UnsafeMutablePointer<UInt8>]?
    /// Where the code in line ends, and what lies out of line begins.
    private(set) var lineEnd: UnsafeMutablePointer<UInt8>

    /// The gates that the block calls before its first instruction. None of its instructions closes one, so that blocks which
    /// it leads to may be entered behind those that they have in common.
    private(set) var openedGates: OpenGates = []
    /// Where the trace is entered.
    var entries: Entries

    /// The landing's jump to where `code_base` changes.
    var otherCodeBase: UnsafeMutablePointer<UInt8>?

    /// Slow paths of the operation at hand, to rejoin behind it.
    var openSlowPaths = 0
    /// Jumps look whether the vCPU is wanted elsewhere even if they lead forwards.
    var pollsNext = false
    /// The last x87 instruction, if it is not in the state yet.
    var lastX87: Operation?

    /// Where the probe for a group fails, the rest of the trace is there once more with a probe for each access. Otherwise the
    /// code is left there: most groups never fail.
    let hasProbesApart: Bool
    /// Accesses share probes as planned; otherwise each has its own.
    var sharesProbes = true
    /// Where the operand of the access at hand is.
    var operand = HostOperand.memory(Host.address, 0)
    /// The group whose host address is in the address register, if nothing has touched that since.
    var addressedSlot: UInt8?
    /// A jump to where the operation at an index, whose probe for a group failed, is done without groups.
    struct FailedGroup {
        var displacement: UnsafeMutablePointer<UInt8>
        var index: Int
        var flags: FlagPlace
        var micro: MicroMiss?
        var span: FailedSpan
    }

    var failedGroups: [FailedGroup]
    /// How much further the guest's stack pointer is than its host register says.
    var stackLag: Int32 = 0
    /// The index of the operation at hand.
    private(set) var index = 0
    private(set) var trace: [Operation] = []
    /// From what lost flags can be made anew.
    var producer = FlagProducer.none
    private(set) var isLast = false
    /// Jumps to where a budget ends within a block.
    struct BudgetEnd {
        var displacement: UnsafeMutablePointer<UInt8>
        var block: UnsafeMutablePointer<Block>
    }

    private var budgetEnds: [BudgetEnd]

    /// The arrays of an encoder, for the next one: no trace is worth an allocation.
    struct Room {
        var slowPaths: [SlowPath] = []
        var edges: [Edge] = []
        var flagRescues: [FlagRescue] = []
        var sites: [Site] = []
        var failedGroups: [FailedGroup] = []
        var budgetEnds: [BudgetEnd] = []
    }

    init(
        at start: UnsafeMutablePointer<UInt8>, gates: CodeMemory.Gates, mode: BlockMode, counts: Bool, firstLink: Int,
        hasProbesApart: Bool, room: consuming Room = Room()
    ) {
        code = HostAssembler(at: start)
        lineEnd = start
        entries = Entries(at: start)
        self.counts = counts
        self.firstLink = firstLink
        self.gates = gates
        self.mode = mode
        self.hasProbesApart = hasProbesApart
        slowPaths = room.slowPaths
        edges = room.edges
        flagRescues = room.flagRescues
        sites = room.sites
        failedGroups = room.failedGroups
        budgetEnds = room.budgetEnds
        readTable = Int32(SoftwareCPU.tlbTable(Int(TZ_TLB_READ), context: mode.context))
        writeTable = Int32(SoftwareCPU.tlbTable(Int(TZ_TLB_WRITE), context: mode.context))
    }

    /// Ends the encoder.
    consuming func leaveRoom() -> Room {
        slowPaths.removeAll(keepingCapacity: true)
        edges.removeAll(keepingCapacity: true)
        flagRescues.removeAll(keepingCapacity: true)
        sites.removeAll(keepingCapacity: true)
        failedGroups.removeAll(keepingCapacity: true)
        budgetEnds.removeAll(keepingCapacity: true)
        return Room(
            slowPaths: slowPaths, edges: edges, flagRescues: flagRescues, sites: sites, failedGroups: failedGroups,
            budgetEnds: budgetEnds)
    }

    /// Encodes the operations.
    mutating func encode(_ operations: [Operation], of block: UnsafeMutablePointer<Block>) {
        trace = operations
        openedGates = OpenGates(operations[...])
        emitEntries(operations)
        if counts { emitCount(block) }
        if let executions { emitExecutionCount(executions) }
        marks?.append(code.cursor)
        let atFirstGroup = emitAll(operations, from: 0)
        lineEnd = code.cursor
        emitOutOfLine()
        if let atFirstGroup {
            if hasProbesApart { emitWithoutGroups(operations, atFirstGroup) } else { emitGroupExits() }
        }
        emitOtherEntries(operations)
    }

    /// What is known before an operation.
    private struct Situation {
        var index: Int
        var lastX87: Operation?
    }

    /// Encodes the operations from one on; returns what is known before the first that probes for a group.
    private mutating func emitAll(_ operations: [Operation], from first: Int) -> Situation? {
        var situation: Situation?
        for index in first..<operations.count {
            self.index = index
            isLast = index == operations.count - 1
            producer = operations[index].producer
            // Whoever comes from a probe that failed has been here.
            if counts, index > first, let block = operations[index].begins {
                restoreFlags()
                emitCount(block)
            }
            if sharesProbes, situation == nil, operations[index].shared?.probes == true {
                situation = Situation(index: index, lastX87: lastX87)
            }
            if !sharesProbes { landFailedGroups(at: index) }
            emit(operations[index])
            if sharesProbes { marks?.append(code.cursor) }
        }
        emitX87Record()
        producer = operations.last?.producerBehind ?? .none
        if let last = operations.last, !last.endsBlock { emitEdge(last.next, from: last, mask: .max) }
        return situation
    }

    /// The rest of the block with a probe for every access, for whenever those of a group turn out not to lie in one page.
    private mutating func emitWithoutGroups(_ operations: [Operation], _ situation: Situation) {
        sharesProbes = false
        slowPaths.removeAll(keepingCapacity: true)
        lastX87 = situation.lastX87
        hostFlags = true
        savedFlags = true
        // Whoever comes has the flags in both places, or nowhere because nobody needs them.
        for n in failedGroups.indices {
            emitFailure(failedGroups[n])
            if failedGroups[n].flags == .saved { emitFlagsFromState() }
            failedGroups[n].displacement = code.jump()
        }
        let preparedEdges = edges.count
        _ = emitAll(operations, from: situation.index)
        emitOutOfLine(edgesFrom: preparedEdges)
    }

    /// A probe for a group has failed: goes back if the micro-TLB was alone to fail, or if a gate can reach the bytes.
    private mutating func emitFailure(_ failed: FailedGroup) {
        code.land(failed.displacement)
        if let micro = failed.micro { emitMicroMiss(micro) }
        emitSpan(failed.span, gates.spanRead, gates.spanWrite)
    }

    /// Leaves before the operation whose probe for a group has failed.
    private mutating func emitGroupExits() {
        for failed in failedGroups {
            emitFailure(failed)
            let operation = trace[failed.index]
            sites.append(
                Site(
                    host: UnsafePointer(code.cursor), offset: operation.offset, flags: failed.flags,
                    behind: operation.remaining, isFailedGroup: true))
            code.call(gates.leaveHere)
        }
    }

    private mutating func landFailedGroups(at index: Int) {
        for failed in failedGroups where failed.index == index {
            code.land(failed.displacement)
            if failed.flags == .lost { (hostFlags, savedFlags) = (false, false) }
        }
    }

    private mutating func emit(_ operation: Operation) {
        if operation.isStep || operation.endsBlock { emitX87Record() }
        openSlowPaths = slowPaths.count
        operand = .memory(Host.address, 0)
        pollsNext = operation.pollsAfter
        if operation.takesFlags, operation.kind == .compute || operation.kind == .jumpIf {
            restoreFlags(for: operation)
        }
        switch operation.kind {
        case .nothing: break
        case .compute: emitCompute(operation)
        case .access: emitAccess(operation)
        case .gather: emitGather(operation)
        case .lea: emitLEA(operation)
        case .push: emitPush(operation)
        case .pushFlags: emitPushFlags(operation)
        case .pop: emitPop(operation)
        case .leave: emitLeave(operation)
        case .clearInterrupts: emitClearInterrupts(operation)
        case .setInterrupts: emitSetInterrupts(operation)
        case .swapGS: emitSwapGS()
        case .jump: emitEdge(target(operation), from: operation, mask: mode.branchMask)
        case .jumpIf: emitJumpIf(operation)
        case .call: emitCall(operation)
        case .ret: emitReturn(operation)
        case .jumpIndirect: emitJumpIndirect(operation)
        case .callIndirect: emitCallIndirect(operation)
        case .move: emitCall(of: gates.moves, operation)
        case .store: emitCall(of: gates.stores, operation)
        case .step: emitStep(operation)
        case .stepAndLeave:
            emitStep(operation)
            emitProceed()
        case .systemCall: emitJump(to: gates.systemCall, operation)
        case .systemReturn: emitJump(to: gates.systemReturn, operation)
        }
        switch operation.kind {
        case .compute, .access: noteFlags(operation.flags)
        default: break
        }
        pollsNext = false
        // Whoever comes back from out of line has lost the temporaries.
        if slowPaths.count > openSlowPaths {
            addressedSlot = nil
            code.forgetHeld()
        }
        if !operation.endsBlock {
            for n in openSlowPaths..<slowPaths.count where !slowPaths[n].leaves { slowPaths[n].rejoin = code.cursor }
            if operation.pollsAfter {
                emitX87Record()
                emitPoll(at: operation.next, behind: operation.remaining - 1)
            }
        }
    }

    /// A copied instruction has done to the flags what it does.
    private mutating func noteFlags(_ use: FlagUse) {
        switch use {
        case .none, .reads: return
        // What mixes flags that were nowhere leaves nothing of use.
        case .mixes: break
        case .writes, .readsAndWrites: hostFlags = true
        }
        savedFlags = false
    }

    /// The offset that a direct branch leads to.
    func target(_ operation: Operation) -> Int32 {
        operation.next &+ Int32(truncatingIfNeeded: operation.instruction.pointee.immediate)
    }

    // MARK: Flags

    /// Where the flags are when they are not in the host's any more.
    var destroyedFlags: FlagPlace { savedFlags ? .saved : .lost }

    /// Sees to it that the flags are saved in the state. Uses the spare register.
    mutating func saveFlags() {
        guard !savedFlags else { return }
        restoreFlags()
        code.move(Host.spare, Host.rax)
        code.flagsIntoAX()
        code.store16(Host.rax, .memory(Host.state, StateLayout.arithmetic))
        code.move(Host.rax, Host.spare)
        savedFlags = true
    }

    /// Sees to it that the flags are in the host's. Uses the spare register.
    mutating func restoreFlags() {
        guard !hostFlags else { return }
        if savedFlags { emitFlagsFromState() } else if producer.isKnown { emitFlagsAnew(producer) }
        hostFlags = true
    }

    /// Sees to it that those flags are in the host's that an operation needs.
    mutating func restoreFlags(for operation: Operation) {
        guard !hostFlags, savedFlags, operation.takesCarryAlone else { return restoreFlags() }
        // bt word [arithmetic], 8
        var encoding = HostEncoding(0xba, map: 1)
        encoding.operandSize = true
        code.instruction(encoding, reg: 4, .memory(Host.state, StateLayout.arithmetic))
        code.byte(8)
        hostFlags = true
    }

    mutating func emitFlagsFromState() {
        code.move(Host.spare, Host.rax)
        code.instruction(HostEncoding(0xb7, map: 1), reg: Host.rax, .memory(Host.state, StateLayout.arithmetic))
        code.flagsFromAX()
        code.move(Host.rax, Host.spare)
    }

    // MARK: Beginning

    mutating func emitVectorGates(_ operations: [Operation]) {
        func call(_ gate: Int32) {
            // Through a pointer: to nothing once the registers are loaded.
            code.instruction(HostEncoding(0xff), reg: 2, .memory(Host.state, gate))
            note(offset: operations.first?.offset ?? 0, behind: 0)
        }
        if openedGates.contains(.x87) { call(StateLayout.x87Gate) }
        if openedGates.contains(.avx) {
            call(StateLayout.avxGate)
        } else if openedGates.contains(.sse) {
            call(StateLayout.sseGate)
        }
    }

    /// A signal, or a gate that does not return, may leave the code from here on at a guest instruction.
    mutating func note(offset: Int32, behind: UInt8) {
        note(offset: offset, behind: behind, flags: hostFlags ? .host : destroyedFlags)
    }

    mutating func note(offset: Int32, behind: UInt8, flags: FlagPlace) {
        sites.append(Site(host: UnsafePointer(code.cursor), offset: offset, flags: flags, behind: behind))
    }

    // MARK: Counting

    /// Counts all of the block's instructions, and leaves if the budget ends before they do.
    private mutating func emitCount(_ block: UnsafeMutablePointer<Block>) {
        code.move(Host.spare, Host.rax)
        code.flagsIntoAX()
        code.arithmetic(0, .memory(Host.state, StateLayout.counted), Int32(block.pointee.count))
        budgetEnds.append(BudgetEnd(displacement: code.jump(if: Condition.greater), block: block))
        code.flagsFromAX()
        code.move(Host.rax, Host.spare)
    }

    private mutating func emitBudgetEnds() {
        for end in budgetEnds {
            code.land(end.displacement)
            code.flagsFromAX()
            code.move(Host.rax, Host.spare)
            code.move(Host.address, immediate: UInt64(UInt(bitPattern: end.block)))
            code.move32(Host.spare, immediate: UInt32(TZ_LEFT_BY_BUDGET))
            code.jump(to: gates.exit)
        }
        budgetEnds.removeAll(keepingCapacity: true)
    }

    /// Counts one execution of the block. No flag is touched.
    private mutating func emitExecutionCount(_ counter: UnsafeMutablePointer<UInt64>) {
        let start = code.cursor
        code.move(Host.address, immediate: UInt64(UInt(bitPattern: counter)))
        code.load(Host.spare, .memory(Host.address, 0))
        code.lea(Host.spare, .memory(Host.spare, 1))
        code.store(Host.spare, .memory(Host.address, 0))
        counting = (start, code.cursor)
    }

    // MARK: Handlers

    mutating func emitStep(_ operation: Operation) {
        if !savedFlags { restoreFlags() }
        emitGateCall(operation, flags: hostFlags ? .host : destroyedFlags)
        hostFlags = true
        savedFlags = true
    }

    /// A gate that does not return.
    private mutating func emitJump(to gate: UnsafePointer<UInt8>, _ operation: Operation) {
        saveFlags()
        emitGateOperands(operation)
        code.jump(to: gate)
    }

    /// A gate for each width of an element, which leaves flags in the state.
    private mutating func emitCall(of gates: InlineArray<4, UnsafePointer<UInt8>>, _ operation: Operation) {
        saveFlags()
        emitGateOperands(operation)
        code.call(gates[operation.instruction.pointee.width.trailingZeroBitCount])
        hostFlags = false
    }

    private mutating func emitGateOperands(_ operation: Operation) {
        if counts { code.store(immediate: Int32(operation.remaining), .memory(Host.state, StateLayout.behind)) }
        code.move(Host.address, immediate: UInt64(UInt(bitPattern: operation.instruction)))
        code.move32(Host.spare, immediate: UInt32(bitPattern: operation.next))
    }

    mutating func emitGateCall(_ operation: Operation, flags: FlagPlace) {
        emitGateOperands(operation)
        switch flags {
        case .host: code.call(gates.step)
        case .saved: code.call(gates.stepSaved)
        case .lost: code.call(gates.stepLost)
        }
    }

    /// After a handler that has set RIP.
    mutating func emitProceed() { code.jump(to: gates.proceed) }

    // MARK: Out of line

    private mutating func emitOutOfLine(edgesFrom firstEdge: Int = 0) {
        emitBudgetEnds()
        for slow in slowPaths {
            code.land(slow.displacement)
            if let micro = slow.micro { emitMicroMiss(micro) }
            if let span = slow.span { emitSplit(span, slow) }
            if let found = slow.found {
                code.call(gates.lookUp)
                HostAssembler.patch(code.jump(if: Condition.carryClear), to: found)
            }
            var flags = slow.flags
            // The handler reads them, or leads elsewhere.
            if flags == .lost, slow.operation.flags.needsFlags || slow.operation.endsBlock,
                slow.operation.producer.isKnown
            {
                emitFlagsAnew(slow.operation.producer)
                flags = .host
            }
            emitGateCall(slow.operation, flags: flags)
            if let rejoin = slow.rejoin { code.jump(to: rejoin) } else { emitProceed() }
        }
        emitFlagRescues()
        for n in firstEdge..<edges.count where edges[n].needsPreparation {
            code.land(edges[n].displacement)
            hostFlags = true
            var edge = edges[n]
            emitPreparation(&edge, number: n)
            edges[n] = edge
        }
    }
}

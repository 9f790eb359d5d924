// An engine that goes the way that a journal describes: memory and a clock of its own, no devices, answers from the
// journal. The follower is one, and so are both engines when a difference is narrowed down.

import Memory
import VirtualCPU

/// How an engine left the way.
enum Departure: Equatable, Sendable {
    /// It asked something else, or had nothing to ask when the reference asked.
    case question(expected: String, got: String)
    /// Its run ended in another way, or after another number of instructions.
    case end(expected: String, got: String)
    /// A local APIC accepted a message, or did not, unlike the reference's.
    case message(address: UInt64, accepted: Bool)
    /// The engine itself failed.
    case failed(String)
}

/// One engine on the journal's way.
// Sendable: used by one thread at a time.
final class Replica: @unchecked Sendable {
    let memory: GuestMemory
    let clock: Clock
    let vm: any EngineVM
    let vcpus: [any VirtualCPU]
    private let bus: ReplayBus

    /// Makes an engine's VM with empty memory; `map` and the states are the caller's to bring.
    init(_ engine: any Engine, like model: EngineConfiguration, trace: (any TraceSink)? = nil) throws(EngineError) {
        do throws(GuestMemoryError) {
            memory = try GuestMemory(size: model.memory.size)
        } catch {
            throw EngineError(error.description)
        }
        clock = Clock(source: .instructions)
        bus = ReplayBus()
        vm = try engine.makeVM(
            EngineConfiguration(
                cpuModel: model.cpuModel, vcpuCount: model.vcpuCount, clock: clock, memory: memory, bus: bus,
                trace: trace, isParavirtual: model.isParavirtual, startDate: model.startDate))
        for region in memory.regions { try vm.map(region) }
        var vcpus: [any VirtualCPU] = []
        for id in 0..<model.vcpuCount { vcpus.append(try vm.makeVCPU(id: id)) }
        self.vcpus = vcpus
        bus.vm = vm
        bus.memory = memory
    }

    /// The same from a checkpoint on.
    convenience init(
        _ engine: any Engine, like model: EngineConfiguration, from checkpoint: Checkpoint,
        trace: (any TraceSink)? = nil
    ) throws(EngineError) {
        try self.init(engine, like: model, trace: trace)
        try takeMemory(of: checkpoint.memory)
        clock.set(to: checkpoint.time)
        for (vcpu, state) in zip(vcpus, checkpoint.cpus) { try vcpu.importState(state) }
    }

    /// Adds a read-only region with the contents of another memory's.
    func addROM(like region: MemoryRegion) throws(EngineError) {
        let contents = [UInt8](UnsafeRawBufferPointer(start: region.host, count: Int(region.size)))
        let own: MemoryRegion
        do throws(GuestMemoryError) {
            own = try memory.addROM(base: region.base, contents: contents)
        } catch {
            throw EngineError(error.description)
        }
        try vm.map(own)
    }

    private func takeMemory(of other: GuestMemory) throws(EngineError) {
        for region in other.regions {
            if region.readOnly { try addROM(like: region) } else { memory.copyPages(of: region) { $0 != 0 } }
        }
    }

    func states() throws(EngineError) -> [CPUState] {
        var states: [CPUState] = []
        for vcpu in vcpus { states.append(try vcpu.exportState()) }
        return states
    }

    // MARK: Going along

    /// Exchanges of the journal that have been used up.
    var exchangesUsed: Int {
        get { bus.next }
        set { bus.next = newValue }
    }

    /// Goes along one slice.
    func follow(_ slice: Slice, _ exchanges: [Exchange]) -> Departure? {
        begin(slice)
        return advance(slice, exchanges, by: slice.instructions, toEnd: true)
    }

    /// Does what happened before a slice.
    func begin(_ slice: Slice) {
        for (time, delivery) in slice.before {
            clock.advance(to: time)
            bus.deliver(delivery)
        }
        clock.advance(to: slice.start)
    }

    /// Runs `count` more instructions of a slice that has begun; with `toEnd` they are its last, and how it ends is checked.
    func advance(_ slice: Slice, _ exchanges: [Exchange], by count: UInt64, toEnd: Bool) -> Departure? {
        let vcpu = vcpus[slice.vcpu]
        let start = clock.now()
        bus.exchanges = exchanges
        bus.end = slice.exchanges
        bus.running = vcpu
        defer {
            bus.exchanges = []
            bus.running = nil
        }
        let stops = toEnd && slice.end != .count
        if count > 0 || stops {
            // One instruction more than there should be shows whether it stops.
            let exit = vcpu.run(budget: stops ? count + 1 : count)
            if let departure = bus.departure { return departure }
            if case .failed(let error) = exit { return .failed(error.description) }
            let done = clock.now() &- start
            let isSame = done == count && (!stops || Slice.End(exit) == slice.end)
            guard isSame else {
                return .end(
                    expected: Self.describe(stops ? slice.end : .count, count),
                    got: Self.describe(Slice.End(exit), done))
            }
        }
        if let departure = bus.departure { return departure }
        if toEnd, bus.next < slice.exchanges {
            return .question(expected: exchanges[bus.next].question.description, got: "none")
        }
        return nil
    }

    private static func describe(_ end: Slice.End?, _ count: UInt64) -> String {
        let how =
            switch end {
            case .halted: "halted"
            case .shutdown: "shut down"
            case .waitingForStartup: "waiting for a startup IPI"
            case .count: "running"
            case nil: "stopped"
            }
        return "\(how) after \(count) instruction\(count == 1 ? "" : "s")"
    }
}

extension Slice.End {
    /// The end of a slice that an exit means; nil for a failure.
    init?(_ exit: Exit) {
        switch exit {
        case .budgetSpent, .kicked, .debug: self = .count
        case .halted: self = .halted
        case .shutdown: self = .shutdown
        case .waitingForStartup: self = .waitingForStartup
        case .failed: return nil
        }
    }
}

/// The machine as a replica sees it.
// Sendable: as the replica.
private final class ReplayBus: Bus, @unchecked Sendable {
    weak var vm: (any EngineVM)?
    weak var memory: GuestMemory?
    var exchanges: [Exchange] = []
    /// The exchange that is due, and where those of the slice end.
    var next = 0
    var end = 0
    /// The vCPU that asks; told to stop when it leaves the way.
    var running: (any VirtualCPU)?
    private(set) var departure: Departure?

    func deliver(_ delivery: Delivery) {
        switch delivery {
        case .intr(let level): vm?.setINTR(level)
        case .message(let address, let data, let accepted):
            if vm?.signalMSI(address: address, data: data) != accepted {
                depart(.message(address: address, accepted: !accepted))
            }
        case .line(let gsi, let level): vm?.setInterruptLine(gsi, level: level)
        case .write(let address, let bytes):
            // It fitted into the reference's memory, which has the same layout.
            try? memory?.write(bytes, at: GuestPhysicalAddress(address))
        }
    }

    private func depart(_ how: Departure) {
        if departure == nil { departure = how }
        running?.kick()
    }

    private func answer(_ question: Question) -> UInt64 {
        guard departure == nil, next < min(end, exchanges.count) else {
            depart(.question(expected: "none", got: question.description))
            return .max
        }
        let exchange = exchanges[next]
        guard exchange.question == question else {
            depart(.question(expected: exchange.question.description, got: question.description))
            return .max
        }
        next += 1
        for delivery in exchange.deliveries { deliver(delivery) }
        return exchange.answer
    }

    func readPort(_ port: UInt16, size: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: answer(.readPort(port, size: size)))
    }
    func writePort(_ port: UInt16, size: Int, value: UInt32) {
        _ = answer(.writePort(port, size: size, value: value))
    }
    func readMMIO(_ address: UInt64, size: Int) -> UInt64 { answer(.readMMIO(address, size: size)) }
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {
        _ = answer(.writeMMIO(address, size: size, value: value))
    }
    func acknowledgeInterrupt() -> UInt8 { UInt8(truncatingIfNeeded: answer(.acknowledge)) }
    func endOfInterrupt(vector: UInt8) { _ = answer(.endOfInterrupt(vector: vector)) }
}

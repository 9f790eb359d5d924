// The machine: memory, board and engine put together, and the vCPU threads that run it. The run itself is in
// `VCPUThread`, who may run in `RunControl`, the devices on `Board`, and whole-machine state in `Machine+State`.

import Memory
import Synchronization
import VirtualCPU

/// One virtual machine on one engine. It starts once and ends once.
public final class Machine: Sendable {
    let memory: GuestMemory
    let clock: Clock
    let board: Board
    let engineVM: any EngineVM
    let vcpus: [any VirtualCPU]
    let control: RunControl
    /// What runs the vCPUs in counted time.
    let countedThread: CountedThread?

    /// Makes a machine that is ready to start: memory laid out, boot source loaded, devices wired, vCPUs created.
    public convenience init(_ configuration: MachineConfiguration, engine: any Engine) throws(MachineError) {
        try self.init(configuration, engine: engine, loading: true)
        let boot: PreparedBoot
        do throws(BootError) {
            let seed = configuration.clockSource == .host ? Self.randomSeed() : nil
            boot = try configuration.boot.prepare(in: memory, processors: configuration.cpuCount, randomSeed: seed)
        } catch {
            throw .boot(error)
        }
        do throws(EngineError) {
            // Firmware adds a region of its own.
            for region in memory.regions.dropFirst(mappedRegions) { try engineVM.map(region) }
            try vcpus[0].importState(boot.cpu)
            // Firmware, where there is one, has seen to the memory types of all CPUs; INIT leaves them.
            for vcpu in vcpus.dropFirst() {
                var state = CPUState(apicID: UInt32(vcpu.id))
                for number in CPUState.memoryTypes.keys { state.msrs[number] = boot.cpu.msrs[number] }
                try vcpu.importState(state)
            }
        } catch {
            throw .engine(error)
        }
        if boot.firmwareInterrupts { board.programInterruptsAsFirmwareDoes() }
    }

    private let mappedRegions: Int
    let kicker: Kicker
    private let timekeeping = Mutex(())

    /// The parts, with memory still empty.
    init(_ configuration: MachineConfiguration, engine: any Engine, loading: Bool) throws(MachineError) {
        do throws(GuestMemoryError) {
            memory = try GuestMemory(size: configuration.memorySize)
        } catch {
            throw .memory(.init(message: error.description))
        }
        guard case .available(let capabilities) = engine.probe() else {
            throw .engine(EngineError("the engine '\(engine.name)' does not work on this host"))
        }
        let count = configuration.cpuCount
        guard (1...capabilities.maximumVCPUs).contains(count) else {
            throw .engine(
                EngineError("\(count) vCPUs: the engine '\(engine.name)' runs 1 to \(capabilities.maximumVCPUs)"))
        }
        clock = Clock(source: configuration.clockSource)
        let counts = configuration.clockSource == .instructions
        let control = RunControl(threads: counts ? 1 : count, vcpus: count)
        self.control = control
        let kicker = Kicker()
        let end: @Sendable (MachineOutcome) -> Void = { outcome in
            control.end(outcome)
            kicker.kick()
        }
        self.kicker = kicker
        do {
            board = try Board(
                configuration, memory: memory, clock: clock, hosted: capabilities.hostedChips,
                events: { event in
                    guard let outcome = MachineOutcome(event) else { return }
                    end(outcome)
                })
        } catch {
            throw .state("the board cannot be wired: \(error)")
        }
        do throws(EngineError) {
            engineVM = try engine.makeVM(
                EngineConfiguration(
                    cpuModel: configuration.cpuModel, vcpuCount: count, clock: clock, memory: memory,
                    bus: board.bus, trace: configuration.trace, isParavirtual: configuration.isParavirtual,
                    startDate: configuration.date))
            let regions = memory.regions
            for region in regions { try engineVM.map(region) }
            mappedRegions = regions.count
            var vcpus: [any VirtualCPU] = []
            for id in 0..<count { vcpus.append(try engineVM.makeVCPU(id: id)) }
            self.vcpus = vcpus
        } catch {
            throw .engine(error)
        }
        board.connect(engineVM)
        kicker.set(vcpus)
        clock.onEarlierDeadline { kicker.kick() }
        let stopForDebugger: @Sendable (DebugEvent) -> Bool = { event in
            guard control.stopForDebugger(event) else { return false }
            kicker.kick()
            return true
        }
        guard !counts else {
            let thread = CountedThread(
                vcpus: vcpus, vm: engineVM, control: control, clock: clock, end: end, stopForDebugger: stopForDebugger)
            countedThread = thread
            thread.start()
            return
        }
        countedThread = nil
        for vcpu in vcpus {
            VCPUThread(vcpu: vcpu, vm: engineVM, control: control, end: end, stopForDebugger: stopForDebugger).start()
        }
    }

    deinit {
        stop()
        // The clock and the vCPUs hold each other through it.
        kicker.forget()
    }

    private static func randomSeed() -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<32).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    // MARK: Control

    /// Starts the guest, or lets it go on.
    public func start() {
        _ = control.run()
        keepTime()
    }

    /// Lets the clock run while any vCPU may, and no longer.
    func keepTime() {
        timekeeping.withLock { _ in if control.timePasses { clock.start() } else { clock.stop() } }
    }

    /// Stops the guest between two instructions, and its clock; returns when it stands.
    public func pause() async {
        guard control.pause() else { return }
        for vcpu in vcpus { vcpu.kick() }
        await control.untilParked()
        keepTime()
    }

    /// Goes on after `pause()`.
    public func resume() { start() }

    /// Ends the run, as pulling the plug does.
    public func stop() {
        control.end(.stopped)
        kicker.kick()
    }

    /// Waits for the end of the run; everything that the guest has sent was handed over by then.
    public func wait() async -> MachineOutcome {
        let outcome = await control.ended()
        clock.stop()
        board.flushOutput()
        return outcome
    }

    // MARK: Console and counters

    /// Offers input to COM1; returns how many bytes were taken. Any thread.
    public func sendSerialInput(_ bytes: [UInt8]) -> Int { board.serial.receive(bytes) }

    /// Called, on any thread, when COM1 has room again after it refused input.
    public func onSerialInputSpace(_ action: @escaping @Sendable () -> Void) { board.onSerialInputSpace(action) }

    /// The counters of each vCPU. Exact when the machine stands still.
    public func counters() -> [Counters] { vcpus.map { $0.counters() } }
}

/// Kicks the vCPUs from device and clock callbacks; filled in once the vCPUs are there.
final class Kicker: Sendable {
    private let vcpus = Mutex<[any VirtualCPU]>([])

    func set(_ all: [any VirtualCPU]) { vcpus.withLock { $0 = all } }
    func forget() { vcpus.withLock { $0 = [] } }
    func kick() { for vcpu in vcpus.withLock({ $0 }) { vcpu.kick() } }
}

extension MachineOutcome {
    /// The end of the run that an event of the guest's brings; nil for one that does not end it.
    init?(_ event: MachineEvent) {
        switch event {
        case .powerOff: self = .poweredOff
        case .reset: self = .reset
        case .exit(let status): self = .exited(status: status)
        case .panic: self = .panicked
        case .crashLoaded: return nil
        }
    }
}

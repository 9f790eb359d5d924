// A vCPU of a given engine with memory and a bus that records, and the one way to a test that needs KVM: skipped, with the
// reason printed, where there is none.

import Foundation
import KVM
import Memory
import Synchronization
import Testing
import VirtualCPU
import X86

/// Skips the test that asks if KVM does not work here.
func requireKVM() throws {
    if case .unavailable(let reason) = KVMEngine().probe() { try Test.cancel("no KVM here: \(reason)") }
}

/// Skips one case of a test. The reason is printed here, since of cases nobody else does.
func skipCase(_ reason: String) throws -> Never {
    print("skipped: \(reason)")
    try Test.cancel("\(reason)")
}

/// Whether the CPU itself executes guests here. Otherwise a kernel emulates parts of them, and some things cannot be shown.
let guestsRunOnHardware = (try? KVMEngine().measureGuestSpeed().isHardware) ?? false

/// All tests of this module, one after the other: the seam is one for the process, and descriptors are counted.
@Suite(.serialized) enum KVMSuite {}

/// A bus that records what is written to it, and kicks its vCPU at a write to port 0xf4 or when a number of ports was written.
final class RecordingBus: Bus {
    struct Access: Equatable {
        var place: UInt64
        var size: Int
        var value: UInt64
    }

    let ports = Mutex<[Access]>([])
    let mmio = Mutex<[Access]>([])
    /// Port writes after which the vCPU is kicked.
    let stopAfter = Mutex<Int?>(nil)
    /// What the PIC pair would answer, and how often it was asked; what is to happen then.
    let acknowledged = Mutex<(vector: UInt8, count: Int, action: (@Sendable () -> Void)?)>((0xff, 0, nil))
    private let vcpu = Mutex<(any VirtualCPU)?>(nil)

    func stopAtExitPort(_ vcpu: (any VirtualCPU)?) { self.vcpu.withLock { $0 = vcpu } }

    func readPort(_ port: UInt16, size: Int) -> UInt32 { 0x1234_5678 & (size == 4 ? .max : 1 << (8 * size) - 1) }
    func writePort(_ port: UInt16, size: Int, value: UInt32) {
        let count = ports.withLock {
            $0.append(Access(place: UInt64(port), size: size, value: UInt64(value)))
            return $0.count
        }
        if port == 0xf4 || count == stopAfter.withLock({ $0 }) { vcpu.withLock { $0 }?.kick() }
    }
    func readMMIO(_ address: UInt64, size: Int) -> UInt64 {
        0x8877_6655_4433_2211 &+ address & (size == 8 ? .max : 1 << UInt64(8 * size) - 1)
    }
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {
        mmio.withLock { $0.append(Access(place: address, size: size, value: value)) }
    }
    func acknowledgeInterrupt() -> UInt8 {
        let (vector, action) = acknowledged.withLock {
            $0.count += 1
            return ($0.vector, $0.action)
        }
        action?()
        return vector
    }
    func endOfInterrupt(vector: UInt8) {}
}

/// The modes that tests start in.
enum TestMode: CaseIterable, Sendable {
    case real16, protected32, long64
}

/// One or more vCPUs with 2 MiB of memory; code lies at `codeAddress`, the first GiB is mapped to itself, also for ring 3.
struct TestMachine {
    static let codeAddress: UInt64 = 0x1000
    static let stackTop: UInt64 = 0x8000
    static let tables: UInt64 = 0x10_0000

    let memory: GuestMemory
    let bus = RecordingBus()
    let clock: Clock
    let vm: any EngineVM
    let vcpus: [any VirtualCPU]
    var vcpu: any VirtualCPU { vcpus[0] }

    init(
        _ mode: TestMode, code: [UInt8], engine: any Engine = KVMEngine(), vcpus count: Int = 1, model: String = "host",
        memory shared: GuestMemory? = nil, clock: Clock = Clock(source: .host),
        isParavirtual: Bool = false
    ) throws {
        self.clock = clock
        memory = try shared ?? GuestMemory(size: 2 << 20)
        vm = try engine.makeVM(
            EngineConfiguration(
                cpuModel: model, vcpuCount: count, clock: clock, memory: memory, bus: bus,
                isParavirtual: isParavirtual))
        for region in memory.regions { try vm.map(region) }
        var all: [any VirtualCPU] = []
        for id in 0..<count { all.append(try vm.makeVCPU(id: id)) }
        vcpus = all
        guard shared == nil else { return }
        try memory.write(code, at: GuestPhysicalAddress(Self.codeAddress))
        try memory.writeInteger(Self.tables + 0x1000 | 7, at: GuestPhysicalAddress(Self.tables))
        try memory.writeInteger(Self.tables + 0x2000 | 7, at: GuestPhysicalAddress(Self.tables + 0x1000))
        for index in 0..<512 as Range<UInt64> {
            try memory.writeInteger(index << 21 | 0x87, at: GuestPhysicalAddress(Self.tables + 0x2000 + index * 8))
        }
        try vcpu.importState(Self.state(mode))
    }

    /// A flat CPU state that is about to execute at `codeAddress`, interrupts off.
    static func state(_ mode: TestMode) -> CPUState {
        var state = CPUState()
        state.rip = codeAddress
        state.gpr[4] = stackTop
        state.cr4 = 0x600  // OSFXSR, OSXMMEXCPT
        guard mode != .real16 else {
            state.segments[1] = SegmentState(selector: 0, base: 0, limit: 0xffff, attributes: 0x9b)
            return state
        }
        let long = mode == .long64
        let data = SegmentState(selector: 0x10, base: 0, limit: .max, attributes: 0xc093)
        for segment in [0, 2, 3, 4, 5] { state.segments[segment] = data }
        state.segments[1] = SegmentState(selector: 8, base: 0, limit: .max, attributes: long ? 0xa09b : 0xc09b)
        state.cr0 = 0x11
        guard long else { return state }
        state.cr0 = 0x8000_0011
        state.cr3 = tables
        state.cr4 = 0x620
        state.msrs[0xc000_0080] = 0x500  // LME, LMA
        return state
    }

    /// Runs until the guest writes to port 0xf4, over halts; no longer than the limit.
    func runToEnd(seconds: Double = 10) throws {
        let deadline = Date(timeIntervalSinceNow: seconds)
        while !hasEnded {
            try #require(Date() < deadline, "the guest did not come to its end")
            let exit = runToExitPort(seconds: max(deadline.timeIntervalSinceNow, 0.01))
            switch exit {
            case .kicked: break
            case .halted: vcpu.waitForEvent(nanoseconds: 1_000_000)
            default:
                try #require(exit == .kicked)
            }
        }
    }

    /// Whether the guest has written to port 0xf4.
    var hasEnded: Bool { bus.ports.withLock { $0.contains { $0.place == 0xf4 } } }

    /// Runs until the guest writes to port 0xf4 or something else ends the run, but no longer than the limit.
    func runToExitPort(seconds: Double = 10) -> Exit {
        bus.stopAtExitPort(vcpu)
        defer { bus.stopAtExitPort(nil) }
        let ended = Flag()
        let vcpu = vcpu
        let thread = Thread {
            let deadline = Date(timeIntervalSinceNow: seconds)
            while !ended.isSet, Date() < deadline { Thread.sleep(forTimeInterval: min(0.005, seconds / 4)) }
            if !ended.isSet { vcpu.kick() }
        }
        thread.start()
        defer { ended.set() }
        return vcpu.run(budget: nil)
    }
}

/// Something has happened.
final class Flag: Sendable {
    private let value = Atomic<Bool>(false)
    var isSet: Bool { value.load(ordering: .sequentiallyConsistent) }
    func set() { value.store(true, ordering: .sequentiallyConsistent) }
}

/// Code of the tests' guests.
enum Code {
    /// out 0xf4, al; jmp $
    static let exit: [UInt8] = [0xe6, 0xf4, 0xeb, 0xfe]
    /// jmp $
    static let spin: [UInt8] = [0xeb, 0xfe]
}

// Whether guests run at hardware speed: some KVMs emulate the kernel's share of a guest, instruction by instruction, and
// say so nowhere. A guest of a few bytes counts down, and its time tells.

import CKVM
import Foundation
import Memory
import Synchronization
import VirtualCPU

/// What a probe guest's run showed.
public struct GuestSpeed: Sendable, Equatable {
    /// Instructions per second at ring 0, to be read as an order of magnitude.
    public var instructionsPerSecond: Double

    /// A CPU executes billions a second, an emulator in the kernel around one million.
    private static let hardware = 50e6

    /// Whether the CPU itself executes the guest.
    public var isHardware: Bool { instructionsPerSecond >= Self.hardware }
}

/// The machine that the probe guest sees: one port ends its run.
private final class ProbeBus: Bus, Sendable {
    let isDone = Atomic<Bool>(false)
    private let vcpu = Mutex<(any VirtualCPU)?>(nil)

    func connect(_ vcpu: (any VirtualCPU)?) { self.vcpu.withLock { $0 = vcpu } }
    func kick() { vcpu.withLock { $0 }?.kick() }

    func writePort(_ port: UInt16, size: Int, value: UInt32) {
        isDone.store(true, ordering: .relaxed)
        kick()
    }
    func readPort(_ port: UInt16, size: Int) -> UInt32 { .max }
    func readMMIO(_ address: UInt64, size: Int) -> UInt64 { .max }
    func writeMMIO(_ address: UInt64, size: Int, value: UInt64) {}
    func acknowledgeInterrupt() -> UInt8 { 0xff }
    func endOfInterrupt(vector: UInt8) {}
}

extension KVMEngine: ChosenBySpeed {
    /// Runs the probe guest; takes a millisecond where guests run fast, and some tens of milliseconds where they are emulated.
    public func measureGuestSpeed() throws(EngineError) -> GuestSpeed {
        // The first run pays for page tables.
        _ = try Self.countdown(100)
        let turns: UInt32 = 5000
        let seconds = try Self.countdown(turns)
        return GuestSpeed(instructionsPerSecond: 2 * Double(turns) / max(seconds, 1e-9))
    }

    /// Measures.
    public func reasonAgainstAutomaticChoice() -> String? {
        do throws(EngineError) {
            let speed = try measureGuestSpeed()
            guard !speed.isHardware else { return nil }
            let millions = String(format: "%.1f", speed.instructionsPerSecond / 1e6)
            return "this host's KVM emulates kernel code, at \(millions) million instructions a second"
        } catch {
            return "its probe guest did not run: \(error.description)"
        }
    }

    /// How long, in seconds, a guest takes that counts down in 32-bit mode: without paging, so that it runs on hardware that
    /// has no real mode for guests, too.
    private static func countdown(_ turns: UInt32) throws(EngineError) -> Double {
        let bus = ProbeBus()
        let memory: GuestMemory
        do {
            memory = try GuestMemory(size: 2 * pageSize)
            // mov ecx, turns; 1: dec ecx; jnz 1b; out 0xf4, al; jmp $
            let count = (0..<4).map { UInt8(truncatingIfNeeded: turns >> UInt32(8 * $0)) }
            try memory.write(
                [0xb9] + count + [0x49, 0x75, 0xfd, 0xe6, 0xf4, 0xeb, 0xfe], at: GuestPhysicalAddress(0x1000))
        } catch {
            throw EngineError("no memory for the probe guest")
        }
        let vm = try KVMVM(
            EngineConfiguration(
                cpuModel: "host", vcpuCount: 1, clock: Clock(source: .host), memory: memory, bus: bus))
        for region in memory.regions { try vm.map(region) }
        let vcpu = try vm.makeVCPU(id: 0)
        var state = CPUState()
        state.cr0 = 0x6000_0011
        state.rip = 0x1000
        let data = SegmentState(selector: 0x10, base: 0, limit: .max, attributes: 0xc093)
        state.segments.replaceSubrange(0..<6, with: repeatElement(data, count: 6))
        state.segments[1] = SegmentState(selector: 8, base: 0, limit: .max, attributes: 0xc09b)
        try vcpu.importState(state)
        bus.connect(vcpu)
        defer { bus.connect(nil) }
        // A guest that does not come to its end is stopped.
        let watchdog = Thread {
            for _ in 0..<100 where !bus.isDone.load(ordering: .relaxed) { Thread.sleep(forTimeInterval: 0.01) }
            bus.kick()
        }
        watchdog.start()
        let begin = DispatchTime.now().uptimeNanoseconds
        let exit = vcpu.run(budget: nil)
        let end = DispatchTime.now().uptimeNanoseconds
        bus.isDone.store(true, ordering: .relaxed)
        if case .failed(let error) = exit { throw error }
        return Double(end - begin) / 1e9
    }
}

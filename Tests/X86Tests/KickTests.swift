// Kicks from another thread, a hundred thousand of them, while the vCPU runs or sleeps: each that is waited for ends a run,
// and nothing else does.

import Foundation
import Synchronization
import Testing
import VirtualCPU

@Suite(.serialized) struct KickTests {
    private static let kicks = 100_000

    /// What the vCPU's thread has seen.
    private final class Log: Sendable {
        let kicked = Atomic<Int>(0)
        let halted = Atomic<Int>(0)
        /// Something else than a kick or a halt ended a run, or a halted vCPU woke for no kick.
        let strange = Atomic<Int>(0)
        let ends = Atomic<Bool>(false)
        let ended = DispatchSemaphore(value: 0)
    }

    /// Runs a vCPU on a thread of its own until a kick finds `ends` set.
    private func start(_ vcpu: any VirtualCPU, _ log: Log) {
        let thread = Thread {
            var woken = false
            while true {
                switch vcpu.run(budget: nil) {
                case .kicked:
                    log.kicked.add(1, ordering: .sequentiallyConsistent)
                    woken = false
                    if log.ends.load(ordering: .sequentiallyConsistent) {
                        log.ended.signal()
                        return
                    }
                case .halted:
                    log.halted.add(1, ordering: .relaxed)
                    if woken { log.strange.add(1, ordering: .relaxed) }
                    vcpu.waitForEvent(nanoseconds: nil)
                    woken = true
                default: log.strange.add(1, ordering: .relaxed)
                }
            }
        }
        thread.start()
    }

    private func finish(_ vcpu: any VirtualCPU, _ log: Log) -> Bool {
        log.ends.store(true, ordering: .sequentiallyConsistent)
        vcpu.kick()
        return log.ended.wait(timeout: .now() + 20) == .success
    }

    /// jmp $ and hlt; interrupts are off.
    private static let guests: [(name: String, code: [UInt8])] = [("running", [0xeb, 0xfe]), ("halted", [0xf4])]

    @Test("Every kick ends one run", arguments: guests.map(\.name))
    func handshake(guest: String) throws {
        let code = try #require(Self.guests.first { $0.name == guest }).code
        let machine = try TestMachine(.long64, code: code)
        let log = Log()
        start(machine.vcpu, log)
        var lost = 0
        for kick in 1...Self.kicks where lost == 0 {
            machine.vcpu.kick()
            let deadline = Date(timeIntervalSinceNow: 20)
            while log.kicked.load(ordering: .sequentiallyConsistent) < kick {
                sched_yield()
                if deadline < .now {
                    lost = kick
                    break
                }
            }
        }
        #expect(lost == 0, "this one was lost")
        #expect(log.kicked.load(ordering: .sequentiallyConsistent) == Self.kicks)
        #expect(finish(machine.vcpu, log))
        #expect(log.strange.load(ordering: .relaxed) == 0)
        #expect((log.halted.load(ordering: .relaxed) > 0) == (guest == "halted"))
    }

    @Test("A storm of kicks merges, and the last one counts", arguments: guests.map(\.name))
    func storm(guest: String) throws {
        let code = try #require(Self.guests.first { $0.name == guest }).code
        let machine = try TestMachine(.long64, code: code)
        let log = Log()
        start(machine.vcpu, log)
        for _ in 0..<Self.kicks { machine.vcpu.kick() }
        #expect(finish(machine.vcpu, log))
        #expect((1...Self.kicks + 1).contains(log.kicked.load(ordering: .relaxed)))
        #expect(log.strange.load(ordering: .relaxed) == 0)
    }
}

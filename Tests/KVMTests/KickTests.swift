// Kicks from another thread, a hundred thousand of them: each that is waited for ends a run, and nothing else does.

import Foundation
import KVM
import Synchronization
import TestSupport
import Testing
import VirtualCPU

extension KVMSuite {
    @Suite struct KickTests {
        private static let kicks = 100_000
        /// Kicks of which each waits for the one before; TRAPEZE_KICKS for more.
        private static let handshakes = setting("TRAPEZE_KICKS", default: 10_000)

        /// What the vCPU's thread has seen.
        private final class Log: Sendable {
            let kicked = Atomic<Int>(0)
            let strange = Atomic<Int>(0)
            let ended = DispatchSemaphore(value: 0)
            let wanted: Flag

            init(_ ends: Flag) { wanted = ends }
        }

        private func start(_ vcpu: any VirtualCPU, _ log: Log) {
            Thread {
                while true {
                    guard case .kicked = vcpu.run(budget: nil) else {
                        log.strange.add(1, ordering: .relaxed)
                        return
                    }
                    log.kicked.add(1, ordering: .sequentiallyConsistent)
                    if log.wanted.isSet {
                        log.ended.signal()
                        return
                    }
                }
            }.start()
        }

        /// jmp $ and hlt, with interrupts off; the second sleeps in the kernel.
        private static let guests: [(name: String, code: [UInt8])] = [("running", Code.spin), ("halted", [0xf4])]

        @Test("Every kick that is waited for ends one run", arguments: guests.map(\.name))
        func handshake(guest: String) throws {
            try requireKVM()
            let code = try #require(Self.guests.first { $0.name == guest }).code
            let machine = try TestMachine(.long64, code: code)
            let ends = Flag()
            let log = Log(ends)
            start(machine.vcpu, log)
            for number in 1...Self.handshakes {
                machine.vcpu.kick()
                let deadline = Date(timeIntervalSinceNow: 10)
                while log.kicked.load(ordering: .sequentiallyConsistent) < number {
                    try #require(Date() < deadline, "kick \(number) was lost")
                    sched_yield()
                }
            }
            #expect(log.kicked.load(ordering: .sequentiallyConsistent) == Self.handshakes, "a run ended without a kick")
            ends.set()
            machine.vcpu.kick()
            #expect(log.ended.wait(timeout: .now() + 10) == .success)
            #expect(log.strange.load(ordering: .relaxed) == 0)
            #expect(machine.vcpu.counters().kicks == UInt64(Self.handshakes) + 1)
        }

        @Test("A storm of kicks ends no run early that it should not, and the last one counts") func storm() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: Code.spin)
            let ends = Flag()
            let log = Log(ends)
            start(machine.vcpu, log)
            let kickers = (0..<2).map { _ in
                let done = DispatchSemaphore(value: 0)
                Thread {
                    for _ in 0..<Self.kicks / 2 { machine.vcpu.kick() }
                    done.signal()
                }.start()
                return done
            }
            for kicker in kickers { #expect(kicker.wait(timeout: .now() + 60) == .success) }
            ends.set()
            machine.vcpu.kick()
            #expect(log.ended.wait(timeout: .now() + 10) == .success)
            #expect(log.kicked.load(ordering: .sequentiallyConsistent) <= Self.kicks + 1)
            #expect(log.strange.load(ordering: .relaxed) == 0)
        }

        @Test("A kick before the run ends the run") func early() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: Code.spin)
            for _ in 0..<100 {
                machine.vcpu.kick()
                #expect(machine.vcpu.run(budget: nil) == .kicked)
            }
        }
    }
}

// Guests that move: stopped at exits, by kicks and after single steps at random, their state goes to another engine, and they
// end as one does that never moved.

import Foundation
import KVM
import Memory
import TestSupport
import Testing
import Translator
import VirtualCPU
import X86

extension KVMSuite {
    @Suite struct TransferTests {
        /// TRAPEZE_SEED repeats a run that failed; TRAPEZE_TRANSFERS is how many guests move in each mode.
        private static let firstSeed: UInt64 = setting("TRAPEZE_SEED", default: 1)
        private static let seeds = firstSeed..<firstSeed + setting("TRAPEZE_TRANSFERS", default: 6)

        /// A KVM that emulates kernel code may run a program of ring 3 on the CPU.
        private static func turns(_ mode: TransferMode) -> UInt16 {
            guestsRunOnHardware || mode == .user64 ? 60_000 : 3000
        }

        /// How a guest ended: what it wrote, and its last state.
        private struct End {
            var ports: [RecordingBus.Access]
            var state: CPUState

            /// What has to be the same, a line for each part that is not.
            func differences(from other: End) -> [String] {
                (ports == other.ports ? [] : ["\(ports.count) port writes, not the same \(other.ports.count)"])
                    + state.differences(from: other.state)
            }
        }

        private static func machine(
            _ engine: any Engine, _ state: CPUState, memory: GuestMemory? = nil
        ) throws -> TestMachine {
            let machine = try TestMachine(.long64, code: TransferMode.program, engine: engine, memory: memory)
            if memory == nil { try TransferMode.writeTables(to: machine.memory) }
            try machine.vcpu.importState(state)
            return machine
        }

        /// The end of a guest that stays where it is; nil with what stopped it if it does not come to it.
        private static func stay(_ engine: any Engine, _ state: CPUState) throws -> (end: End?, obstacle: String) {
            let machine = try machine(engine, state)
            let exit = machine.runToExitPort(seconds: 5)
            guard machine.hasEnded else { return (nil, "\(exit)") }
            return (End(ports: machine.bus.ports.withLock { $0 }, state: try machine.vcpu.exportState()), "")
        }

        /// Skips the test if this host's KVM emulates kernel code and does not bring a guest of this mode to its end, or not
        /// to the right one. The end that is right, and how long it took, in microseconds.
        private static func require(_ mode: TransferMode, seed: UInt64) throws -> (end: End, time: Int) {
            try requireKVM()
            let start = mode.start(turns: turns(mode), seed: seed)
            let wanted = try #require(stay(InterpretEngine(), start).end)
            let begin = DispatchTime.now()
            let (found, obstacle) = try stay(KVMEngine(), start)
            let time = Int(DispatchTime.now().uptimeNanoseconds - begin.uptimeNanoseconds) / 1000
            let wrong = found?.differences(from: wanted).joined(separator: "; ") ?? obstacle
            if wrong.isEmpty { return (wanted, time) }
            if !guestsRunOnHardware { try skipCase("this host's KVM emulates, and does not run \(mode): \(wrong)") }
            Issue.record("\(mode) under kvm alone: \(wrong)")
            return (wanted, time)
        }

        /// Whether single steps lead from one instruction to the next in a mode.
        private static func steps(_ mode: TransferMode) throws -> Bool {
            let machine = try machine(KVMEngine(), mode.start(turns: 10, seed: 1))
            var control = DebugControl()
            control.singleStep = true
            try machine.vcpu.setDebugControl(control)
            for offset: UInt64 in [2, 4, 6] {
                guard machine.runToExitPort(seconds: 1) == .debug(.step) else { return false }
                guard try machine.vcpu.exportState().rip == TestMachine.codeAddress + offset else { return false }
            }
            return true
        }

        /// Runs a machine's guest for a while that is chosen at random. What it was stopped by. The first stop of a guest
        /// is at an exit of its beginning: a time may be over only after the guest.
        private static func runForAWhile(
            _ machine: TestMachine, first: Bool, steps canStep: Bool, atMost most: Int, _ generator: inout SplitMix64
        ) throws -> String {
            switch first ? 0 : Int.random(in: 0..<(canStep ? 3 : 2), using: &generator) {
            case 0:
                let count = Int.random(in: 1...40, using: &generator)
                machine.bus.stopAfter.withLock { $0 = count }
                let exit = machine.runToExitPort()
                machine.bus.stopAfter.withLock { $0 = nil }
                try #require(exit == .kicked)
                return "\(count) exits"
            case 1:
                let time = Int.random(in: 0...most, using: &generator)
                try #require(machine.runToExitPort(seconds: Double(time) / 1e6) == .kicked)
                return "\(time) µs"
            default:
                let count = Int.random(in: 1...12, using: &generator)
                var control = DebugControl()
                control.singleStep = true
                try machine.vcpu.setDebugControl(control)
                for _ in 0..<count where !machine.hasEnded {
                    let exit = machine.runToExitPort()
                    try #require(exit == .debug(.step) || machine.hasEnded && exit == .kicked)
                }
                try machine.vcpu.setDebugControl(DebugControl())
                return "\(count) steps"
            }
        }

        @Test("A guest moves at random and ends as if it had not", arguments: TransferMode.allCases, seeds)
        func moves(mode: TransferMode, seed: UInt64) throws {
            let (wanted, time) = try Self.require(mode, seed: seed)
            let canStep = try Self.steps(mode)
            if !canStep { print("single steps do not work in \(mode) under this host's KVM: exits and kicks only") }
            var generator = SplitMix64(seed: seed)
            var state = mode.start(turns: Self.turns(mode), seed: seed)
            let memory = try Self.machine(InterpretEngine(), state).memory
            var ports: [RecordingBus.Access] = []
            var way: [String] = []
            let others: [any Engine] = [InterpretEngine(), TranslateEngine()]
            for leg in 0..<20 where ports.last?.place != 0xf4 {
                let onKVM = (leg & 1 == 0) == (seed & 1 == 0)
                let engine = onKVM ? KVMEngine() : others.randomElement(using: &generator) ?? others[0]
                let machine = try Self.machine(engine, state, memory: memory)
                let stop = try Self.runForAWhile(
                    machine, first: leg == 0, steps: canStep, atMost: onKVM ? time / 5 : 200, &generator)
                way.append("\(engine.name) \(stop)")
                ports += machine.bus.ports.withLock { $0 }
                state = try machine.vcpu.exportState()
            }
            if ports.last?.place != 0xf4 {
                let last = seed & 2 == 0 ? KVMEngine() as any Engine : others[0]
                let machine = try Self.machine(last, state, memory: memory)
                try machine.runToEnd()
                ports += machine.bus.ports.withLock { $0 }
                state = try machine.vcpu.exportState()
                way.append("\(last.name) to the end")
            }
            let differences = End(ports: ports, state: state).differences(from: wanted)
            #expect(differences.isEmpty, "\(mode), seed \(seed), by way of \(way.joined(separator: ", "))")
            #expect(way.count > 1)
        }
    }
}

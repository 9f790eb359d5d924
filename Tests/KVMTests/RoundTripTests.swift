// State between the software engine and the kernel: what goes in comes out, and a guest that moves goes on.

import Foundation
import KVM
import Memory
import TestSupport
import Testing
import Translator
import VirtualCPU
import X86

extension KVMSuite {
    @Suite struct RoundTripTests {
        /// A state with something of its own in every part.
        static func rich(_ mode: TestMode, seed: UInt64) -> CPUState {
            var generator = SplitMix64(seed: seed)
            var state = TestMachine.state(mode)
            for register in 0..<16 where register != 4 {
                state.gpr[register] = mode == .long64 ? generator.next() : generator.next() & 0xffff_ffff
            }
            if mode != .long64 { for register in 8..<16 { state.gpr[register] = 0 } }
            state.rflags = 2 | generator.next() & 0xcd5 | generator.next() & 0x200
            state.gdtr = TableState(base: 0x3000, limit: 0x4f)
            state.idtr = TableState(base: 0x4000, limit: 0xfff)
            state.cr2 = generator.next() & 0x7fff_ffff_f000
            state.debugAddresses = [0x1234, 0x5678, 0x9abc, 0xdef0]
            state.dr6 = 0xffff_0ff1
            state.msrs[0xc000_0081] = 0x0023_0010_0000_0000
            state.msrs[0xc000_0082] = 0xffff_8000_0000_1000
            state.msrs[0xc000_0084] = 0x4_7700
            state.msrs[0xc000_0102] = 0x7f00_0000_1000
            state.msrs[0x174] = 8
            state.msrs[0x175] = 0x8000
            state.msrs[0x176] = 0x9000
            state.msrs[0x277] = 0x0007_0406_0007_0406
            state.xsave[0] = 0x7f
            state.xsave[1] = 3
            state.xsave[4] = 0
            for byte in 160..<416 { state.xsave[byte] = UInt8(truncatingIfNeeded: generator.next()) }
            state.xsave[24] = 0xa0
            state.xsave[512] = 2
            var apic = state.localAPIC
            apic.registers[0x0f] = 0x1ff
            apic.registers[0x08] = 0x20
            apic.registers[0x32] = 0x2_0030
            apic.registers[0x3e] = 0xb
            apic.registers[0x38] = 100_000_000
            apic.registers[0x35] = 0x700
            apic.registers[0x22] = 1 << 3
            apic.registers[0x12] = 1 << 2
            apic.timerDeadline = 50_000_000
            state.localAPIC = apic
            return state
        }

        /// What has to come out as it went in: all but what time has moved.
        static func comparable(_ state: CPUState) -> CPUState {
            var state = state
            state.tsc = 0
            state.localAPIC.registers[0x39] = 0
            state.localAPIC.registers[0x0a] = 0
            state.localAPIC.timerDeadline = state.localAPIC.timerDeadline == nil ? nil : 1
            return state
        }

        @Test("What goes into the kernel comes out", arguments: TestMode.allCases, 1...20 as ClosedRange<UInt64>)
        func kernel(mode: TestMode, seed: UInt64) throws {
            try requireKVM()
            let machine = try TestMachine(mode, code: Code.spin)
            try machine.vcpu.importState(Self.rich(mode, seed: seed))
            let first = try machine.vcpu.exportState()
            try machine.vcpu.importState(first)
            let second = try machine.vcpu.exportState()
            #expect(Self.comparable(first) == Self.comparable(second), "seed \(seed)")
            let wanted = Self.comparable(Self.rich(mode, seed: seed))
            let found = Self.comparable(first)
            #expect(found.differences(from: wanted) == [])
            #expect(found.localAPIC == wanted.localAPIC)
        }

        @Test(
            "Through the kernel and back to the interpreter", arguments: TestMode.allCases,
            1...20 as ClosedRange<UInt64>)
        func between(mode: TestMode, seed: UInt64) throws {
            try requireKVM()
            let software = try TestMachine(mode, code: Code.spin, engine: InterpretEngine())
            let hardware = try TestMachine(mode, code: Code.spin)
            try software.vcpu.importState(Self.rich(mode, seed: seed))
            let before = try software.vcpu.exportState()
            try hardware.vcpu.importState(before)
            try software.vcpu.importState(hardware.vcpu.exportState())
            let after = try software.vcpu.exportState()
            #expect(Self.comparable(before) == Self.comparable(after), "seed \(seed)")
        }

        /// mov ecx, turns; 1: imul rax, rax, 1103515245; add rax, 12345; add rbx, rax; loop 1b; exit
        private static let work: [UInt8] =
            [0xb9, 0x80, 0x84, 0x1e, 0, 0x48, 0x69, 0xc0, 0x6d, 0x4e, 0xc6, 0x41, 0x48, 0x05, 0x39, 0x30, 0, 0]
            + [0x48, 0x01, 0xc3, 0xe2, 0xee] + Code.exit

        @Test("A guest that moves between engines every few milliseconds", arguments: [1, 3, 7])
        func moving(milliseconds: Int) throws {
            try requireKVM()
            let reference = try TestMachine(.long64, code: Self.work, engine: InterpretEngine())
            #expect(reference.runToExitPort() == .kicked)
            let wanted = try reference.vcpu.exportState()

            let first = try TestMachine(.long64, code: Self.work)
            var states = 0
            var machine = first
            var state = try machine.vcpu.exportState()
            let engines: [any Engine] = [KVMEngine(), TranslateEngine(), InterpretEngine()]
            let deadline = Date(timeIntervalSinceNow: 30)
            while machine.bus.ports.withLock({ $0.isEmpty }) {
                try #require(Date() < deadline)
                // All engines at the same memory, in turn.
                let engine = engines[states % engines.count]
                machine = try TestMachine(.long64, code: [], engine: engine, memory: first.memory)
                try machine.vcpu.importState(state)
                // Software is some hundred times faster here than a KVM that emulates.
                let time = Double(milliseconds) / (engine.name == "kvm" ? 1000 : 20_000)
                #expect(machine.runToExitPort(seconds: time) == .kicked)
                state = try machine.vcpu.exportState()
                states += 1
            }
            #expect(state.gpr == wanted.gpr && state.rip == wanted.rip && state.rflags == wanted.rflags)
            #expect(states > 10)
        }
    }
}

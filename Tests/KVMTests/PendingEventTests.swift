// Guests that move while something waits for them: interrupts in the local APIC and on the PIC pair's line, NMIs, an
// exception or an interrupt that was accepted and not delivered, shadows, and timers.

import Foundation
import KVM
import Memory
import Testing
import Translator
import VirtualCPU
import X86

extension KVMSuite {
    @Suite struct PendingEventTests {
        /// From one engine to another, of which one at least is `kvm`.
        struct Way: Sendable, CustomTestStringConvertible {
            var from: any Engine
            var to: any Engine

            var testDescription: String { "\(from.name) to \(to.name)" }

            static let all: [Way] = [
                Way(from: KVMEngine(), to: InterpretEngine()), Way(from: KVMEngine(), to: TranslateEngine()),
                Way(from: InterpretEngine(), to: KVMEngine()), Way(from: TranslateEngine(), to: KVMEngine()),
                Way(from: KVMEngine(), to: KVMEngine()),
            ]
        }

        /// A KVM that emulates kernel code takes interrupts at HLT only.
        private static func isExact(_ engine: any Engine) -> Bool { engine.name != "kvm" || guestsRunOnHardware }

        private static let vector: UInt8 = 0x51
        private static let messages: UInt64 = 0xfee0_0000

        /// sti; inc ecx, three times; cli; cmp ebx, 0; jne 1f; sti; hlt; cli; 1: exit
        private static let main: [UInt8] =
            [0xfb, 0xff, 0xc1, 0xff, 0xc1, 0xff, 0xc1, 0xfa, 0x83, 0xfb, 0, 0x75, 3, 0xfb, 0xf4, 0xfa] + Code.exit
        /// Counts in EBX, leaves ECX at 0x6000, signals the end of the interrupt by x2APIC's register, and returns.
        private static let handler: [UInt8] =
            [0xff, 0xc3, 0x89, 0x0c, 0x25, 0, 0x60, 0, 0, 0x50, 0x51, 0x52]
            + [0xb9, 0x0b, 8, 0, 0, 0x31, 0xc0, 0x99, 0x0f, 0x30, 0x5a, 0x59, 0x58, 0x48, 0xcf]
        /// inc edi; mov ebx, 1; iretq: what NMI and #UD come to.
        private static let otherHandler: [UInt8] = [0xff, 0xc7, 0xbb, 1, 0, 0, 0, 0x48, 0xcf]

        private static let initial: CPUState = {
            var state = TestMachine.state(.long64)
            state.gdtr = TableState(base: 0x5000, limit: 0x17)
            state.idtr = TableState(base: 0x4000, limit: 0xfff)
            for register in [1, 3, 7] { state.gpr[register] = 0 }
            state.localAPIC.base |= 1 << 10
            state.localAPIC.registers[0x0f] = 0x1ff
            return state
        }()

        private static func machine(
            _ engine: any Engine, _ state: CPUState, sharing other: TestMachine? = nil
        ) throws -> TestMachine {
            let machine = try TestMachine(
                .long64, code: main, engine: engine, memory: other?.memory, clock: other?.clock ?? Clock(source: .host))
            if other == nil {
                let memory = machine.memory
                try memory.writeInteger(0x00af_9b00_0000_ffff as UInt64, at: GuestPhysicalAddress(0x5008))
                try memory.writeInteger(0x00cf_9300_0000_ffff as UInt64, at: GuestPhysicalAddress(0x5010))
                for (number, place) in [(UInt64(vector), UInt64(0x7000)), (2, 0x7100), (6, 0x7100)] {
                    try memory.writeInteger(0x8e00_0008_0000 | place, at: GuestPhysicalAddress(0x4000 + number * 16))
                }
                try memory.write(handler, at: GuestPhysicalAddress(0x7000))
                try memory.write(otherHandler, at: GuestPhysicalAddress(0x7100))
                machine.clock.start()
            }
            try machine.vcpu.importState(state)
            return machine
        }

        private static func bits(_ state: CPUState, at register: Int) -> Bool {
            state.localAPIC.registers[register + Int(vector) / 32] >> UInt32(vector % 32) & 1 != 0
        }
        private static func isRequested(_ state: CPUState) -> Bool { bits(state, at: 0x20) }
        private static func isInService(_ state: CPUState) -> Bool { bits(state, at: 0x10) }

        /// Runs to the end after the move; the last state, in which nothing waits any more.
        private static func finish(_ machine: TestMachine) throws -> CPUState {
            try machine.runToEnd()
            let state = try machine.vcpu.exportState()
            #expect(!isRequested(state) && !isInService(state))
            #expect(!state.localAPIC.pendingNMI && state.pendingException == nil && state.acknowledgedInterrupt == nil)
            return state
        }

        /// ECX when the interrupt came.
        private static func turns(_ machine: TestMachine) throws -> UInt32 {
            try machine.memory.readInteger(UInt32.self, at: GuestPhysicalAddress(0x6000))
        }

        @Test("An interrupt that waits in the local APIC", arguments: Way.all) func request(way: Way) throws {
            try requireKVM()
            let source = try Self.machine(way.from, Self.initial)
            #expect(source.vm.signalMSI(address: Self.messages, data: UInt32(Self.vector)))
            let state = try source.vcpu.exportState()
            #expect(Self.isRequested(state))
            let target = try Self.machine(way.to, state, sharing: source)
            #expect(try Self.finish(target).gpr[3] == 1)
            #expect(try Self.turns(target) == (Self.isExact(way.to) ? 1 : 3))
        }

        @Test("An interrupt that waits for the instruction after STI", arguments: Way.all)
        func shadow(way: Way) throws {
            try requireKVM()
            let source = try Self.machine(way.from, Self.initial)
            #expect(source.vm.signalMSI(address: Self.messages, data: UInt32(Self.vector)))
            var control = DebugControl()
            control.singleStep = true
            try source.vcpu.setDebugControl(control)
            #expect(source.runToExitPort() == .debug(.step))
            let state = try source.vcpu.exportState()
            #expect(state.rip == TestMachine.codeAddress + 1 && state.shadow.sti && Self.isRequested(state))
            let target = try Self.machine(way.to, state, sharing: source)
            #expect(try Self.finish(target).gpr[3] == 1)
            #expect(try Self.turns(target) == (Self.isExact(way.to) ? 1 : 3))
        }

        @Test("An NMI that waits", arguments: Way.all) func nmi(way: Way) throws {
            try requireKVM()
            let source = try Self.machine(way.from, Self.initial)
            #expect(source.vm.signalMSI(address: Self.messages, data: 4 << 8))
            let state = try source.vcpu.exportState()
            #expect(state.localAPIC.pendingNMI)
            #expect(try Self.finish(Self.machine(way.to, state, sharing: source)).gpr[7] == 1)
        }

        @Test("An NMI that waits for the end of another's handler", arguments: Way.all) func nextNMI(way: Way) throws {
            try requireKVM()
            var state = Self.initial
            // As in the handler: IRETQ at its end is next.
            state.shadow.nmi = true
            state.rip = 0x7100 + UInt64(Self.otherHandler.count) - 2
            state.gpr[4] -= 40
            let source = try Self.machine(way.from, state)
            for (index, word) in [TestMachine.codeAddress, 8, 2, TestMachine.stackTop, 0x10].enumerated() {
                try source.memory.writeInteger(word, at: GuestPhysicalAddress(state.gpr[4] + UInt64(index) * 8))
            }
            #expect(source.vm.signalMSI(address: Self.messages, data: 4 << 8))
            state = try source.vcpu.exportState()
            #expect(state.localAPIC.pendingNMI && state.shadow.nmi)
            let last = try Self.finish(Self.machine(way.to, state, sharing: source))
            #expect(last.gpr[7] == 1 && !last.shadow.nmi)
        }

        @Test("An interrupt or an exception on its way to its handler", arguments: Way.all, [true, false])
        func onItsWay(way: Way, interrupt: Bool) throws {
            try requireKVM()
            guard way.from.name == "kvm" else { try Test.cancel("software engines deliver before they export") }
            var state = Self.initial
            if interrupt {
                state.acknowledgedInterrupt = Self.vector
                state.localAPIC.registers[0x10 + Int(Self.vector) / 32] |= 1 << UInt32(Self.vector % 32)
                state.rflags |= 0x200
            } else {
                state.pendingException = PendingException(vector: 6, errorCode: nil)
            }
            let source = try Self.machine(way.from, state)
            // Through the loop, and out of it again before the guest is entered.
            source.vcpu.kick()
            #expect(source.runToExitPort() == .kicked)
            state = try source.vcpu.exportState()
            #expect(state.acknowledgedInterrupt == (interrupt ? Self.vector : nil))
            #expect(state.pendingException?.vector == (interrupt ? nil : 6))
            let target = try Self.machine(way.to, state, sharing: source)
            let last = try Self.finish(target)
            #expect(last.gpr[3] == 1 && last.gpr[7] == (interrupt ? 0 : 1))
            if interrupt { #expect(try Self.turns(target) == 0) }
        }

        @Test("An interrupt of the PIC pair's, on its line", arguments: Way.all) func line(way: Way) throws {
            try requireKVM()
            var state = Self.initial
            state.localAPIC.registers[0x35] = 0x700
            let source = try Self.machine(way.from, state)
            source.vm.setINTR(true)
            state = try source.vcpu.exportState()
            #expect(state.localAPIC.lint0)
            let target = try Self.machine(way.to, state, sharing: source)
            let vm = target.vm
            target.bus.acknowledged.withLock { $0 = (Self.vector, 0, { vm.setINTR(false) }) }
            let last = try Self.finish(target)
            #expect(last.gpr[3] == 1 && !last.localAPIC.lint0)
            #expect(target.bus.acknowledged.withLock { $0.count } == 1)
        }

        @Test("A halted guest whose timer wakes it elsewhere", arguments: Way.all, [0, 1 << 17 as UInt32])
        func timer(way: Way, mode: UInt32) throws {
            try requireKVM()
            var state = Self.initial
            state.rip += 15  // after HLT
            state.rflags |= 0x200
            state.activity = .halted
            state.localAPIC.registers[0x32] = mode | UInt32(Self.vector)
            state.localAPIC.registers[0x3e] = 0xb
            state.localAPIC.registers[0x38] = 50_000_000
            state.localAPIC.timerDeadline = 50_000_000
            let source = try Self.machine(way.from, state)
            Thread.sleep(forTimeInterval: 0.01)
            let moved = try source.vcpu.exportState()
            #expect(moved.activity == .halted)
            let deadline = try #require(moved.localAPIC.timerDeadline)
            // The kernel's timer and the machine's clock are read one after the other.
            #expect(deadline > 30_000_000 && deadline < 70_000_000)
            let target = try Self.machine(way.to, moved, sharing: source)
            #expect(try Self.finish(target).gpr[3] == 1)
            #expect(target.clock.now() >= 50_000_000)
        }
    }
}

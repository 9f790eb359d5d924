// Doorbells and interrupts by eventfd.

import CKVM
import Foundation
import KVM
import Memory
import Testing
import VirtualCPU

extension KVMSuite {
    @Suite struct EventTests {
        /// The count of an eventfd, which reading resets; 0 if it has none.
        private static func take(_ event: Int32) -> UInt64 {
            var count: UInt64 = 0
            return read(event, &count, 8) == 8 ? count : 0
        }

        private static func makeEvent() throws -> Int32 {
            let event = ckvm_make_event()
            try #require(event >= 0)
            return event
        }

        @Test("A doorbell takes writes off the bus, all or one value's") func doorbell() throws {
            try requireKVM()
            let machine = try TestMachine(
                .long64,
                code: [
                    0xb0, 5, 0xe6, 0x50, 0xe6, 0x51, 0xb0, 6, 0xe6, 0x51,  // 5 to ports 0x50 and 0x51, 6 to 0x51
                    0xbf, 0, 0, 0x40, 0, 0x89, 0x07,  // mov edi, 0x400000; mov [rdi], eax
                ] + Code.exit)
            let vm = try #require(machine.vm as? any EventDescriptors)
            let events = try (0..<3).map { _ in try Self.makeEvent() }
            defer { for event in events { close(event) } }
            try vm.attachDoorbell(events[0], at: .port(0x50), size: 1, value: nil)
            try vm.attachDoorbell(events[1], at: .port(0x51), size: 1, value: 5)
            try vm.attachDoorbell(events[2], at: .memory(0x40_0000), size: 4, value: nil)
            #expect(machine.runToExitPort() == .kicked)
            #expect(events.map(Self.take) == [1, 1, 1])
            #expect(machine.bus.ports.withLock { $0 }.map(\.place) == [0x51, 0xf4])
            #expect(machine.bus.mmio.withLock { $0 }.isEmpty)
            // Detached, they are the bus's again.
            try vm.detachDoorbell(events[0], at: .port(0x50), size: 1, value: nil)
            var state = TestMachine.state(.long64)
            state.rip = TestMachine.codeAddress
            try machine.vcpu.importState(state)
            #expect(machine.runToExitPort() == .kicked)
            #expect(events.map(Self.take) == [0, 1, 1])
            #expect(machine.bus.ports.withLock { $0 }.map(\.place) == [0x51, 0xf4, 0x50, 0x51, 0xf4])
        }

        @Test("A signal is an interrupt") func interrupt() throws {
            try requireKVM()
            // sti; 1: hlt; cmp ebx, 3; jb 1b; exit
            let machine = try TestMachine(
                .long64, code: [0xfb, 0xf4, 0x83, 0xfb, 3, 0x72, 0xfa] + Code.exit)
            let memory = machine.memory
            try memory.writeInteger(0x00af_9b00_0000_ffff as UInt64, at: GuestPhysicalAddress(0x5008))
            try memory.writeInteger(0x00cf_9300_0000_ffff as UInt64, at: GuestPhysicalAddress(0x5010))
            try memory.writeInteger(0x8e00_0008_7000 as UInt64, at: GuestPhysicalAddress(0x4000 + 0x51 * 16))
            // inc ebx; push rax, rcx, rdx; mov ecx, 0x80b; xor eax, eax; cdq; wrmsr; pop…; iretq
            try memory.write(
                [
                    0xff, 0xc3, 0x50, 0x51, 0x52, 0xb9, 0x0b, 8, 0, 0, 0x31, 0xc0, 0x99, 0x0f, 0x30, 0x5a, 0x59, 0x58,
                    0x48, 0xcf,
                ],
                at: GuestPhysicalAddress(0x7000))
            var state = TestMachine.state(.long64)
            state.gdtr = TableState(base: 0x5000, limit: 0x17)
            state.idtr = TableState(base: 0x4000, limit: 0xfff)
            state.gpr[3] = 0
            state.localAPIC.base |= 1 << 10
            state.localAPIC.registers[0x0f] = 0x1ff
            try machine.vcpu.importState(state)
            let vm = try #require(machine.vm as? any EventDescriptors)
            let event = try Self.makeEvent()
            defer { close(event) }
            let number = try vm.attachInterrupt(event, address: 0xfee0_0000, data: 0x51)
            let finished = Flag()
            Thread {
                while !finished.isSet {
                    var one: UInt64 = 1
                    _ = write(event, &one, 8)
                    Thread.sleep(forTimeInterval: 0.005)
                }
            }.start()
            #expect(machine.runToExitPort() == .kicked)
            finished.set()
            #expect(try machine.vcpu.exportState().gpr[3] == 3)
            try vm.detachInterrupt(event, number: number)
        }
    }
}

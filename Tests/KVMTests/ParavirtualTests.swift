// KVM's paravirtual interface by the kernel's own implementation: there when it is offered, gone when it is not, and its clock
// the machine's, whichever engine the guest moves to.

import Foundation
import KVM
import Memory
import Testing
import VirtualCPU
import X86

extension KVMSuite {
    @Suite struct ParavirtualTests {
        private static let page: UInt64 = 0x9000

        /// mov ecx, 0x4b564d01; mov eax, page | 1; xor edx, edx; wrmsr; exit
        private static let openClock: [UInt8] =
            [0xb9, 0x01, 0x4d, 0x56, 0x4b, 0xb8, 0x01, 0x90, 0, 0, 0x31, 0xd2, 0x0f, 0x30] + Code.exit

        /// What a guest computes from the page (Linux, Documentation/virt/kvm/x86/msr.rst), in nanoseconds.
        private static func time(in memory: GuestMemory, counter: UInt64) throws -> UInt64 {
            func read<T: FixedWidthInteger>(_ type: T.Type, _ offset: UInt64) throws -> T {
                try memory.readInteger(type, at: GuestPhysicalAddress(page + offset))
            }
            let version = try read(UInt32.self, 0)
            #expect(version != 0 && version & 1 == 0)
            let shift = try read(Int8.self, 28)
            let passed = counter &- (try read(UInt64.self, 8))
            let shifted = shift >= 0 ? passed << UInt64(shift) : passed >> UInt64(-shift)
            let product = shifted.multipliedFullWidth(by: UInt64(try read(UInt32.self, 24)))
            return try read(UInt64.self, 16) &+ (product.high << 32 | product.low >> 32)
        }

        private func expectMachineTime(_ machine: TestMachine, _ state: CPUState) throws {
            let (now, time) = (machine.clock.now(), try Self.time(in: machine.memory, counter: state.tsc))
            #expect(time <= now + 1_000_000 && now <= time + 20_000_000, "\(time) ns by the page, \(now) by the clock")
        }

        private func machine(_ engine: any Engine, sharing other: TestMachine? = nil) throws -> TestMachine {
            try TestMachine(
                .long64, code: Self.openClock, engine: engine, memory: other?.memory,
                clock: other?.clock ?? Clock(source: .host), isParavirtual: true)
        }

        @Test("The clock's page tells the machine's time, here and elsewhere") func clock() throws {
            try requireKVM()
            var machine = try machine(KVMEngine())
            machine.clock.set(to: 5_000_000_000)
            machine.clock.start()
            try machine.runToEnd()
            var state = try machine.vcpu.exportState()
            #expect(state.msrs[0x4b56_4d01] == Self.page | 1)
            try expectMachineTime(machine, state)
            for engine in [InterpretEngine(), KVMEngine(), InterpretEngine()] as [any Engine] {
                let next = try self.machine(engine, sharing: machine)
                // jmp $, for long enough to be entered.
                try next.memory.write(Code.spin, at: GuestPhysicalAddress(TestMachine.codeAddress))
                state.rip = TestMachine.codeAddress
                try next.vcpu.importState(state)
                #expect(next.runToExitPort(seconds: 0.02) == .kicked)
                state = try next.vcpu.exportState()
                #expect(state.msrs[0x4b56_4d01] == Self.page | 1)
                try expectMachineTime(next, state)
                machine = next
            }
        }

        @Test("The clock stands while the machine stands") func standing() throws {
            try requireKVM()
            let machine = try machine(KVMEngine())
            machine.clock.start()
            try machine.runToEnd()
            machine.clock.stop()
            usleep(200_000)
            machine.clock.start()
            #expect(machine.runToExitPort(seconds: 0.02) == .kicked)
            try expectMachineTime(machine, try machine.vcpu.exportState())
        }

        @Test("Without it, its registers are not there") func hidden() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: Self.openClock)
            let exit = machine.runToExitPort()
            if exit == .kicked,
                try !KVMEngine.describeCapabilities().contains(where: {
                    $0.name == "ENFORCE_PV_FEATURE_CPUID" && $0.value > 0
                })
            {
                try Test.cancel("this host's KVM gives guests its registers though CPUID does not offer them")
            }
            // #GP(0) without a handler.
            #expect(exit == .shutdown)
        }
    }
}

// The local APIC in the kernel, as assists reach it, and its timer over a pause.

import Foundation
import KVM
import Memory
import Testing
import VirtualCPU

extension KVMSuite {
    @Suite struct LocalAPICTests {
        @Test("An assisted instruction reads its registers") func read() throws {
            try requireKVM()
            // paddd xmm0, [0xfee00030]: the version
            let machine = try TestMachine(
                .protected32, code: [0x66, 0x0f, 0xfe, 0x05, 0x30, 0, 0xe0, 0xfe] + Code.exit)
            #expect(machine.runToExitPort() == .kicked)
            #expect((machine.vcpu.counters().assists ?? 0) >= 1)
            let register = try machine.vcpu.exportState().xsave[160..<176]
            #expect(register.first == 0x14 && register.dropFirst(4).allSatisfy { $0 == 0 })
            #expect(machine.bus.mmio.withLock { $0.isEmpty })
        }

        @Test("One that writes to it ends the run with the reason") func write() throws {
            try requireKVM()
            // movhps [0xfee000b0], xmm0: the end of an interrupt
            let machine = try TestMachine(.protected32, code: [0x0f, 0x17, 0x05, 0xb0, 0, 0xe0, 0xfe] + Code.exit)
            guard case .failed(let error) = machine.runToExitPort() else {
                Issue.record("the write was accepted")
                return
            }
            #expect(error.description.contains("local APIC, at offset 0xb0"))
        }

        @Test("A TSC deadline waits while the machine stands") func deadline() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: [0xf4] + Code.exit)
            var state = TestMachine.state(.long64)
            state.rflags |= 0x200
            state.localAPIC.registers[0x0f] = 0x1ff
            state.localAPIC.registers[0x32] = 2 << 17 | 0x51
            // 150 ms at the machine's own frequency, 50 at 3 GHz.
            state.localAPIC.tscDeadline = 150_000_000
            try machine.vcpu.importState(state)
            machine.clock.start()
            #expect(machine.runToExitPort(seconds: 0.01) == .kicked)
            machine.clock.stop()
            Thread.sleep(forTimeInterval: 0.3)
            state = try machine.vcpu.exportState()
            let left = state.localAPIC.tscDeadline &- state.tsc
            #expect(state.activity == .halted && left <= 150_000_000 && left > 10_000_000)
            #expect(state.localAPIC.registers[0x22] == 0, "the timer ran on")
            let deadline = try #require(state.localAPIC.timerDeadline)
            #expect(deadline > machine.clock.now() + 10_000_000)
            // No vector has a handler: the interrupt ends the guest.
            machine.clock.start()
            #expect(machine.runToExitPort() == .shutdown)
            #expect(machine.clock.now() >= deadline)
        }
    }
}

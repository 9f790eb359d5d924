// Two vCPUs on threads of their own: INIT and startup IPI, a counter that both raise by locked instructions, and interrupts
// from one to the other, each of which is waited for.

import Foundation
import KVM
import Memory
import Testing
import VirtualCPU

extension KVMSuite {
    @Suite struct SMPTests {
        private static let turns = 20_000
        private static let interrupts = 1000

        private static func word(_ value: Int) -> [UInt8] {
            (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
        }

        /// mov ecx, msr; mov eax, low; mov edx, high; wrmsr; with operand-size prefixes in 16-bit code.
        private static func writeMSR(_ msr: Int, _ low: Int, _ high: Int = 0, prefix: [UInt8] = []) -> [UInt8] {
            prefix + [0xb9] + word(msr) + prefix + [0xb8] + word(low) + prefix + [0xba] + word(high) + [0x0f, 0x30]
        }

        /// mov ecx, 0x1b; rdmsr; or eax, 0xc00; wrmsr: x2APIC mode.
        private static func x2APIC(prefix: [UInt8] = []) -> [UInt8] {
            prefix + [0xb9] + word(0x1b) + [0x0f, 0x32] + prefix + [0x0d] + word(0xc00) + [0x0f, 0x30]
        }

        /// The application processor, in real mode from 0x8000: raises the counter at 0x6000, then sends interrupts, each once
        /// the last was counted at 0x6020.
        private static var secondary: [UInt8] {
            let p: [UInt8] = [0x66]
            var code: [UInt8] = [0x31, 0xc0, 0x8e, 0xd8]  // xor ax, ax; mov ds, ax
            code += p + [0xb9] + word(turns)  // mov ecx, turns
            code += [0xf0, 0x66, 0xff, 0x06, 0x00, 0x60]  // 1: lock inc dword [0x6000]
            code += [0x67, 0xe2, 0xf7]  // loop 1b, by ecx
            code += x2APIC(prefix: p) + writeMSR(0x80f, 0x1ff, prefix: p)
            code += p + [0xbe] + word(0)  // mov esi, 0
            let again = code.count
            code += writeMSR(0x830, 0x40, prefix: p)  // vector 0x40 to APIC 0
            code += p + [0x46]  // inc esi
            code += [0xf3, 0x90, 0x66, 0x39, 0x36, 0x20, 0x60, 0x75, 0xf7]  // 2: pause; cmp [0x6020], esi; jne 2b
            code += p + [0x81, 0xfe] + word(interrupts)  // cmp esi, interrupts
            code += [0x75, UInt8(truncatingIfNeeded: again - code.count - 2)]  // jne again
            return code + [0xfa, 0xf4, 0xeb, 0xfc]  // cli; 3: hlt; jmp
        }

        /// The bootstrap processor, in 64-bit mode: starts the other, raises the counter too, and takes the interrupts.
        private static var primary: [UInt8] {
            var code: [UInt8] = [0x0f, 0x01, 0x1c, 0x25] + word(0x5100)  // lidt [0x5100]
            code += x2APIC() + writeMSR(0x80f, 0x1ff)
            code += writeMSR(0x830, 0x4500, 1) + writeMSR(0x830, 0x4608, 1)  // INIT, startup at 0x8000
            code += [0xb9] + word(turns)
            code += [0xf0, 0xff, 0x04, 0x25] + word(0x6000)  // 1: lock inc dword [0x6000]
            code += [0xe2, 0xf6]  // loop 1b
            code += [0xfb, 0xf4, 0xfa]  // 2: sti; hlt; cli
            code += [0x81, 0x3c, 0x25] + word(0x6020) + word(interrupts)  // cmp dword [0x6020], interrupts
            code += [0x75, 0xf0]  // jne 2b
            return code + Code.exit
        }

        /// Vector 0x40: counts, and signals the end of the interrupt.
        private static var handler: [UInt8] {
            [0x50, 0x51, 0x52, 0xff, 0x04, 0x25] + word(0x6020) + writeMSR(0x80b, 0) + [0x5a, 0x59, 0x58, 0x48, 0xcf]
        }

        @Test("INIT, startup, locked instructions and a thousand interrupts between two vCPUs", arguments: 1...3)
        func together(round: Int) throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: Self.primary, vcpus: 2)
            let memory = machine.memory
            try memory.write(Self.secondary, at: GuestPhysicalAddress(0x8000))
            try memory.write(Self.handler, at: GuestPhysicalAddress(0x7000))
            // A GDT with the code segment, and the gate of vector 0x40.
            try memory.writeInteger(0x00af_9b00_0000_ffff as UInt64, at: GuestPhysicalAddress(0x5008))
            try memory.writeInteger(0x00cf_9300_0000_ffff as UInt64, at: GuestPhysicalAddress(0x5010))
            try memory.writeInteger(0x8e00_0008_7000 as UInt64, at: GuestPhysicalAddress(0x4000 + 0x40 * 16))
            try memory.writeInteger(0x4000_ffff as UInt64, at: GuestPhysicalAddress(0x5100))
            var state = TestMachine.state(.long64)
            state.gpr[4] = 0x3000
            state.gdtr = TableState(base: 0x5000, limit: 0x17)
            try machine.vcpu.importState(state)
            try machine.vcpus[1].importState(CPUState(apicID: 1))

            let second = machine.vcpus[1]
            let left = DispatchSemaphore(value: 0)
            let exit = DispatchQueue(label: "exit of the second vCPU")
            nonisolated(unsafe) var ended: Exit?
            Thread {
                let reason = second.run(budget: nil)
                exit.sync { ended = reason }
                left.signal()
            }.start()
            #expect(machine.runToExitPort(seconds: 20) == .kicked)
            // The last interrupt is counted a moment before the other vCPU finds out and halts.
            Thread.sleep(forTimeInterval: 0.1)
            second.kick()
            #expect(left.wait(timeout: .now() + 10) == .success)
            #expect(exit.sync { ended } == .kicked)
            let count = try memory.readInteger(UInt32.self, at: GuestPhysicalAddress(0x6000))
            #expect(count == UInt32(2 * Self.turns))
            #expect(try memory.readInteger(UInt32.self, at: GuestPhysicalAddress(0x6020)) == UInt32(Self.interrupts))
            #expect(try second.exportState().activity == .halted)
            #expect(machine.bus.ports.withLock { $0.count } == 1)
        }
    }
}

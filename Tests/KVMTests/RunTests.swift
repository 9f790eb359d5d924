// What leaves the kernel and comes back: ports and memory without memory behind it, in every size, and the modes of a CPU.

import KVM
import Memory
import Testing
import VirtualCPU

extension KVMSuite {
    @Suite struct RunTests {
        @Test("Ports, in all sizes and repeated") func ports() throws {
            try requireKVM()
            let machine = try TestMachine(
                .long64,
                code: [
                    0xb8, 0x44, 0x33, 0x22, 0x11,  // mov eax, 0x11223344
                    0xe6, 0x10, 0x66, 0xe7, 0x12, 0xe7, 0x14,  // out 0x10, al; out 0x12, ax; out 0x14, eax
                    0xe5, 0x20, 0x89, 0xc3,  // in eax, 0x20; mov ebx, eax
                    // mov esi, 0x2000; mov ecx, 3; mov dx, 0x30
                    0xbe, 0, 0x20, 0, 0, 0xb9, 3, 0, 0, 0, 0x66, 0xba, 0x30, 0,
                    0xf3, 0x66, 0x6f,  // rep outsw
                ] + Code.exit)
            try machine.memory.write([1, 0, 2, 0, 3, 0], at: GuestPhysicalAddress(0x2000))
            #expect(machine.runToExitPort() == .kicked)
            #expect(
                machine.bus.ports.withLock { $0 } == [
                    .init(place: 0x10, size: 1, value: 0x44), .init(place: 0x12, size: 2, value: 0x3344),
                    .init(place: 0x14, size: 4, value: 0x1122_3344), .init(place: 0x30, size: 2, value: 1),
                    .init(place: 0x30, size: 2, value: 2), .init(place: 0x30, size: 2, value: 3),
                    .init(place: 0xf4, size: 1, value: 0x78),
                ])
            let state = try machine.vcpu.exportState()
            #expect(state.gpr[3] == 0x1234_5678)
            // The OUT that asked for the stop is complete.
            #expect(state.rip == TestMachine.codeAddress + 35)
            #expect(machine.vcpu.counters().portAccesses == 8)
        }

        @Test("Memory without memory, in all sizes and across pages") func mmio() throws {
            try requireKVM()
            let machine = try TestMachine(
                .long64,
                code: [
                    0xbf, 0, 0, 0x40, 0,  // mov edi, 0x400000
                    0x48, 0xb8, 8, 7, 6, 5, 4, 3, 2, 1,  // mov rax, 0x0102030405060708
                    // mov [rdi…], al, ax, eax, rax
                    0x88, 0x07, 0x66, 0x89, 0x47, 2, 0x89, 0x47, 4, 0x48, 0x89, 0x47, 8,
                    // mov [rdi + 0xffd], rax
                    0x48, 0x89, 0x87, 0xfd, 0x0f, 0, 0,
                    0x48, 0x8b, 0x1f,  // mov rbx, [rdi]
                ] + Code.exit)
            #expect(machine.runToExitPort() == .kicked)
            let writes = machine.bus.mmio.withLock { $0 }
            #expect(
                writes.prefix(4) == [
                    .init(place: 0x40_0000, size: 1, value: 8), .init(place: 0x40_0002, size: 2, value: 0x708),
                    .init(place: 0x40_0004, size: 4, value: 0x506_0708),
                    .init(place: 0x40_0008, size: 8, value: 0x102_0304_0506_0708),
                ])
            // What crosses a page comes in parts, each of a size that devices know.
            var bytes: [UInt64: UInt64] = [:]
            for write in writes.dropFirst(4) {
                for byte in 0..<write.size {
                    bytes[write.place + UInt64(byte)] = write.value >> UInt64(8 * byte) & 0xff
                }
            }
            #expect(bytes == Dictionary(uniqueKeysWithValues: (0..<8).map { (0x40_0ffd + $0, 8 - $0) }))
            let state = try machine.vcpu.exportState()
            #expect(state.gpr[3] == 0x8877_6655_4473_2211)
        }

        @Test("Every mode runs", arguments: TestMode.allCases) func modes(mode: TestMode) throws {
            try requireKVM()
            let machine = try TestMachine(mode, code: [0xb0, 0x2a] + Code.exit)
            #expect(machine.runToExitPort() == .kicked)
            #expect(machine.bus.ports.withLock { $0 } == [.init(place: 0xf4, size: 1, value: 0x2a)])
        }

        @Test("A triple fault is a shutdown, and stays one") func tripleFault() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: [0x0f, 0x0b])
            #expect(machine.runToExitPort() == .shutdown)
            #expect(machine.vcpu.run(budget: nil) == .shutdown)
            #expect(try machine.vcpu.exportState().activity == .shutdown)
        }

        @Test("Counted instructions are refused") func budget() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: Code.spin)
            guard case .failed = machine.vcpu.run(budget: 1) else {
                Issue.record("a budget was accepted")
                return
            }
        }

        @Test("Writes are logged") func dirtyPages() throws {
            try requireKVM()
            let machine = try TestMachine(
                .long64,
                code: [0xbf, 0, 0x50, 0, 0, 0xff, 0x07, 0xe6, 0xf4, 0xff, 0x87, 0, 0x20, 0, 0, 0xe6, 0xf4, 0xeb, 0xfe])
            let region = machine.memory.regions[0]
            #expect(try machine.vm.takeDirtyPages(region).count == 512)
            #expect(machine.runToExitPort() == .kicked)
            #expect(try machine.vm.takeDirtyPages(region).contains(5))
            #expect(machine.runToExitPort() == .kicked)
            let second = try machine.vm.takeDirtyPages(region)
            #expect(second.contains(7) && !second.contains(5))
            try machine.memory.write([1], at: GuestPhysicalAddress(0x9000))
            #expect(try machine.vm.takeDirtyPages(region) == [9])
        }

        @Test("Read-only memory sends writes to the bus") func readOnly() throws {
            try requireKVM()
            let machine = try TestMachine(
                .long64, code: [0xbf, 0, 0x50, 0, 0, 0xc7, 0x07, 1, 2, 3, 4, 0x8b, 0x1f] + Code.exit)
            // Page tables need to be writable: the region is protected where they have their flags already.
            for offset: UInt64 in [0, 0x1000] {
                let place = GuestPhysicalAddress(0x10_0000 + offset)
                try machine.memory.writeInteger(
                    try machine.memory.readInteger(UInt64.self, at: place) | 0x20, at: place)
            }
            let entry = GuestPhysicalAddress(0x10_2000)
            try machine.memory.writeInteger(try machine.memory.readInteger(UInt64.self, at: entry) | 0x60, at: entry)
            try machine.memory.write([5, 6, 7, 8], at: GuestPhysicalAddress(0x5000))
            let region = machine.memory.regions[0]
            try machine.vm.protect(region, readOnly: true)
            #expect(machine.runToExitPort() == .kicked)
            #expect(machine.bus.mmio.withLock { $0 } == [.init(place: 0x5000, size: 4, value: 0x0403_0201)])
            #expect(try machine.vcpu.exportState().gpr[3] == 0x0807_0605)
        }
    }
}

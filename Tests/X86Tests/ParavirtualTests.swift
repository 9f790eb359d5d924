// KVM's paravirtual interface: CPUID, the clock's page, the date, steal time, hypercalls; and that without it there is none.

import Memory
import Testing
import VirtualCPU

@Suite struct ParavirtualTests {
    private static let systemTime: UInt32 = 0x4b56_4d01
    private static let wallClock: UInt32 = 0x4b56_4d00
    private static let stealTime: UInt32 = 0x4b56_4d03
    private static let registers: [UInt32] = [systemTime, wallClock, stealTime, 0x11, 0x12]
    private static let page: UInt64 = 0x9000
    private static let date: UInt64 = 1_704_067_200_123_456_789

    private func machine(
        _ code: [UInt8], mode: TestMode = .long64, model: String = "host", offered: Bool = true,
        clock: Clock = Clock(source: .host), _ adjust: (inout CPUState) -> Void = { _ in }
    ) throws -> TrapMachine {
        try TrapMachine(
            mode, model: model, code: code, isParavirtual: offered, startDate: Self.date, clock: clock, adjust)
    }

    /// WRMSR of a value below 2³².
    private func write(_ register: UInt32, _ value: UInt32) -> [UInt8] {
        movECX(register) + movEAX(value) + [0x31, 0xd2, 0x0f, 0x30]  // xor edx, edx; wrmsr
    }

    private func integer<T: FixedWidthInteger>(_ machine: TrapMachine, _ address: UInt64, _: T.Type) throws -> T {
        try machine.machine.memory.readInteger(T.self, at: GuestPhysicalAddress(address))
    }

    // MARK: CPUID

    @Test func signature() throws {
        let code = movEAX(0x4000_0000) + [0x0f, 0xa2, 0xf4]
        let gpr = try machine(code).run().state.gpr
        #expect([gpr[0], gpr[3], gpr[1], gpr[2]] == [0x4000_0001, 0x4b4d_564b, 0x564b_4d56, 0x4d], "KVMKVMKVM")
        let features = try machine(movEAX(0x4000_0001) + [0x0f, 0xa2, 0xf4]).run().state.gpr[0]
        #expect(features & (1 << 3 | 1 << 5 | 1 << 24) == 1 << 3 | 1 << 5 | 1 << 24)
        let hidden = try machine(movEAX(0x4000_0001) + [0x0f, 0xa2, 0xf4], offered: false).run().state.gpr
        #expect(hidden[0] == 0)
    }

    // MARK: The clock

    /// What a guest computes from the page for a value of its counter.
    private func time(_ machine: TrapMachine, at counter: UInt64, page: UInt64 = Self.page) throws -> UInt64 {
        let stamp = try integer(machine, page + 8, UInt64.self)
        let base = try integer(machine, page + 16, UInt64.self)
        let multiplier = try integer(machine, page + 24, UInt32.self)
        let shift = Int8(bitPattern: try integer(machine, page + 28, UInt8.self))
        #expect(shift >= 0)
        let passed = (counter &- stamp) << UInt64(shift)
        return base &+ (passed.multipliedFullWidth(by: UInt64(multiplier)).high << 32)
            &+ (passed.multipliedFullWidth(by: UInt64(multiplier)).low >> 32)
    }

    @Test("The page tells the clock's time, whatever the counter was set to", arguments: [systemTime, 0x12 as UInt32])
    func systemTimePage(register: UInt32) throws {
        let clock = Clock(source: .instructions)
        clock.set(to: 5_000_000)
        // Set the counter to 123, then open the page, then set it to 77.
        let code = write(0x10, 123) + write(register, UInt32(Self.page | 1)) + write(0x10, 77) + [0xf4]
        let machine = try machine(code, clock: clock)
        let outcome = try machine.run()
        #expect(outcome.vector == nil)
        #expect(try integer(machine, Self.page, UInt32.self) == 4, "written twice")
        #expect(try integer(machine, Self.page + 29, UInt8.self) & 1 == 1, "TSC_STABLE")
        #expect(try time(machine, at: outcome.state.tsc) == clock.now())
        #expect(try time(machine, at: outcome.state.tsc + 1_000_000) == clock.now() + 1_000_000)
        #expect(outcome.state.msrs[Self.systemTime] == Self.page | 1)
    }

    @Test("A state that is put back changes no memory; one whose counter tells another time does")
    func importedState() throws {
        let clock = Clock(source: .instructions)
        let machine = try machine(write(Self.systemTime, UInt32(Self.page | 1)) + [0xf4, 0xf4], clock: clock)
        var state = try machine.run().state
        let before = try integer(machine, Self.page, UInt32.self)
        state.activity = .active
        try machine.machine.vcpu.importState(state)
        #expect(machine.machine.vcpu.run(budget: 100) == .halted)
        #expect(try integer(machine, Self.page, UInt32.self) == before)
        state.tsc += 1000
        try machine.machine.vcpu.importState(state)
        #expect(machine.machine.vcpu.run(budget: 100) == .halted)
        #expect(try integer(machine, Self.page, UInt32.self) == before + 2)
        let end = try machine.machine.vcpu.exportState()
        #expect(try time(machine, at: end.tsc) == clock.now())
    }

    @Test func wallClock() throws {
        let machine = try machine(write(Self.wallClock, UInt32(Self.page)) + [0xf4])
        #expect(try machine.run().vector == nil)
        #expect(try integer(machine, Self.page, UInt32.self) == 2)
        #expect(try integer(machine, Self.page + 4, UInt32.self) == 1_704_067_200)
        #expect(try integer(machine, Self.page + 8, UInt32.self) == 123_456_789)
    }

    @Test("Structures at the edge of memory, across pages, on devices and at odd addresses")
    func places() throws {
        let end: UInt32 = 16 << 20
        for register in Self.registers {
            let addresses: [UInt32] = [
                end - 64, end - 4, end, 0xa_0000, 0xfee0_0000, 0xfec0_0000, 0xffff_ffff, 0x8fec, 0x8ff4, 0x8fff,
            ]
            for address in addresses {
                let value = register == Self.stealTime ? address & ~63 | 1 : address | 1
                let machine = try machine(write(register, value) + [0xf4])
                #expect(try machine.run().vector == nil, "\(register) \(address)")
            }
        }
        let machine = try machine(write(Self.systemTime, 0x8fec | 1) + [0xf4])
        let outcome = try machine.run()
        #expect(try integer(machine, 0x8fec, UInt32.self) == 2)
        #expect(try integer(machine, 0x8fec + 24, UInt32.self) == 0x8000_0000)
        #expect(try integer(machine, 0x8fec + 8, UInt64.self) <= outcome.state.tsc)
    }

    @Test func stealTime() throws {
        let outcome = try machine(write(Self.stealTime, UInt32(Self.page | 1 | 2)) + [0xf4]).run()
        #expect(outcome.vector == 13, "a reserved bit")
        let machine = try machine(write(Self.stealTime, UInt32(Self.page | 1)) + [0xf4])
        #expect(try machine.run().vector == nil)
        #expect(try integer(machine, Self.page + 8, UInt32.self) % 2 == 0)
    }

    @Test("Time that a vCPU's thread does not get is stolen")
    func stolen() throws {
        // Open the account, then turn for some milliseconds: in OUT, during which the thread sleeps.
        let code = write(Self.stealTime, UInt32(Self.page | 1)) + [0xe6, 0x80, 0xfb, 0x90, 0xf4]
        let clock = Clock(source: .host)
        clock.start()
        defer { clock.stop() }
        let machine = try machine(code, clock: clock) { $0.localAPIC.registers[15] = 0x1ff }
        machine.machine.bus.delay.withLock { $0 = 20_000 }
        // An interrupt makes the vCPU look up.
        machine.machine.vm.signalMSI(address: 0xfee0_0000, data: 0x30)
        _ = try machine.run()
        #expect(try integer(machine, Self.page, UInt64.self) >= 15_000_000)
        let version = try integer(machine, Self.page + 8, UInt32.self)
        #expect(version >= 2 && version % 2 == 0)
    }

    @Test("INIT forgets where the guest's pages are")
    func initialisation() throws {
        let machine = try machine(write(Self.systemTime, UInt32(Self.page | 1)) + [0xf4])
        _ = try machine.run()
        machine.machine.vm.signalMSI(address: 0xfee0_0000, data: 0x500)
        _ = machine.machine.vcpu.run(budget: 1)
        #expect(try machine.machine.vcpu.exportState().msrs[Self.systemTime] == 0)
    }

    @Test func withoutTheInterfaceThereAreNoRegisters() throws {
        for register in Self.registers {
            #expect(try machine(write(register, 0) + [0xf4], offered: false).run().vector == 13)
            #expect(try machine(movECX(register) + [0x0f, 0x32, 0xf4], offered: false).run().vector == 13)
            #expect(try machine(movECX(register) + [0x0f, 0x32, 0xf4]).run().vector == nil)
        }
    }

    // MARK: Hypercalls

    private static let instructions: [[UInt8]] = [[0x0f, 0x01, 0xc1], [0x0f, 0x01, 0xd9]]  // VMCALL, VMMCALL

    @Test("Both instructions are taken, whoever made the CPU", arguments: ["host,vendor=intel", "host,vendor=amd"])
    func hypercalls(model: String) throws {
        let expected: [(number: UInt32, answer: Int64)] = [
            (1, 0), (5, 0), (9, -95), (11, 0), (12345, -1000), (0, -1000),
        ]
        for instruction in Self.instructions {
            for (number, answer) in expected {
                let outcome = try machine(movEAX(number) + instruction + [0xf4], model: model).run()
                #expect(outcome.vector == nil)
                #expect(Int64(bitPattern: outcome.state.gpr[0]) == answer, "\(number)")
            }
            // 32-bit code gets 32 bits.
            let outcome = try machine(movEAX(12345) + instruction + [0xf4], mode: .protected32, model: model).run()
            #expect(outcome.state.gpr[0] == 0xffff_fc18)
            #expect(try machine(instruction + [0xf4], model: model, offered: false).run().vector == 6)
            #expect(try machine(instruction + [0xf4], mode: .real16, model: model).run().vector == 6)
        }
    }
}

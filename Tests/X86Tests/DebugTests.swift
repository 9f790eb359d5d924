// The debugger's part of the engine contract: where a vCPU stops, with which state, and that the guest cannot tell.

import Memory
import Testing
import VirtualCPU

@Suite struct DebugTests {
    private static let code = TestMachine.codeAddress

    /// inc eax; inc ecx; jmp to the start (in 16-bit code the registers are AX and CX)
    private static let loop: [UInt8] = [0xff, 0xc0, 0xff, 0xc1, 0xeb, 0xfa]

    private func control(_ change: (inout DebugControl) -> Void) -> DebugControl {
        var control = DebugControl()
        change(&control)
        return control
    }

    @Test(arguments: TestMode.allCases)
    func breakpointStopsBeforeItsInstruction(mode: TestMode) throws {
        let machine = try TestMachine(mode, code: Self.loop)
        let place = Self.code + 2
        // The code is decoded as one block before the breakpoint cuts it.
        #expect(machine.vcpu.run(budget: 300) == .budgetSpent)
        try machine.vcpu.setDebugControl(control { $0.breakpoints = [place] })
        for turn in 0..<3 as Range<UInt64> {
            #expect(machine.vcpu.run(budget: nil) == .debug(.breakpoint(place)))
            let state = try machine.vcpu.exportState()
            #expect(state.rip == place)
            #expect(state.gpr[0] == 101 + turn && state.gpr[1] == 100 + turn)
            // It is still there: who wants to pass it steps without it.
            #expect(machine.vcpu.run(budget: nil) == .debug(.breakpoint(place)))
            try machine.vcpu.setDebugControl(control { $0.singleStep = true })
            #expect(machine.vcpu.run(budget: nil) == .debug(.step))
            #expect(try machine.vcpu.exportState().rip == place + 2)
            try machine.vcpu.setDebugControl(control { $0.breakpoints = [place] })
        }
        try machine.vcpu.setDebugControl(DebugControl())
        #expect(machine.vcpu.run(budget: 3000) == .budgetSpent)
    }

    /// Blocks are found by physical address, and breakpoints are linear ones: an alias does not stop.
    @Test func breakpointHoldsForItsLinearAddressOnly() throws {
        let machine = try TestMachine(.long64, code: Self.loop)
        // The second GiB of linear space is the first again.
        try machine.memory.writeInteger(UInt64(0x10_2000) | 7, at: GuestPhysicalAddress(0x10_1008))
        let alias: UInt64 = 1 << 30
        try machine.vcpu.setDebugControl(control { $0.breakpoints = [alias + Self.code + 2] })
        #expect(machine.vcpu.run(budget: 1000) == .budgetSpent)
        var state = try machine.vcpu.exportState()
        state.rip += alias
        try machine.vcpu.importState(state)
        #expect(machine.vcpu.run(budget: 1000) == .debug(.breakpoint(alias + Self.code + 2)))
    }

    @Test(arguments: TestMode.allCases)
    func stepsCountOneByOne(mode: TestMode) throws {
        let machine = try TestMachine(mode, code: Self.loop)
        try machine.vcpu.setDebugControl(control { $0.singleStep = true })
        for step in 1...30 as ClosedRange<UInt64> {
            #expect(machine.vcpu.run(budget: nil) == .debug(.step))
            #expect(machine.vcpu.counters().instructions == step)
            #expect(try machine.vcpu.exportState().rip == Self.code + step % 3 * 2)
        }
    }

    /// A fault is a step of its own, into the handler: ud2, with its vector's entry at 0:6000.
    @Test func stepIntoAFault() throws {
        let machine = try TestMachine(.real16, code: [0x0f, 0x0b])
        try machine.memory.writeInteger(UInt32(0x6000), at: GuestPhysicalAddress(6 * 4))
        try machine.vcpu.setDebugControl(control { $0.singleStep = true })
        #expect(machine.vcpu.run(budget: nil) == .debug(.step))
        #expect(try machine.vcpu.exportState().rip == 0x6000)
        #expect(machine.vcpu.counters().instructions == 0)
    }

    /// rep movsb of 5 bytes: a step is an iteration, and a watched byte stops after its own.
    @Test func stringInstructionsStopBetweenIterations() throws {
        let machine = try TestMachine(.long64, code: [0xf3, 0xa4, 0xf4])
        var state = TestMachine.state(.long64)
        (state.gpr[1], state.gpr[6], state.gpr[7]) = (5, 0x4000, 0x5000)
        try machine.vcpu.importState(state)
        try machine.vcpu.setDebugControl(control { $0.singleStep = true })
        #expect(machine.vcpu.run(budget: nil) == .debug(.step))
        #expect(try machine.vcpu.exportState().gpr[1] == 4)
        let watched = Watchpoint(address: 0x5002, size: 1, kind: .write)
        try machine.vcpu.setDebugControl(control { $0.watchpoints = [watched] })
        #expect(machine.vcpu.run(budget: nil) == .debug(.watchpoint(watched, address: 0x5002)))
        #expect(try machine.vcpu.exportState().gpr[1] == 2)
        #expect(machine.vcpu.run(budget: nil) == .halted)
    }

    // MARK: Watchpoints

    /// mov eax, [0x5004]; inc dword [0x5008]; mov [0x500c], eax; nop; hlt
    private static let accesses: [UInt8] = [
        0x8b, 0x04, 0x25, 0x04, 0x50, 0, 0, 0xff, 0x04, 0x25, 0x08, 0x50, 0, 0, 0x89, 0x04, 0x25, 0x0c, 0x50, 0, 0,
        0x90, 0xf4,
    ]

    /// The offset after the instruction that stops; nil for none.
    @Test(arguments: [
        (Watchpoint(address: 0x5004, size: 4, kind: .read), 7),
        (Watchpoint(address: 0x5007, size: 1, kind: .access), 7),
        (Watchpoint(address: 0x5004, size: 4, kind: .write), nil),
        (Watchpoint(address: 0x5008, size: 1, kind: .write), 14),
        (Watchpoint(address: 0x5008, size: 4, kind: .read), 14),
        (Watchpoint(address: 0x500c, size: 4, kind: .read), nil),
        (Watchpoint(address: 0x500f, size: 8, kind: .write), 21),
        (Watchpoint(address: 0x5010, size: 8, kind: .access), nil),
        (Watchpoint(address: 0x4ff0, size: 32, kind: .write), 14),
    ])
    func watchpointStopsAfterTheAccess(watchpoint: Watchpoint, offset: Int?) throws {
        let machine = try TestMachine(.long64, code: Self.accesses)
        // Once without, so that TLB entries are there to be taken away.
        #expect(machine.vcpu.run(budget: nil) == .halted)
        try machine.vcpu.importState(TestMachine.state(.long64))
        #expect(machine.vcpu.run(budget: 3) == .budgetSpent)
        var state = try machine.vcpu.exportState()
        state.rip = Self.code
        try machine.vcpu.importState(state)
        try machine.vcpu.setDebugControl(control { $0.watchpoints = [watchpoint] })
        guard let offset else {
            #expect(machine.vcpu.run(budget: nil) == .halted)
            return
        }
        guard case .debug(.watchpoint(watchpoint, let address)) = machine.vcpu.run(budget: nil) else {
            Issue.record("no stop at \(watchpoint)")
            return
        }
        #expect(address &- watchpoint.address < watchpoint.size)
        #expect(try machine.vcpu.exportState().rip == Self.code + UInt64(offset))
        try machine.vcpu.setDebugControl(DebugControl())
        #expect(machine.vcpu.run(budget: nil) == .halted)
    }

    /// A push by `call`, and one by the CPU itself that delivers an exception.
    @Test func stackFramesAreWatched() throws {
        let machine = try TestMachine(.real16, code: [0xe8, 0, 0, 0x0f, 0x0b])
        try machine.memory.writeInteger(UInt32(0x6000), at: GuestPhysicalAddress(6 * 4))
        let pushed = Watchpoint(address: TestMachine.stackTop - 2, size: 2, kind: .write)
        let frame = Watchpoint(address: TestMachine.stackTop - 8, size: 1, kind: .write)
        try machine.vcpu.setDebugControl(control { $0.watchpoints = [pushed, frame] })
        #expect(machine.vcpu.run(budget: nil) == .debug(.watchpoint(pushed, address: pushed.address)))
        #expect(machine.vcpu.run(budget: nil) == .debug(.watchpoint(frame, address: frame.address)))
        #expect(try machine.vcpu.exportState().rip == 0x6000)
    }

    @Test func hugeWatchpointIsRefused() throws {
        let machine = try TestMachine(.long64, code: Self.loop)
        for size in [0, UInt64.max] {
            let watchpoint = Watchpoint(address: 0x5000, size: size, kind: .write)
            #expect(throws: EngineError.self) {
                try machine.vcpu.setDebugControl(control { $0.watchpoints = [watchpoint] })
            }
        }
        #expect(machine.vcpu.run(budget: 10) == .budgetSpent)
    }

    // MARK: The guest

    /// A machine in real mode with interrupts on and its vector 0x20 at 0:6000.
    private func interruptible(_ code: [UInt8]) throws -> TestMachine {
        let machine = try TestMachine(.real16, code: code)
        try machine.memory.writeInteger(UInt32(0x6000), at: GuestPhysicalAddress(0x20 * 4))
        var state = TestMachine.state(.real16)
        state.rflags |= 1 << 9
        state.localAPIC.registers[0x0f] = 0x1ff
        try machine.vcpu.importState(state)
        return machine
    }

    @Test func interruptsWaitForASingleStep() throws {
        let machine = try interruptible(Self.loop)
        #expect(machine.vm.signalMSI(address: 0xfee0_0000, data: 0x20))
        try machine.vcpu.setDebugControl(control { $0.singleStep = true })
        for step in 1...4 as ClosedRange<UInt64> {
            #expect(machine.vcpu.run(budget: nil) == .debug(.step))
            #expect(try machine.vcpu.exportState().rip == Self.code + step % 3 * 2)
        }
        try machine.vcpu.setDebugControl(control { ($0.singleStep, $0.holdsInterrupts) = (true, false) })
        #expect(machine.vcpu.run(budget: nil) == .debug(.step))
        #expect(try machine.vcpu.exportState().rip == 0x6000)
    }

    @Test func aHaltedCPUStepsToWhatWakesIt() throws {
        let machine = try interruptible([0xf4, 0xf4])
        try machine.vcpu.setDebugControl(control { $0.singleStep = true })
        #expect(machine.vcpu.run(budget: nil) == .debug(.step))
        #expect(try machine.vcpu.exportState().activity == .halted)
        #expect(machine.vcpu.run(budget: nil) == .halted)
        #expect(machine.vm.signalMSI(address: 0xfee0_0000, data: 0x20))
        #expect(machine.vcpu.run(budget: nil) == .debug(.step))
        #expect(try machine.vcpu.exportState().rip == 0x6000)
    }

    /// pushf; or word [esp], 0x100; popf; nop; nop: the guest single-steps itself, and its handler at 0:6000 is reached
    /// with DR6.BS whether or not a debugger steps too; DR6 has no trace of the debugger.
    @Test(arguments: [false, true])
    func theGuestsOwnTrapFlag(steps: Bool) throws {
        let machine = try TestMachine(
            .real16, code: [0x9c, 0x67, 0x81, 0x0c, 0x24, 0x00, 0x01, 0x9d, 0x90, 0x90])
        try machine.memory.writeInteger(UInt32(0x6000), at: GuestPhysicalAddress(4))
        try machine.memory.write([0xf4], at: GuestPhysicalAddress(0x6000))
        try machine.vcpu.setDebugControl(control { $0.singleStep = steps })
        var exit = machine.vcpu.run(budget: nil)
        var done = 0
        while exit == .debug(.step), done < 10 {
            done += 1
            #expect(try machine.vcpu.exportState().dr6 & 0xe00f == (done < 4 ? 0 : 1 << 14))
            exit = machine.vcpu.run(budget: nil)
        }
        #expect(exit == .halted)
        let state = try machine.vcpu.exportState()
        #expect(state.rip == 0x6001 && state.dr6 == 0xffff_4ff0 && state.dr7 == 0x400)
        // What the handler returns to is the instruction after the NOP.
        let frame = GuestPhysicalAddress(TestMachine.stackTop - 6)
        #expect(try machine.memory.readInteger(UInt16.self, at: frame) == UInt16(Self.code) + 9)
    }
}

// A debugger's stops: single steps, breakpoints and watchpoints by the CPU's debug registers.

import KVM
import Memory
import Testing
import VirtualCPU

extension KVMSuite {
    @Suite struct DebugTests {
        @Test("Single steps go instruction by instruction") func steps() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: [0x90, 0xff, 0xc0, 0x90, 0xff, 0xc3] + Code.spin)
            var control = DebugControl()
            control.singleStep = true
            try machine.vcpu.setDebugControl(control)
            for offset: UInt64 in [1, 3, 4, 6, 6] {
                #expect(machine.runToExitPort() == .debug(.step))
                #expect(try machine.vcpu.exportState().rip == TestMachine.codeAddress + offset)
            }
            try machine.vcpu.setDebugControl(DebugControl())
            #expect(machine.runToExitPort(seconds: 0.05) == .kicked)
        }

        @Test("More than four places are refused, and so is watching reads alone") func refusals() throws {
            try requireKVM()
            let machine = try TestMachine(.long64, code: Code.spin)
            var control = DebugControl()
            control.breakpoints = [1, 2, 3, 4, 5]
            #expect(throws: EngineError.self) { try machine.vcpu.setDebugControl(control) }
            control.breakpoints = []
            control.watchpoints = [Watchpoint(address: 0x5000, size: 4, kind: .read)]
            #expect(throws: EngineError.self) { try machine.vcpu.setDebugControl(control) }
            control.watchpoints = [Watchpoint(address: 0x5001, size: 32, kind: .write)]
            #expect(throws: EngineError.self) { try machine.vcpu.setDebugControl(control) }
        }

        /// Kernel code and a program of ring 3, which a KVM that emulates the one may run on the CPU.
        private static let modes: [TransferMode] = [.long64, .user64]

        /// Skips the test for a stop that did not come, where it need not.
        private func require(_ exit: Exit, _ stop: DebugStop, _ mode: TransferMode) throws {
            if exit != .debug(stop), !guestsRunOnHardware {
                try skipCase("this host's KVM emulates guests, and does not stop there in \(mode): \(exit)")
            }
            #expect(exit == .debug(stop))
        }

        private func machine(_ mode: TransferMode, _ code: [UInt8]) throws -> TestMachine {
            let machine = try TestMachine(.long64, code: code)
            try TransferMode.writeTables(to: machine.memory)
            try machine.vcpu.importState(mode.state)
            return machine
        }

        @Test("A breakpoint stops before its instruction, each time", arguments: modes)
        func breakpoint(mode: TransferMode) throws {
            try requireKVM()
            // xor ecx, ecx; 1: inc ecx; cmp ecx, 3; jne 1b; exit
            let machine = try machine(mode, [0x31, 0xc9, 0xff, 0xc1, 0x83, 0xf9, 3, 0x75, 0xf9] + Code.exit)
            let place = TestMachine.codeAddress + 4
            for turn in 1...3 as ClosedRange<UInt64> {
                var control = DebugControl()
                control.breakpoints = [place]
                try machine.vcpu.setDebugControl(control)
                try require(machine.runToExitPort(seconds: 1), .breakpoint(place), mode)
                let state = try machine.vcpu.exportState()
                #expect(state.rip == place && state.gpr[1] == turn)
                #expect(state.dr7 == 0x400 && state.debugAddresses == [0, 0, 0, 0], "the guest does not see it")
                // Past it by a step.
                control.breakpoints = []
                control.singleStep = true
                try machine.vcpu.setDebugControl(control)
                #expect(machine.runToExitPort(seconds: 1) == .debug(.step))
            }
            try machine.vcpu.setDebugControl(DebugControl())
            #expect(machine.runToExitPort() == .kicked)
            #expect(machine.hasEnded)
        }

        @Test("A watchpoint stops after the access", arguments: modes, [Watchpoint.Kind.write, .access])
        func watchpoint(mode: TransferMode, kind: Watchpoint.Kind) throws {
            try requireKVM()
            // mov eax, [0x5008]; mov [0x5004], eax; mov [0x5008], eax; exit
            let machine = try machine(
                mode,
                [0x8b, 0x04, 0x25, 8, 0x50, 0, 0, 0x89, 0x04, 0x25, 4, 0x50, 0, 0]
                    + [0x89, 0x04, 0x25, 8, 0x50, 0, 0] + Code.exit)
            var control = DebugControl()
            let watchpoint = Watchpoint(address: 0x5008, size: 4, kind: kind)
            control.watchpoints = [watchpoint]
            try machine.vcpu.setDebugControl(control)
            for offset: UInt64 in kind == .write ? [21] : [7, 21] {
                try require(
                    machine.runToExitPort(seconds: 1), .watchpoint(watchpoint, address: watchpoint.address), mode)
                #expect(try machine.vcpu.exportState().rip == TestMachine.codeAddress + offset)
            }
            #expect(machine.runToExitPort() == .kicked)
            #expect(machine.hasEnded)
        }
    }
}

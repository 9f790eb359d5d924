// The public API from a program's point of view: a machine is made, runs, stands still, goes on and ends.

import Foundation
import Synchronization
import Testing
import Trapeze

@Suite(.timeLimit(.minutes(5))) struct VirtualMachineTests {
    /// Collects what a guest sends.
    final class Output: Sendable {
        private let bytes = Mutex<[UInt8]>([])
        var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
        var count: Int { bytes.withLock { $0.count } }
        func append(_ more: [UInt8]) { bytes.withLock { $0 += more } }
    }

    /// Real-mode programs, loaded and entered at 0x7c00.
    enum Program {
        /// mov al, 7; out 0xf4, al
        static let exit: [UInt8] = [0xb0, 0x07, 0xe6, 0xf4, 0xf4]
        /// cli; hlt
        static let halt: [UInt8] = [0xfa, 0xf4]
        /// jmp $
        static let spin: [UInt8] = [0xeb, 0xfe]
        /// mov dx, 0x3f8; mov al, 'A'; then for ever: out dx, al
        static let chatter: [UInt8] = [0xba, 0xf8, 0x03, 0xb0, 0x41, 0xee, 0xeb, 0xfd]
        /// Sends back what COM1 receives, and exits with 7 after a 'q'.
        static let echo: [UInt8] = [
            0xba, 0xfd, 0x03,  // mov dx, 0x3fd
            0xec, 0xa8, 0x01, 0x74, 0xfb,  // in al, dx; test al, 1; jz back to in
            0xba, 0xf8, 0x03, 0xec, 0xee,  // mov dx, 0x3f8; in al, dx; out dx, al
            0x3c, 0x71, 0x75, 0xef,  // cmp al, 'q'; jne start
            0xb0, 0x07, 0xe6, 0xf4, 0xf4,  // mov al, 7; out 0xf4, al; hlt
        ]
        /// Resets the machine through the i8042, after a byte to COM1.
        static let reset: [UInt8] = [
            0xba, 0xf8, 0x03, 0xb0, 0x52, 0xee,  // mov dx, 0x3f8; mov al, 'R'; out dx, al
            0xb0, 0xfe, 0xe6, 0x64, 0xf4,  // mov al, 0xfe; out 0x64, al; hlt
        ]
    }

    private func configuration(
        _ program: [UInt8], output: Output? = nil
    ) -> (VirtualMachineConfiguration, ClosureSerialPortAttachment) {
        let port = ClosureSerialPortAttachment { output?.append($0) }
        var configuration = VirtualMachineConfiguration()
        configuration.bootLoader = FlatBinaryBootLoader(binary: .bytes(program, name: "program"))
        configuration.memorySize = 1 << 20
        configuration.serialPort = port
        return (configuration, port)
    }

    @Test func runsToItsEnd() async throws {
        let machine = try VirtualMachine(configuration: configuration(Program.exit).0)
        #expect(machine.state == .ready)
        await machine.start()
        #expect(await machine.wait() == .exited(status: 7))
        #expect(machine.state == .stopped)
        #expect(machine.totalCounters.instructions == 2)
        // Every waiter gets the same answer, however late.
        #expect(await machine.wait() == .exited(status: 7))
    }

    @Test(arguments: [Program.halt, Program.spin])
    func stops(program: [UInt8]) async throws {
        let machine = try VirtualMachine(configuration: configuration(program).0)
        await machine.start()
        async let outcome = machine.wait()
        try await Task.sleep(for: .milliseconds(20))
        await machine.stop()
        #expect(await outcome == .stopped)
    }

    @Test func stopsBeforeItStarts() async throws {
        let machine = try VirtualMachine(configuration: configuration(Program.spin).0)
        await machine.stop()
        #expect(await machine.wait() == .stopped)
        await machine.start()
        #expect(machine.state == .stopped)
    }

    @Test func standsStillWhilePaused() async throws {
        let output = Output()
        let machine = try VirtualMachine(configuration: configuration(Program.chatter, output: output).0)
        await machine.start()
        while output.count < 1000 { try await Task.sleep(for: .milliseconds(1)) }
        await machine.pause()
        #expect(machine.state == .paused)
        let accesses = machine.totalCounters.portAccesses
        try await Task.sleep(for: .milliseconds(50))
        #expect(machine.totalCounters.portAccesses == accesses)
        let count = output.count
        await machine.resume()
        while output.count < count + 1000 { try await Task.sleep(for: .milliseconds(1)) }
        await machine.stop()
        #expect(await machine.wait() == .stopped)
        #expect(output.text.allSatisfy { $0 == "A" })
    }

    @Test func tellsItsStates() async throws {
        let machine = try VirtualMachine(configuration: configuration(Program.spin).0)
        let states = machine.states
        await machine.start()
        await machine.start()
        await machine.pause()
        await machine.resume()
        await machine.stop()
        var seen: [VirtualMachine.State] = []
        for await state in states { seen.append(state) }
        #expect(seen == [.ready, .running, .paused, .running, .stopped])
    }

    @Test func inputLongerThanThePortHolds() async throws {
        let output = Output()
        let (configuration, port) = configuration(Program.echo, output: output)
        let machine = try VirtualMachine(configuration: configuration)
        let input = [UInt8]((0..<200_000).map { UInt8(ascii: "a") + UInt8($0 % 7) }) + [UInt8(ascii: "q")]
        let sender = Thread { port.send(input) }
        sender.start()
        await machine.start()
        #expect(await machine.wait() == .exited(status: 7))
        #expect(output.text == String(decoding: input, as: UTF8.self))
        // Sending to a machine that has ended does not block.
        port.send(input)
    }

    @Test func resetEndsTheRunOrStartsOver() async throws {
        let output = Output()
        var (configuration, _) = configuration(Program.reset, output: output)
        let once = try VirtualMachine(configuration: configuration)
        await once.start()
        #expect(await once.wait() == .reset)
        #expect(output.text == "R")
        configuration.resetBehavior = .restart
        configuration.engine = .named("interpret")
        let again = try VirtualMachine(configuration: configuration)
        await again.start()
        while output.count < 10 { try await Task.sleep(for: .milliseconds(1)) }
        await again.stop()
        #expect(await again.wait() == .stopped)
        // The counters go on from one start to the next.
        #expect(try #require(again.totalCounters.instructions) >= 8 * 5)
    }

    @Test func savedStateGoesOnInANewMachine() async throws {
        let first = Output()
        let (configuration, port) = configuration(Program.echo, output: first)
        let machine = try VirtualMachine(configuration: configuration)
        #expect(throws: ConfigurationError.self) { try machine.saveState() }
        await machine.start()
        port.send(Array("one".utf8))
        while first.count < 3 { try await Task.sleep(for: .milliseconds(1)) }
        await machine.pause()
        let saved = try machine.saveState()
        await machine.stop()

        let second = Output()
        let (same, newPort) = self.configuration(Program.echo, output: second)
        let restored = try VirtualMachine(configuration: same, restoring: saved)
        await restored.start()
        newPort.send(Array("twoq".utf8))
        #expect(await restored.wait() == .exited(status: 7))
        #expect(second.text == "twoq")
    }

    @Test func countedTimeMakesRunsIdentical() async throws {
        var runs: [(String, EngineCounters)] = []
        for _ in 0..<2 {
            let output = Output()
            // Reads the time-stamp counter and the CMOS clock's seconds, and sends both.
            var (configuration, _) = configuration(
                [
                    0xba, 0xf8, 0x03, 0x0f, 0x31, 0xba, 0xf8, 0x03, 0xee,  // rdtsc; mov dx, 0x3f8; out dx, al
                    0xb0, 0x00, 0xe6, 0x70, 0xe4, 0x71, 0xee,  // mov al, 0; out 0x70, al; in al, 0x71; out dx, al
                    0xb0, 0x07, 0xe6, 0xf4, 0xf4,
                ], output: output)
            configuration.clockSource = .instructions
            let machine = try VirtualMachine(configuration: configuration)
            await machine.start()
            #expect(await machine.wait() == .exited(status: 7))
            runs.append((output.text, machine.totalCounters))
        }
        #expect(runs[0] == runs[1])
    }

    @Test func tripleFault() async throws {
        // lidt of an empty table, then int3: nothing can be delivered.
        let machine = try VirtualMachine(
            configuration: configuration([0x0f, 0x01, 0x1e, 0x06, 0x7c, 0xcc, 0, 0, 0, 0, 0, 0]).0)
        await machine.start()
        #expect(await machine.wait() == .tripleFault)
    }
}
